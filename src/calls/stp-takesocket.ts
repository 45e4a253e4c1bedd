import { StpError } from '../errors';
import { take } from '../engine';
import { runtime } from './runtime';
import { decodeToken } from './token';

/**
 * Takes a connection that another process gave. Waits until it is here, with every byte that was under way in either
 * direction.
 *
 * Source: "STPtakesocket"; as z/OS takesocket: "a new descriptor for the same connection".
 * @param token - what STPgivesocket returned
 * @returns a promise of the new descriptor
 * @throws (rejects) EINVAL (no token), EBADF (not given, or taken already), EACCES (not given to this process),
 * ECONNRESET, EMFILE, ENOSPC
 */
export async function STPtakesocket(token: string): Promise<number> {
  const call = 'STPtakesocket';
  const parts = decodeToken(call, token);
  const own = runtime();
  const giver = own.engine.peer(parts.process, parts.epoch);
  if (giver === undefined) throw new StpError('EBADF', 'its giver is not in the region any more', call);
  const endpoint = own.adopt(own.engine.open());
  return new Promise<number>((resolve, reject) => {
    endpoint.taking = { resolve, reject };
    take(own.engine, endpoint.socket, giver, parts);
    endpoint.updateHold();
  });
}
