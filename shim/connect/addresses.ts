/**
 * Which system a host stands for, and what addresses sockets show.
 *
 * Programs parse addresses, so all look like IP: this system is what the program called it, or loopback; another system is its
 * address of fd00::/8, which the region maps back. Nothing here asks DNS.
 */
import net from 'node:net';
import os from 'node:os';
import { STPgethostbyname, StpError } from '../../src/index';
import { nowMs } from '../../src/host';

export type Family = 4 | 6;

export interface Target {
  /** Name in the region; undefined: this system. */
  readonly system: string | undefined;
  readonly ip: string;
  readonly family: Family;
  /** Addresses that the host stands for by TCP, in their shortest form; undefined: whichever the system has. */
  readonly tcpIps?: readonly string[];
}

/** Where a host leads: to a system of the region, to an address that is no system of ours, or (a name) to whatever DNS says. */
export type Place = Target | 'foreign' | 'unknown-name';

/** How long a list of this machine's addresses is good, milliseconds. */
const INTERFACES_FRESH_MS = 1000;

const loopback = new net.BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');
const systems = new net.BlockList();
systems.addSubnet('fd00::', 8, 'ipv6');
/** "Any" is called as loopback. */
export const ANY_AS_LOOPBACK: ReadonlyMap<string, string> = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
]);

const BOTH_LOOPBACKS = ['127.0.0.1', '::1'];
/** By family. */
const LOCALHOST: Readonly<Record<number, readonly string[]>> = { 4: ['127.0.0.1'], 6: ['::1'] };
const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/iu;

let ownAddresses = new net.BlockList();
let ownAddressesAtMs = -Infinity;

function refreshOwnAddresses(): void {
  const now = nowMs();
  if (now - ownAddressesAtMs < INTERFACES_FRESH_MS) return;
  ownAddressesAtMs = now;
  ownAddresses = new net.BlockList();
  for (const addresses of Object.values(os.networkInterfaces())) {
    for (const { address, family } of addresses ?? []) ownAddresses.addAddress(withoutZone(address), family === 'IPv6' ? 'ipv6' : 'ipv4');
  }
}

function withoutZone(ip: string): string {
  const zone = ip.indexOf('%');
  return zone < 0 ? ip : ip.slice(0, zone);
}

/** An IP address as the system would write it; "any" as the loopback that the kernel takes it for. */
export function shortest(ip: string): string {
  const address = withoutZone(ip);
  const plain = MAPPED_IPV4.exec(address)?.[1] ?? new net.SocketAddress({ address, family: net.isIPv6(address) ? 'ipv6' : 'ipv4' }).address;
  return ANY_AS_LOOPBACK.get(plain) ?? plain;
}

/** Whether an IP address is one of this machine, loopback and "any" included. */
export function isOwnAddress(ip: string): boolean {
  // What nearly every program says; the lists below take some microseconds.
  if (ip === '127.0.0.1' || ip === '::1') return true;
  const address = withoutZone(ip);
  const type = net.isIPv6(address) ? 'ipv6' : 'ipv4';
  if (ANY_AS_LOOPBACK.has(address) || loopback.check(address, type)) return true;
  refreshOwnAddresses();
  return ownAddresses.check(address, type);
}

function isOwnName(name: string): boolean {
  return name === 'localhost' || name === os.hostname().toLowerCase();
}

export function familyOf(ip: string): Family {
  return net.isIPv6(ip) ? 6 : 4;
}

export function loopbackOf(family: Family): string {
  return family === 6 ? '::1' : '127.0.0.1';
}

/**
 * Where `host` leads. `family` is the one that the program wants for a name, 0 any.
 * Throws what opening the region throws, where it must be asked.
 */
export function placeOf(host: string, family: number): Place {
  if (net.isIP(host) !== 0) return placeOfAddress(host);
  const name = host.toLowerCase().replace(/\.$/u, '');
  const ownFamily = family === 6 ? 6 : 4;
  if (isOwnName(name)) return { system: undefined, ip: loopbackOf(ownFamily), family: ownFamily, ...(name === 'localhost' ? { tcpIps: LOCALHOST[family] ?? BOTH_LOOPBACKS } : {}) };
  const entry = hostEntry(name);
  if (entry === undefined) return 'unknown-name';
  if (entry.local) return { system: undefined, ip: loopbackOf(ownFamily), family: ownFamily };
  return { system: entry.name, ip: entry.ipv6, family: 6 };
}

function placeOfAddress(ip: string): Place {
  const family = familyOf(ip);
  if (isOwnAddress(ip)) return { system: undefined, ip, family, tcpIps: [shortest(ip)] };
  if (family === 4 || !systems.check(withoutZone(ip), 'ipv6')) return 'foreign';
  const entry = hostEntry(ip);
  if (entry === undefined) return 'foreign';
  return { system: entry.local ? undefined : entry.name, ip, family };
}

/** What the region knows of a name or an fd00::/8 address; undefined: nothing. */
function hostEntry(name: string): ReturnType<typeof STPgethostbyname> | undefined {
  try {
    return STPgethostbyname(name);
  } catch (error) {
    if (error instanceof StpError && (error.code === 'EHOSTUNREACH' || error.code === 'EINVAL')) return undefined;
    throw error;
  }
}
