/** What a system is called by clients and on the command line. */
import { isIP } from 'node:net';
import { STPgethostbyname } from '../index';

/**
 * The system that is meant, '' for this one, and all that it is called: a rule for one of its names is one for
 * it. An IPv6 address of the region is that of the system which it shows.
 */
export function systemOf(host: string): { system: string; names: readonly string[] } {
  const own = STPgethostbyname(null).name;
  // Only what may be an address: the first isIP of a process compiles an expression for 12 ms.
  const isLoopback = host === '::1' || (host.startsWith('127.') && isIP(host) === 4);
  if (isLoopback || ['', 'localhost', own.toLowerCase()].includes(host.toLowerCase()))
    return { system: '', names: [host === '' ? 'localhost' : host, 'localhost', '127.0.0.1', '::1', own] };
  if (!host.includes(':') || isIP(host) !== 6) return { system: host, names: [host] };
  const { name } = STPgethostbyname(host);
  return { system: name, names: [host, name] };
}
