/**
 * IP addresses as text and as the bytes that files and records keep of them: a family and 16 bytes, IPv4 in the first
 * four.
 *
 * Each address has one text, spelled as Node spells it, and one form in bytes, so that both compare by equality. An
 * IPv4 address in IPv6 clothes (::ffff:127.0.0.1) is the IPv4 address. The empty text stands for no address.
 */
import { StpError } from '../errors';

export const IpFamily = { none: 0, ipv4: 4, ipv6: 6 } as const;
export const IP_BYTES = 16;

export interface IpBytes {
  /** A value of IpFamily. */
  readonly family: number;
  /** IP_BYTES of them. */
  readonly bytes: Uint8Array;
}

const IPV4_BYTES = 4;
const GROUPS = 8;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/u;
const ZONE = /%[^%]+$/u;
const NONE: IpBytes = { family: IpFamily.none, bytes: new Uint8Array(IP_BYTES) };
/** A program uses few addresses, each of them often. */
const KNOWN_MAX = 256;
const known = new Map<string, IpBytes>([['', NONE]]);

/** Whether an address in its one text is IPv4 or IPv6. */
export function ipFamily(ip: string): number {
  return ip === '' ? IpFamily.none : ip.includes(':') ? IpFamily.ipv6 : IpFamily.ipv4;
}

/** The one text of an address, undefined where `text` is none. A zone (fe80::1%eth0) is left out. */
export function normalizeIp(text: string): string | undefined {
  if (IPV4.test(text)) return text;
  const words = parseIpv6(text.replace(ZONE, ''));
  if (words === undefined) return undefined;
  return isMapped(words) ? dotted(words) : formatIpv6(words);
}

/** The bytes of an address; EINVAL where `text` is none. The caller must not change them. */
export function ipBytes(text: string): IpBytes {
  let found = known.get(text);
  if (found !== undefined) return found;
  const ip = normalizeIp(text);
  if (ip === undefined) throw new StpError('EINVAL', 'not an IP address');
  const bytes = new Uint8Array(IP_BYTES);
  if (ipFamily(ip) === IpFamily.ipv4) bytes.set(ip.split('.').map(Number));
  else
    (parseIpv6(ip) ?? []).forEach((word, i) => {
      bytes.set([word >> 8, word & 0xff], i * 2);
    });
  found = { family: ipFamily(ip), bytes };
  if (known.size >= KNOWN_MAX) known.clear();
  known.set('', NONE).set(text, found);
  return found;
}

/** The text of an address, '' for none. Undefined: these bytes stand for no address. */
export function ipText(family: number, bytes: Uint8Array): string | undefined {
  if (family === IpFamily.ipv6) {
    const words = Array.from({ length: GROUPS }, (_, i) => ((bytes[i * 2] ?? 0) << 8) | (bytes[i * 2 + 1] ?? 0));
    return isMapped(words) ? undefined : formatIpv6(words);
  }
  const length = family === IpFamily.ipv4 ? IPV4_BYTES : 0;
  if (length === 0 && family !== IpFamily.none) return undefined;
  for (let i = length; i < IP_BYTES; i += 1) if (bytes[i] !== 0) return undefined;
  return length === 0 ? '' : ipv4Text(bytes);
}

/** Most connections have the addresses of the one before: one string for all of them. */
let lastIpv4 = 0;
let lastIpv4Text = '0.0.0.0';

function ipv4Text(bytes: Uint8Array): string {
  const [a = 0, b = 0, c = 0, d = 0] = bytes;
  const address = (a << 24) | (b << 16) | (c << 8) | d;
  if (address === lastIpv4) return lastIpv4Text;
  lastIpv4 = address;
  lastIpv4Text = `${a}.${b}.${c}.${d}`;
  return lastIpv4Text;
}

/** The eight groups of an IPv6 address; undefined where `text` is none. */
export function parseIpv6(text: string): number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '', true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = GROUPS - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

/** Groups between colons; the last two may be written as an IPv4 address where the text ends here. */
function parseGroups(text: string, last: boolean): number[] | undefined {
  if (text === '') return [];
  const words: number[] = [];
  const groups = text.split(':');
  for (const [i, group] of groups.entries()) {
    if (last && i === groups.length - 1 && IPV4.test(group)) {
      const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
      words.push((a << 8) | b, (c << 8) | d);
    } else if (/^[0-9a-f]{1,4}$/iu.test(group)) words.push(Number.parseInt(group, 16));
    else return undefined;
  }
  return words;
}

/**
 * The one spelling of an IPv6 address: lower case, the longest run of zeros as '::', IPv4 behind six zeros with dots.
 */
export function formatIpv6(words: readonly number[]): string {
  const { start, length } = longestZeros(words);
  if (start === 0 && length === GROUPS - 2) return `::${dotted(words)}`;
  const hex = words.map((word) => word.toString(16));
  if (length < 2) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

/** The last two groups as an IPv4 address. */
function dotted(words: readonly number[]): string {
  return words
    .slice(-2)
    .map((word) => `${word >> 8}.${word & 0xff}`)
    .join('.');
}

function isMapped(words: readonly number[]): boolean {
  return words[5] === 0xffff && words.slice(0, 5).every((word) => word === 0);
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
