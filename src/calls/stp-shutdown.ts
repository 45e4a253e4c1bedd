import { StpError } from '../errors';
import { SocketState } from '../layout';
import { shutdown } from '../engine';
import { integer } from './check';
import { STPclose } from './stp-close';
import { remember } from './failure';
import { runtime } from './runtime';

/**
 * Shuts one direction of a connection, or both. Does not wait: what was sent before still arrives, then the peer sees
 * the end.
 *
 * Source: "STPshutdown(s, how)": 0 stops incoming, 1 stops outgoing data, 2 both "and then works as STPclose".
 * @param s - a connected descriptor
 * @param how - 0 incoming, 1 outgoing, 2 both, and the descriptor is closed
 * @throws EBADF, EINVAL, ENOTCONN, ECONNRESET, ESTPGIVEN
 */
export function STPshutdown(s: number, how: number): number {
  const call = 'STPshutdown';
  const endpoint = runtime().endpoint(call, s);
  const direction = integer(call, 'how', how, 0, 2);
  const { socket, runtime: own } = endpoint;
  if (socket.state === SocketState.given) throw new StpError('ESTPGIVEN', undefined, call);
  if (socket.resetErrno !== 0) throw endpoint.receiveError(call) ?? new StpError('ECONNRESET', undefined, call);
  if (!socket.connected) throw new StpError('ENOTCONN', undefined, call);
  shutdown(own.engine, socket, direction !== 1, direction !== 0);
  if (direction !== 1) endpoint.readable();
  if (direction === 2) {
    STPclose(s).catch((error: unknown) => remember(error));
  }
  return 0;
}
