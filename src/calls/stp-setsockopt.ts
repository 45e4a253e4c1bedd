import { StpError } from '../errors';
import { SocketState } from '../layout';
import { boolean, integer, shown } from './check';
import * as C from './constants';
import { type Endpoint } from './endpoint';
import { runtime } from './runtime';
import { type StpLinger } from './types';

const RECEIVE_WINDOW_MIN = 4096;
const RECEIVE_WINDOW_MAX = 1 << 28;
const LINGER_MAX_SECONDS = 2_000_000;

/**
 * Sets a socket option. Does not wait.
 *
 * Source: "STPsetsockopt(s, level, optname, optval, optlen)".
 * @param s - a descriptor
 * @param level - SOL_SOCKET
 * @param name - SO_REUSEADDR and SO_KEEPALIVE (kept for programs that read them back; STP needs neither), SO_REUSEPORT,
 * SO_LINGER, SO_RCVBUF, TCP_NODELAY
 * @param value - boolean or 0 and 1; bytes for SO_RCVBUF (4096 to 2^28, before the connection); `{ onoff, linger }` for
 * SO_LINGER (seconds)
 * @throws EBADF, EINVAL, EISCONN (SO_RCVBUF of a connection), ENOPROTOOPT
 */
export function STPsetsockopt(s: number, level: number, name: number, value: number | boolean | StpLinger): number {
  const call = 'STPsetsockopt';
  const endpoint = runtime().endpoint(call, s);
  const { socket } = endpoint;
  if (level !== C.SOL_SOCKET) throw new StpError('ENOPROTOOPT', `level ${shown(level)}`, call);
  switch (name) {
    case C.SO_REUSEADDR:
      endpoint.reuseAddress = boolean(call, 'SO_REUSEADDR', value);
      return 0;
    case C.SO_REUSEPORT:
      reusePort(call, endpoint, boolean(call, 'SO_REUSEPORT', value));
      return 0;
    case C.SO_KEEPALIVE:
      endpoint.keepAlive = boolean(call, 'SO_KEEPALIVE', value);
      return 0;
    case C.TCP_NODELAY:
      endpoint.noDelay = boolean(call, 'TCP_NODELAY', value);
      return 0;
    case C.SO_LINGER:
      endpoint.linger = linger(call, value);
      return 0;
    case C.SO_RCVBUF:
      if (socket.state > SocketState.listening)
        throw new StpError('EISCONN', 'SO_RCVBUF is set before the connection', call);
      socket.wantWindow(integer(call, 'SO_RCVBUF', value, RECEIVE_WINDOW_MIN, RECEIVE_WINDOW_MAX));
      return 0;
    default:
      throw new StpError('ENOPROTOOPT', `option ${shown(name)} is unknown or can't be set`, call);
  }
}

/** A port already bound is shared from now on; another socket may have joined it since, so there is no way back. */
function reusePort(call: string, endpoint: Endpoint, shares: boolean): void {
  if (endpoint.portKind === 'bound' && shares !== endpoint.reusePort) {
    if (!shares) throw new StpError('EINVAL', 'a port that is shared stays shared', call);
    const { socket, runtime: own } = endpoint;
    own.region.bindings.share(socket.local.port, socket.local.group, socket.reach);
  }
  endpoint.reusePort = shares;
}

function linger(call: string, value: unknown): StpLinger {
  if (typeof value !== 'object' || value === null)
    throw new StpError('EINVAL', `SO_LINGER takes { onoff, linger }, not ${shown(value)}`, call);
  const given = value as Record<string, unknown>;
  return {
    onoff: boolean(call, 'SO_LINGER.onoff', given['onoff']),
    linger: integer(call, 'SO_LINGER.linger', given['linger'], 0, LINGER_MAX_SECONDS),
  };
}
