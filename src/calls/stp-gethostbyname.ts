import { StpError } from '../errors';
import { shown } from './check';
import { runtime } from './runtime';
import { type StpHostEntry } from './types';

/**
 * What the region knows of a system. Names compare without case; the fd00::/8 address that stands for a system is taken
 * as well. Does not wait.
 *
 * Source: "STPgethostbyname(name)".
 * @param name - null: this system
 * @throws EINVAL, EHOSTUNREACH (no process of such a system has been in the region)
 */
export function STPgethostbyname(name: string | null): StpHostEntry {
  const call = 'STPgethostbyname';
  if (name !== null && typeof name !== 'string')
    throw new StpError('EINVAL', `name must be a string or null, not ${shown(name)}`, call);
  const { hosts } = runtime().region;
  const system = name === null ? runtime().system : name.includes(':') ? hosts.systemOfIpv6(name) : name;
  if (system === undefined) throw new StpError('EHOSTUNREACH', `no system has the address ${shown(name)}`, call);
  return hosts.hostByName(system);
}
