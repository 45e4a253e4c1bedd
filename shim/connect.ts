/** Socket.prototype.connect: by STP where that is decided, else as Node does it. */
import { channel } from 'node:diagnostics_channel';
import { type Configuration } from './configuration';
import { Attempt } from './connect-attempt';
import { connectOptions } from './connect-options';
import { decide, wishFor } from './decision';
import { connectArguments, connectPublishes, type InternalSocket, isObject, nativeSocket } from './internals';
import { note } from './note';
import { type ReasonCode } from './reasons';
import { release } from './stp-socket';
import { watchedLookup } from './watched-lookup';

export type Native = (this: unknown, ...args: unknown[]) => unknown;

const clientSockets = channel('net.client.socket');

export function connect(settings: Configuration, native: Native, self: unknown, args: readonly unknown[]): unknown {
  const socket = self as InternalSocket;
  const [raw, callback] = connectArguments(args);
  const byNode = (): unknown => Reflect.apply(native, self, args);
  if (!isObject(raw) || (socket._parent?.connecting ?? false)) return byNode();
  release(socket);
  const decided = (reason: ReasonCode, what: string, error?: Error): unknown => {
    note(socket, reason, what, error);
    return byNode();
  };
  if (raw['path']) return decided('UNIX_PATH', 'connect');
  const options = connectOptions(raw);
  if (options === undefined) return byNode();
  const what = `connect ${options.host}:${options.port}`;
  const attempt = new Attempt(socket, settings, options, (address) => {
    // The callback waits for 'connect' already.
    Reflect.apply(native, self, [address === undefined ? raw : { ...raw, host: address, lookup: undefined }]);
  });
  if (socket._handle !== null && !socket.destroyed) {
    // The handle is Node's own: a TLS socket's (tls.connect has decided about that one), or one that the program brought.
    if (wishFor(settings, options.host, options.port).wish !== 'stp') return 'encrypted' in socket ? byNode() : decided('HAS_HANDLE', what);
    process.nextTick(() => {
      attempt.refuse();
    });
    return socket;
  }
  const decision = decide(settings, { host: options.host, port: options.port, family: options.family, ownLookup: options.lookup !== undefined });
  if (decision.way === 'tcp') return decided(decision.reason, what, decision.error);
  if (decision.way === 'lookup' && decision.fallback) {
    // Node resolves the name and connects, unless the name turns out to be this system's.
    note(socket, 'NOT_OURS', what);
    const lookup = watchedLookup(attempt);
    return Reflect.apply(native, self, callback === null ? [{ ...raw, lookup }] : [{ ...raw, lookup }, callback]);
  }
  if (callback !== null) socket.once('connect', callback);
  prepare(socket, connectPublishes(native));
  attempt.start(decision);
  return socket;
}

/** What net.js does to a socket that begins to connect, be it new or used before. */
function prepare(socket: InternalSocket, publish: boolean): void {
  if (publish && clientSockets.hasSubscribers) clientSockets.publish({ socket });
  // A half-closed socket of before has a `write` of its own, which fails.
  if (socket.write !== nativeSocket.write) socket.write = nativeSocket.write;
  if (socket.destroyed) {
    socket._handle = null;
    socket._peername = null;
  }
  socket._undestroy();
  socket._sockname = null;
  socket._unrefTimer();
  socket.connecting = true;
}
