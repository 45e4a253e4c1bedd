/** TLS over STP sockets: tls.connect on a socket that net.connect makes, and TLS sockets that know what they stand on. */
import net from 'node:net';
import { type Configuration } from './configuration';
import { type Native } from './connect';
import { connectOptions } from './connect-options';
import { decide } from './decision';
import { type InternalSocket, isObject, kBuffer, kBufferCallback, kBufferGenerator, normalizeArguments } from './internals';
import { note } from './note';
import { connectionOf } from './stp-socket';
import { standOn, type StreamHandle } from './wrapping';

/** Events of a connecting socket that the TLS socket on it would have emitted itself. */
const FORWARDED = ['lookup', 'connectionAttempt', 'connectionAttemptFailed', 'connectionAttemptTimeout', 'ready'] as const;

interface WrappedHandle {
  /** The handle of the wrapping stream. */
  _parent?: StreamHandle;
  useUserBuffer?: (buffer: Uint8Array) => void;
}

/** Options of tls.connect, put together from all its forms. */
function tlsArguments(args: readonly unknown[]): [Record<string, unknown>, ((...args: unknown[]) => void) | null] {
  const [options, callback] = normalizeArguments(args);
  const more = isObject(args[1]) ? args[1] : isObject(args[2]) ? args[2] : undefined;
  return [{ ...options, ...more }, callback];
}

/** tls.connect: over STP it is tls.connect on a socket that net.connect makes. */
export function tlsConnect(settings: Configuration, native: Native, self: unknown, args: readonly unknown[]): unknown {
  const [options, callback] = tlsArguments(args);
  const checked = options['socket'] || options['path'] ? undefined : connectOptions(options);
  if (checked === undefined) return Reflect.apply(native, self, args);
  const decision = decide(settings, { host: checked.host, port: checked.port, family: checked.family, ownLookup: checked.lookup !== undefined });
  if (decision.way === 'tcp' || (decision.way === 'lookup' && decision.fallback)) {
    const socket = Reflect.apply(native, self, args) as object;
    note(socket, decision.way === 'tcp' ? decision.reason : 'NOT_OURS', `connect ${checked.host}:${checked.port} (tls)`, decision.way === 'tcp' ? decision.error : undefined);
    return socket;
  }
  const inner = new net.Socket({ allowHalfOpen: Boolean(options['allowHalfOpen']) });
  // Node checks the options of TLS in it: the connect comes after, so that nothing is left over where it throws.
  const secure = Reflect.apply(native, self, [{ ...options, socket: inner }, ...(callback === null ? [] : [callback])]) as InternalSocket;
  for (const event of FORWARDED) {
    inner.on(event as 'ready', (...values: unknown[]) => secure.emit(event, ...values));
  }
  passErrors(secure, inner);
  if (options['timeout']) secure.setTimeout(options['timeout'] as number);
  useOnread(secure, options['onread']);
  // Its signal was aborted already: nobody would close the connection.
  if (secure.destroyed) return secure;
  // What else concerns the socket as a whole (timeout, signal, onread) is the TLS socket's.
  inner.connect(options as unknown as net.SocketConnectOpts);
  passOn(secure, inner);
  return secure;
}

/** After TLSSocket's own _init: Node takes a socket without a handle for one that is still connecting. */
export function tlsInit(self: unknown, args: readonly unknown[]): void {
  const inner = args[0];
  if (!(inner instanceof net.Socket) || connectionOf(inner) === undefined) return;
  const secure = self as InternalSocket;
  if (!inner.connecting && !inner.destroyed) secure.connecting = false;
  passErrors(secure, inner);
  passOn(secure, inner);
}

function passOn(secure: InternalSocket, inner: net.Socket): void {
  const connection = connectionOf(inner);
  const handle = (secure._handle as WrappedHandle | null)?._parent;
  if (connection === undefined || handle === undefined) return;
  standOn(handle, inner as unknown as InternalSocket, connection);
  connection.failAbove = (error) => {
    secure.destroy(error);
  };
  // Node asks for the own address once, also while there is none.
  inner.once('connect', () => {
    secure._sockname = null;
  });
}

/**
 * An error of the socket below ends the TLS socket, as it would be the error of its own handle.
 * @note Node 20 to 26: the wrapping stream has just put its listener on the socket below; by way of it the TLS socket would only tell of the error.
 */
function passErrors(secure: InternalSocket, inner: net.Socket): void {
  const wrapping = inner.listeners('error').at(-1);
  if (wrapping !== undefined) inner.off('error', wrapping as () => void);
  inner.on('error', (error) => {
    secure.destroy(error);
  });
}

/** The `onread` option, which Node takes for a TLS socket only where it makes the socket below it as well. */
function useOnread(secure: InternalSocket, onread: unknown): void {
  if (!isObject(onread) || typeof onread['callback'] !== 'function') return;
  const { buffer, callback } = onread;
  const first: unknown = typeof buffer === 'function' ? (buffer as () => unknown)() : buffer;
  if (!(first instanceof Uint8Array)) return;
  secure[kBuffer] = first;
  secure[kBufferCallback] = callback;
  if (typeof buffer === 'function') secure[kBufferGenerator] = buffer;
  (secure._handle as WrappedHandle | null)?.useUserBuffer?.(first);
}
