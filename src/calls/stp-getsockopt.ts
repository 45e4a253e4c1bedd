import { StpError } from '../errors';
import { SocketState } from '../layout';
import { shown } from './check';
import * as C from './constants';
import { runtime } from './runtime';
import { type StpLinger } from './types';

/**
 * Reads a socket option. Does not wait.
 *
 * Source: "STPgetsockopt(s, level, optname, optval, optlen)".
 * @param s - a descriptor
 * @param level - SOL_SOCKET
 * @param name - SO_TYPE, SO_ERROR (cleared by it), SO_REUSEADDR, SO_REUSEPORT, SO_KEEPALIVE, SO_LINGER, SO_RCVBUF,
 * SO_SNDBUF, SO_ACCEPTCONN, SO_NREAD, SO_NWRITE, TCP_NODELAY
 * @returns a number, for SO_LINGER `{ onoff, linger }` (seconds); booleans are 0 and 1
 * @throws EBADF, ENOPROTOOPT
 */
export function STPgetsockopt(s: number, level: number, name: number): number | StpLinger {
  const call = 'STPgetsockopt';
  const endpoint = runtime().endpoint(call, s);
  const { socket } = endpoint;
  if (level !== C.SOL_SOCKET) throw new StpError('ENOPROTOOPT', `level ${shown(level)}`, call);
  switch (name) {
    case C.SO_TYPE:
      return C.SOCK_STREAM;
    case C.SO_ERROR: {
      const errno = endpoint.pendingErrno === 0 ? socket.deathErrno : endpoint.pendingErrno;
      endpoint.pendingErrno = socket.deathErrno = 0;
      return errno;
    }
    case C.SO_REUSEADDR:
      return Number(endpoint.reuseAddress);
    case C.SO_REUSEPORT:
      return Number(endpoint.reusePort);
    case C.SO_KEEPALIVE:
      return Number(endpoint.keepAlive);
    case C.TCP_NODELAY:
      return Number(endpoint.noDelay);
    case C.SO_LINGER:
      return endpoint.linger;
    case C.SO_RCVBUF:
      return socket.windowBytes;
    case C.SO_SNDBUF:
      return endpoint.runtime.region.limits.ringBytes;
    case C.SO_ACCEPTCONN:
      return Number(socket.state === SocketState.listening);
    case C.SO_NREAD:
      return socket.received.lengthBytes;
    case C.SO_NWRITE:
      return socket.unsentBytes;
    default:
      throw new StpError('ENOPROTOOPT', `option ${shown(name)}`, call);
  }
}
