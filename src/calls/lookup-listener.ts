import { addressTag } from '../region';
import { address as checkAddress } from './check';
import { runtime } from './runtime';
import { type StpAddressInput } from './types';

/**
 * Whether a live listener for an address is in the region: what a translator asks before it decides between STP and TCP. Opens the
 * region. Does not wait. Not a call of the source.
 * @param ips - IP addresses: only a listener that stands for a server at one of them, or at all (STP_TCP_ADDRESS)
 * @throws what opening the region throws
 */
export function lookupListener(address: StpAddressInput, ips?: readonly string[]): boolean {
  const own = runtime();
  const wanted = checkAddress('lookupListener', address, 1);
  return own.region.bindings.hasListener(wanted.system ?? own.system, wanted.group ?? own.group, wanted.port, ips?.map(addressTag));
}
