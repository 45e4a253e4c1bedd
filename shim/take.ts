/** stpTake: a connection that another process gave, as a socket that connects like any other. */
import net from 'node:net';
import { STPclose, STPtakesocket } from '../src/index';
import { codedError } from './node-errors';
import { type Names } from './connection';
import { connected } from './connect-end';
import { type InternalSocket } from './internals';
import { note } from './note';
import { adopt, connectionOf } from './stp-socket';

/**
 * Returns at once, with a socket that emits 'connect' or 'error'. `options` are those of net.Socket. `early`: what the socket shows of its ends before
 * it is connected, where that is known.
 */
export function take(token: string, options?: net.SocketConstructorOpts, early?: Names): net.Socket {
  if (typeof token !== 'string') throw Object.assign(new TypeError('The "token" argument must be of type string.'), { code: 'ERR_INVALID_ARG_TYPE' });
  const socket = new net.Socket(options);
  const internal = socket as unknown as InternalSocket;
  if (internal._handle !== null) throw codedError('ERR_INVALID_ARG_VALUE', "stpTake makes the connection itself: 'fd' and 'handle' can't be given");
  internal.connecting = true;
  const connection = adopt(internal, { descriptor: -1, available: true, ownIp: early?.local.address, early });
  note(socket, 'TAKEN', 'stpTake');
  STPtakesocket(token).then(
    (descriptor) => {
      if (socket.destroyed || connectionOf(socket) !== connection) {
        // Nobody wants it any more: the peer learns that at once.
        STPclose(descriptor).catch(() => undefined);
        return;
      }
      connection.attach(descriptor);
      // Listeners must not run inside a promise: what they throw would be an unhandled rejection.
      process.nextTick(connected, internal, connection);
    },
    (error: unknown) => {
      process.nextTick(() => socket.destroy(error as Error));
    },
  );
  return socket;
}
