/**
 * What a bound port covers, and which of several bindings of one port a call is for: the rules of Linux.
 *
 * A reach is a text: '' is every address, '0.0.0.0' all of IPv4, '::' all of IPv6, anything else the one address.
 */
import { IP_BYTES, type IpBytes, IpFamily, ipFamily } from './ip-address';

const EVERYWHERE = '';
const ANY_IPV4 = '0.0.0.0';
const ANY_IPV6 = '::';
const NOT_COVERED = 0;
const BOTH_FAMILIES = 1;
const OWN_FAMILY = 2;
const EXACT = 3;

/** The reach of a socket that is bound to `ip` ('' none was named). `ipv6Only`: '::' and no address leave IPv4 out. */
export function reachOf(ip: string, ipv6Only: boolean): string {
  if (ip !== '' && ip !== ANY_IPV6) return ip;
  return ipv6Only ? ANY_IPV6 : EVERYWHERE;
}

/** True for '', '0.0.0.0' and '::': no address of its own. */
export function isAnyIp(ip: string): boolean {
  return ip === '' || ip === ANY_IPV4 || ip === ANY_IPV6;
}

/** True where some address is covered by both: two sockets can't have one port then, unless both share it. */
export function reachesMeet(a: string, b: string): boolean {
  if (a === b || a === EVERYWHERE || b === EVERYWHERE) return true;
  return ipFamily(a) === ipFamily(b) && (isAnyIp(a) || isAnyIp(b));
}

/**
 * How close a binding is to the address that was called; 0: it does not cover it. Where none was named ('') all are as
 * good.
 */
export function closeness(reach: string, ip: string): number {
  if (ip === '' || reach === EVERYWHERE) return BOTH_FAMILIES;
  if (reach === ip) return EXACT;
  return isAnyIp(reach) && ipFamily(reach) === ipFamily(ip) ? OWN_FAMILY : NOT_COVERED;
}

/** The same in bytes: a binding of `family`, whose address lies at `at` (zero: all of the family). */
export function closenessOfBytes(family: number, bytes: Uint8Array, at: number, called: IpBytes): number {
  if (called.family === IpFamily.none || family === IpFamily.none) return BOTH_FAMILIES;
  if (family !== called.family) return NOT_COVERED;
  let equal = true;
  let zero = true;
  for (let i = 0; i < IP_BYTES; i += 1) {
    const byte = bytes[at + i];
    equal &&= byte === called.bytes[i];
    zero &&= byte === 0;
  }
  return equal ? EXACT : zero ? OWN_FAMILY : NOT_COVERED;
}

/** The address that a call to `ip` reaches: as the kernel has it, "any" is loopback. */
export function calledIp(ip: string): string {
  return ip === ANY_IPV4 ? '127.0.0.1' : ip === ANY_IPV6 ? '::1' : ip;
}

/** The address from which a system calls `ip`, an address of its own, where the caller named none. */
export function sourceIp(ip: string): string {
  return ip.startsWith('127.') ? '127.0.0.1' : ip;
}
