/**
 * The IPv6 addresses that stand for systems where programs want an IP address: unique-local (fd00::/8), made from the
 * system's name alone, so that every process of every host comes to the same one.
 */
import { createHash } from 'node:crypto';
import { systemKey } from './names';

const GROUPS = 8;

/** The address of a system: fd, then 120 bits of the SHA-256 of its lower-cased name; spelled as Node spells addresses. */
export function ipv6OfSystem(system: string): string {
  const digest = createHash('sha256').update(systemKey(system)).digest();
  const words: number[] = [0xfd00 | (digest[0] ?? 0)];
  for (let i = 1; i < GROUPS; i += 1) words.push(digest.readUInt16BE(i * 2 - 1));
  return formatIpv6(words);
}

/** The one spelling of an address (lower case, longest run of zeros as '::'), undefined where `text` is none in fd00::/8. */
export function normalizeIpv6(text: string): string | undefined {
  const words = parseIpv6(text);
  return words === undefined || ((words[0] ?? 0) & 0xff00) !== 0xfd00 ? undefined : formatIpv6(words);
}

function parseIpv6(text: string): number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? '');
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '') : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = GROUPS - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

function parseGroups(text: string): number[] | undefined {
  if (text === '') return [];
  const words: number[] = [];
  for (const group of text.split(':')) {
    if (!/^[0-9a-f]{1,4}$/iu.test(group)) return undefined;
    words.push(Number.parseInt(group, 16));
  }
  return words;
}

function formatIpv6(words: readonly number[]): string {
  const { start, length } = longestZeros(words);
  const hex = words.map((word) => word.toString(16));
  if (length < 2) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

/** The first of the longest runs of zeros. */
function longestZeros(words: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  words.forEach((word, i) => {
    if (word !== 0) start = i + 1;
    else if (i + 1 - start > best.length) best = { start, length: i + 1 - start };
  });
  return best;
}
