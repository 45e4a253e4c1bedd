import { AF_STP } from './constants';
import { bindByDefault } from './stp-bind';
import { runtime } from './runtime';
import { type StpAddress } from './types';

/**
 * The own address of a socket. An unbound socket gets its default address by it. Does not wait.
 *
 * Source: "STPgethostname": also "assigns the default address to a socket that was not bound".
 * @throws EBADF, EADDRNOTAVAIL
 */
export function STPgethostname(s: number): StpAddress {
  const endpoint = runtime().endpoint('STPgethostname', s);
  bindByDefault(endpoint);
  return { family: AF_STP, ...endpoint.socket.local };
}
