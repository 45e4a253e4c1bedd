import { shownAddress } from './shown-address';
import { bindByDefault } from './stp-bind';
import { runtime } from './runtime';
import { type StpAddress } from './types';

/**
 * The own address of a socket. An unbound socket gets its default address by it. `ip`: what STPbind was told; of an
 * accepted socket the address that the client called; of a connected one the one that its peer sees, where the connect
 * named an address. Does not wait.
 *
 * Source: "STPgethostname": also "assigns the default address to a socket that was not bound".
 * @throws EBADF, EADDRNOTAVAIL
 */
export function STPgethostname(s: number): StpAddress {
  const endpoint = runtime().endpoint('STPgethostname', s);
  bindByDefault(endpoint);
  return shownAddress(endpoint.socket.local);
}
