/**
 * What stands on an STP socket: TLS and http2 run on handles, and a socket without one they wrap in a stream of Node's (JSStreamSocket).
 *
 * @note Node 20 to 26: the wrapping stream's handle has no addresses and no ref; what stands on it asks for them where there are such methods.
 * Wrapped so, the socket below must not end by itself when its peer has ended: with a handle it would not even notice.
 */
import net from 'node:net';
import { type Connection } from './connection';
import { type InternalSocket, isObject, type SocketName } from './internals';
import { WrappedWrites, type WriteHandle } from './wrapped-writes';

/** The handle of the wrapping stream, and the methods that it gets. */
export interface StreamHandle extends WriteHandle {
  getpeername?: (out: SocketName) => number;
  getsockname?: (out: SocketName) => number;
  ref?: () => void;
  unref?: () => void;
  setNoDelay?: (enable?: boolean) => void;
  setKeepAlive?: (enable?: boolean, initialDelaySeconds?: number) => void;
}

const writesOf = new WeakMap<StreamHandle, WrappedWrites>();

/** Something stands on the socket from now on, by way of `handle`. */
export function standOn(handle: StreamHandle, below: InternalSocket, connection: Connection): void {
  connection.wrapped = true;
  let writes = writesOf.get(handle);
  if (writes === undefined) writesOf.set(handle, (writes = new WrappedWrites(handle, below)));
  connection.writesAbove = writes;
  (below as unknown as { allowHalfOpen: boolean }).allowHalfOpen = true;
  readAlone(below);
  // Past the socket below while the connection stands: after its end that one may show only what the program itself had asked it for.
  const stands = (): boolean => connection.open && !below.connecting;
  handle.getpeername = (out) => copyName(stands() ? connection.names().remote : below._getpeername(), out);
  handle.getsockname = (out) => copyName(stands() ? connection.names().local : below._getsockname(), out);
  handle.ref = () => below.ref();
  handle.unref = () => below.unref();
  handle.setNoDelay = (enable) => below.setNoDelay(enable);
  handle.setKeepAlive = (enable, initialDelaySeconds = 0) => below.setKeepAlive(enable, initialDelaySeconds * 1000);
}

/**
 * From now on what the socket reads is for what stands on it: with a handle it would not come to the program's listeners either, nor through the
 * text encoding that the program had set before.
 *
 * @note Node 20 to 26: the wrapping stream has just put its listeners on the socket below, behind all others, and takes no text.
 */
function readAlone(below: InternalSocket): void {
  if (readAlready.has(below)) return;
  readAlready.add(below);
  const listeners: Partial<Record<string | symbol, unknown>> = { data: below.rawListeners('data').at(-1), end: below.rawListeners('end').at(-1) };
  const { emit } = below;
  below.emit = function emitAbove(this: unknown, event: string | symbol, ...values: unknown[]): boolean {
    const listener = event === 'data' || event === 'end' ? listeners[event] : undefined;
    if (typeof listener !== 'function') return Reflect.apply(emit, this, [event, ...values]) as boolean;
    Reflect.apply(listener, this, values);
    return true;
  } as typeof emit;
  below.removeAllListeners('readable');
  Object.assign((below as unknown as { _readableState: object })._readableState, { decoder: null });
}

const readAlready = new WeakSet<InternalSocket>();

/** -1: there is none yet, which must not be remembered as the name. */
function copyName(found: SocketName, out: SocketName): number {
  Object.assign(out, found);
  return found.address === undefined ? -1 : 0;
}

/** The stream of Node's that an http2 session wraps a socket in. */
interface WrappingStream extends net.Socket {
  readonly stream?: unknown;
  _handle?: StreamHandle | null;
}

/**
 * An http2 session is being bound to the socket, and is about to wrap it.
 *
 * @note Node 20 to 26: the constructor of a session sets itself on the socket, wraps it, calls setNoDelay of what it has wrapped it in, and
 * then asks that whether it is connecting. This call is where the wrapping stream can be had before it is used: it knows neither its
 * addresses nor that the socket below is connecting, and the session would begin at once.
 */
export function boundTo(session: unknown, below: InternalSocket, connection: Connection): void {
  if (!isObject(session)) return;
  const { prototype } = net.Socket;
  const original = Object.getOwnPropertyDescriptor(prototype, 'setNoDelay');
  if (original === undefined) return;
  const restore = (): void => {
    if (Object.getOwnPropertyDescriptor(prototype, 'setNoDelay')?.value === once) Object.defineProperty(prototype, 'setNoDelay', original);
  };
  const once = function setNoDelay(this: WrappingStream, enable?: boolean): net.Socket {
    restore();
    if (this.stream === below && this._handle) wrap(this, this._handle, below, connection);
    return this.setNoDelay(enable);
  };
  Object.defineProperty(prototype, 'setNoDelay', { ...original, value: once });
  // The constructor has thrown.
  process.nextTick(restore);
}

function wrap(wrapping: WrappingStream, handle: StreamHandle, below: InternalSocket, connection: Connection): void {
  standOn(handle, below, connection);
  if (!below.connecting) return;
  (wrapping as unknown as InternalSocket).connecting = true;
  below.once('connect', () => {
    (wrapping as unknown as InternalSocket).connecting = false;
    wrapping.emit('connect');
  });
}
