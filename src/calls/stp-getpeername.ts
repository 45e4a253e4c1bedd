import { StpError } from '../errors';
import { SocketState } from '../layout';
import { runtime } from './runtime';
import { shownAddress } from './shown-address';
import { type StpAddress } from './types';

/**
 * The address of the other end of a connection; also of one that was reset. Does not wait.
 *
 * Source: "STPgetpeername(s, name, len)".
 * @throws EBADF, ENOTCONN
 */
export function STPgetpeername(s: number): StpAddress {
  const call = 'STPgetpeername';
  const { socket } = runtime().endpoint(call, s);
  if (socket.remote.port === 0 || socket.state === SocketState.connecting)
    throw new StpError('ENOTCONN', undefined, call);
  return shownAddress(socket.remote);
}
