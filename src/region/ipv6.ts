/**
 * The IPv6 addresses that stand for systems where programs want an IP address: unique-local (fd00::/8), made from the
 * system's name alone, so that every process of every host comes to the same one.
 */
import { createHash } from 'node:crypto';
import { formatIpv6, parseIpv6 } from '../layout';
import { systemKey } from './names';

const GROUPS = 8;

/**
 * The address of a system: fd, then 120 bits of the SHA-256 of its lower-cased name; spelled as Node spells addresses.
 */
export function ipv6OfSystem(system: string): string {
  const digest = createHash('sha256').update(systemKey(system)).digest();
  const words: number[] = [0xfd00 | (digest[0] ?? 0)];
  for (let i = 1; i < GROUPS; i += 1) words.push(digest.readUInt16BE(i * 2 - 1));
  return formatIpv6(words);
}

/**
 * The one spelling of an address (lower case, longest run of zeros as '::'), undefined where `text` is none in
 * fd00::/8.
 */
export function normalizeIpv6(text: string): string | undefined {
  const words = parseIpv6(text);
  return words === undefined || ((words[0] ?? 0) & 0xff00) !== 0xfd00 ? undefined : formatIpv6(words);
}
