import { StpError } from '../errors';
import { calledIp } from '../layout';
import { address as checkAddress, boolean, shown } from './check';
import { runtime } from './runtime';
import { type LookupOptions, type StpAddressInput } from './types';

const CALL = 'lookupListener';

/**
 * Whether a live listener for an address is in the region, by the same rules as STPconnect finds it: what a translator
 * asks before it decides between STP and TCP. Opens the region. Does not wait. Not a call of the source.
 * @throws EINVAL, EAFNOSUPPORT, EDESTADDRREQ, what opening the region throws
 */
export function lookupListener(address: StpAddressInput, options: LookupOptions = {}): boolean {
  if (typeof options !== 'object' || (options as unknown) === null)
    throw new StpError('EINVAL', `options must be an object, not ${shown(options)}`, CALL);
  const sameNetwork = boolean(CALL, 'sameNetwork', options.sameNetwork ?? false);
  const own = runtime();
  const { system = own.system, group = own.group, port, ip } = checkAddress(CALL, address, 1);
  const called = { system, group, port, ip: calledIp(ip) };
  const isThere = (): boolean => own.seeListener(called, sameNetwork);
  return isThere() || (own.followRemovalNowAndThen() && isThere());
}
