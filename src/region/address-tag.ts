/**
 * IP addresses as bindings keep them: a hash of 16 bits, as a port of STP belongs to the whole system and the address only tells clients that also have TCP
 * whether the server is the one that they called. Two addresses of one machine that have the same tag by chance are taken for the same.
 */

const FNV_OFFSET = 0x811c_9dc5;
const FNV_PRIME = 0x0100_0193;

/** Any address of the system. */
export const ANY_ADDRESS = 0;

/** The tag of an IP address in its shortest form; never {@link ANY_ADDRESS}. */
export function addressTag(ip: string): number {
  let hash = FNV_OFFSET;
  for (let i = 0; i < ip.length; i += 1) hash = Math.imul(hash ^ ip.charCodeAt(i), FNV_PRIME) >>> 0;
  return ((hash >>> 16) ^ (hash & 0xffff)) || 1;
}
