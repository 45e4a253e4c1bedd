/**
 * What stands on an STP socket: TLS and http2 run on handles, and a socket without one they wrap in a stream of Node's (JSStreamSocket).
 *
 * @note Node 20 to 26: the wrapping stream's handle has no addresses and no ref; what stands on it asks for them where there are such methods.
 * Wrapped so, the socket below must not end by itself when its peer has ended: with a handle it would not even notice.
 */
import type net from 'node:net';
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
  handle.getpeername = (out) => copyName(below._getpeername(), out);
  handle.getsockname = (out) => copyName(below._getsockname(), out);
  handle.ref = () => below.ref();
  handle.unref = () => below.unref();
  handle.setNoDelay = (enable) => below.setNoDelay(enable);
  handle.setKeepAlive = (enable, initialDelaySeconds = 0) => below.setKeepAlive(enable, initialDelaySeconds * 1000);
}

/** -1: there is none yet, which must not be remembered as the name. */
function copyName(found: SocketName, out: SocketName): number {
  Object.assign(out, found);
  return found.address === undefined ? -1 : 0;
}

/**
 * An http2 session was bound to the socket. It has wrapped the socket by the next tick, and keeps the wrapping stream, whose `stream`
 * is the socket, in a property without a name.
 */
export function boundTo(session: unknown, below: InternalSocket, connection: Connection): void {
  if (!isObject(session)) return;
  process.nextTick(() => {
    for (const key of Object.getOwnPropertySymbols(session)) {
      const wrapping = session[key] as (Partial<net.Socket> & { stream?: unknown; _handle?: StreamHandle | null }) | null | undefined;
      if (wrapping?.stream === below && wrapping._handle) standOn(wrapping._handle, below, connection);
    }
  });
}
