import { StpError } from '../errors';
import { SocketState } from '../layout';
import { give } from '../engine';
import { clientProcess } from './check';
import { runtime } from './runtime';
import { encodeToken } from './token';
import { type StpClientId } from './types';

/**
 * Offers a live connection to another process. Afterwards the descriptor may only be closed, or wait to be told that it
 * was taken (`taken` of the watcher), when it is closed by itself. The token is passed to the taker by any channel; it
 * works once. STPclose before the take resets the connection, and so does the end of STP_GIVE_TIMEOUT. If the taker
 * dies before it has the socket, the socket is back. Does not wait.
 *
 * Source: "STPgivesocket"; as z/OS givesocket.
 * @param s - a connected descriptor
 * @param clientId - the process that may take it (STPgetclientid of the taker); null or process 0: any process that has
 * the token
 * @returns the token
 * @throws EBADF, EINVAL (bad client id), ENOTCONN, ECONNRESET, ESTPGIVEN (given already)
 */
export function STPgivesocket(s: number, clientId: StpClientId | null): string {
  const call = 'STPgivesocket';
  const endpoint = runtime().endpoint(call, s);
  const client = clientProcess(call, clientId);
  const { socket, runtime: own } = endpoint;
  if (socket.state === SocketState.given) throw new StpError('ESTPGIVEN', undefined, call);
  if (socket.resetErrno !== 0) throw endpoint.receiveError(call) ?? new StpError('ECONNRESET', undefined, call);
  if (!socket.connected) throw new StpError('ENOTCONN', undefined, call);
  if (endpoint.receivesWait) throw new StpError('EALREADY', 'an STPrecv waits on the socket', call);
  const secret = give(own.engine, socket, client, endpoint.giveTimeoutMs);
  const { self } = own.region;
  return encodeToken({
    process: self.number,
    epoch: self.epoch,
    socket: socket.index,
    generation: socket.generation,
    secret,
  });
}
