/** stpTake: a connection that another process gave, as a socket that connects like any other. */
import net from 'node:net';
import { STPclose, type StpError, STPtakesocket } from '../../src/index';
import { setImmediate } from '../../src/host';
import { type EndNames } from '../handle/names';
import { StpStream } from '../handle/stream';
import { codedError } from '../node/errors';
import { type InternalSocket, kReinitializeHandle } from '../node/internals';
import { note } from '../note';

/**
 * Returns at once, with a socket that emits 'connect' or 'error'. `options` are those of net.Socket. `early`: what the
 * socket shows of its ends before it is connected, where that is known.
 */
export function take(token: string, options?: net.SocketConstructorOpts, early?: EndNames): net.Socket {
  if (typeof token !== 'string')
    throw Object.assign(new TypeError('The "token" argument must be of type string.'), {
      code: 'ERR_INVALID_ARG_TYPE',
    });
  const socket = new net.Socket(options);
  const internal = socket as unknown as InternalSocket;
  if (internal._handle !== null)
    throw codedError('ERR_INVALID_ARG_VALUE', "stpTake makes the connection itself: 'fd' and 'handle' can't be given");
  const stream = new StpStream();
  stream.ends = { early, mapped: early?.local.address?.startsWith('::ffff:') ?? false };
  (internal[kReinitializeHandle] as (handle: StpStream) => void).call(socket, stream);
  internal.connecting = true;
  if (early !== undefined) internal._peername = early.remote;
  note(socket, 'TAKEN', 'stpTake');
  STPtakesocket(token).then(
    (descriptor) => {
      if (stream.isClosing()) {
        // The program has closed the socket meanwhile: the peer learns that at once.
        STPclose(descriptor).catch(() => undefined);
        return;
      }
      stream.connected = true;
      stream.attach(descriptor, true);
      setImmediate(() => {
        stream.run(connected, internal);
      });
    },
    (error: unknown) => {
      setImmediate(() => {
        stream.run(failed, internal, error as StpError);
      });
    },
  );
  return socket;
}

/** As net.js when a connection stands. */
function connected(socket: InternalSocket): void {
  if (socket.destroyed) return;
  socket.connecting = false;
  socket._sockname = null;
  socket._unrefTimer();
  socket.emit('connect');
  socket.emit('ready');
  if (!socket.isPaused()) socket.read(0);
}

function failed(socket: InternalSocket, error: StpError): void {
  socket.destroy(error);
}
