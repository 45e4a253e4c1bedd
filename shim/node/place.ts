/** Puts a handle under a socket that connects, in place of the one it has. */
import { type Handle, kOwner } from './handles';
import { type InternalSocket, kAsyncId, kBuffer, kBufferGen, kReinitializeHandle } from './internals';

const noop = (): void => undefined;

/** The socket has a handle, which has not begun to connect. */
export function placeHandle(socket: InternalSocket, handle: Handle): void {
  const before = socket._handle;
  handle[kOwner] = socket;
  if (before === null) return;
  const unreferenced = (before._parent ?? before).hasRef?.() === false;
  if (before._parent === undefined) placePlain(socket, before, handle);
  else placeBelowTls(socket, before, handle);
  if (unreferenced) handle.unref?.();
}

/**
 * What initSocketHandle of net.js does, but for the state of the stream: the program may have ended or paused it
 * already.
 */
function placePlain(socket: InternalSocket, before: Handle, handle: Handle): void {
  handle.onread = before.onread;
  socket._handle = handle;
  socket._sockname = null;
  socket[kAsyncId] = handle.getAsyncId();
  const buffer = socket[kBuffer];
  if (buffer instanceof Uint8Array) handle.useUserBuffer?.(buffer);
  before.onread = noop;
  before.close();
}

/**
 * A TLS client: its TLS part is made anew over the handle.
 * @note Node 20 to 26 do so for each further address of a name, by a method of TLSSocket. It resets the stream's state,
 * which is kept here, asks the `onread` option for another buffer, and adds the listener of `--tls-keylog` again. On
 * Node 20 and 22 the TLS part that goes would close the context that both share.
 */
function placeBelowTls(socket: InternalSocket, before: Handle, handle: Handle): void {
  before._secureContext = {};
  Object.defineProperty(socket, '_undestroy', { value: noop, configurable: true });
  const generator = socket[kBufferGen];
  if (socket[kBuffer] instanceof Uint8Array) socket[kBufferGen] = null;
  const keylogListeners = socket.listenerCount('keylog');
  try {
    (socket[kReinitializeHandle] as (handle: Handle) => void).call(socket, handle);
  } finally {
    Reflect.deleteProperty(socket, '_undestroy');
    socket[kBufferGen] = generator;
  }
  for (const listener of socket.listeners('keylog').slice(keylogListeners))
    socket.removeListener('keylog', listener as () => void);
  const placed = socket._handle;
  socket.ssl = placed;
  // These listeners have told the TLS part that went.
  if (socket.listenerCount('session') > 0) placed?.enableSessionCallbacks?.();
  if (socket.listenerCount('keylog') > 0) placed?.enableKeylogCallback?.();
}
