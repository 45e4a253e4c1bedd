/**
 * Which system a host stands for, and what addresses sockets show.
 *
 * Programs parse addresses, so all look like IP: this system is what the program called it, or loopback; another system is its
 * address of fd00::/8, which the region maps back. Nothing here asks DNS.
 */
import net from 'node:net';
import os from 'node:os';
import { type StpAddress, type StpAddressInput, STPgethostbyname, StpError } from '../src/index';
import { type SocketName } from './internals';

export type Family = 4 | 6;

export interface Target {
  /** Name in the region; undefined: this system. */
  readonly system: string | undefined;
  readonly ip: string;
  readonly family: Family;
  /** Addresses that the host stands for by TCP, in their shortest form; undefined: whichever the system has. */
  readonly tcpIps?: readonly string[];
  /** The one of them at which a listener was found. */
  readonly calledIp?: string;
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
const UNSPECIFIED: ReadonlyMap<string, string> = new Map([
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
  const nowMs = performance.now();
  if (nowMs - ownAddressesAtMs < INTERFACES_FRESH_MS) return;
  ownAddressesAtMs = nowMs;
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
  return UNSPECIFIED.get(plain) ?? plain;
}

/** What a server that listens at `host` binds; '::' is every address. */
export function boundAddress(host: string, port: number): StpAddressInput {
  return host === '::' ? { port } : { port, ip: host };
}

/** Whether an IP address is one of this machine, loopback and "any" included. */
export function isOwnAddress(ip: string): boolean {
  // What nearly every program says; the lists below take some microseconds.
  if (ip === '127.0.0.1' || ip === '::1') return true;
  const address = withoutZone(ip);
  const type = net.isIPv6(address) ? 'ipv6' : 'ipv4';
  if (UNSPECIFIED.has(address) || loopback.check(address, type)) return true;
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

export function socketName(ip: string, port: number): SocketName {
  return { address: ip, family: net.isIPv6(ip) ? 'IPv6' : 'IPv4', port };
}

/** The address from which the kernel calls one of this system, where the program names none. */
function sourceOf(ip: string): string {
  return ip.startsWith('127.') ? loopbackOf(4) : ip;
}

/** What a program calls the two ends of a connection. */
export interface Ips {
  /** The peer; where that is this system, this end too. Undefined: by the peer's system. */
  readonly ip?: string | undefined;
  /** This system, where the peer is of it: of an accepted socket, both ends. */
  readonly ownIp?: string | undefined;
  /** The local address that the program asked for. */
  readonly localIp?: string | undefined;
}

/** Both ends' addresses as a socket shows them. */
export function shownNames(local: StpAddress, remote: StpAddress, ips: Ips): { local: SocketName; remote: SocketName } {
  if (local.system.toLowerCase() === remote.system.toLowerCase()) {
    const { ip = loopbackOf(4), localIp = '' } = ips;
    const peer = ips.ownIp ?? UNSPECIFIED.get(ip) ?? ip;
    const own = localIp === '' || UNSPECIFIED.has(localIp) ? ips.ownIp ?? sourceOf(peer) : localIp;
    return { local: socketName(own, local.port), remote: socketName(peer, remote.port) };
  }
  return { local: socketName(loopbackOf(6), local.port), remote: socketName(ips.ip ?? STPgethostbyname(remote.system).ipv6, remote.port) };
}
