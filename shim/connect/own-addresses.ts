/** The addresses of this machine. Loads nothing heavy: a client in `auto` asks before there is a region. */
import net from 'node:net';
import os from 'node:os';
import { nowMs } from '../../src/host';

/** How long a list of this machine's addresses is good, milliseconds. */
const INTERFACES_FRESH_MS = 1000;

/** Made when it is needed: it takes a process half a millisecond. */
let loopbackList: net.BlockList | undefined;

function loopback(): net.BlockList {
  if (loopbackList === undefined) {
    loopbackList = new net.BlockList();
    loopbackList.addSubnet('127.0.0.0', 8, 'ipv4');
    loopbackList.addAddress('::1', 'ipv6');
  }
  return loopbackList;
}

/** "Any" is called as loopback. */
export const ANY_AS_LOOPBACK: ReadonlyMap<string, string> = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
]);

const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/iu;

let ownAddresses: net.BlockList | undefined;
let ownAddressesAtMs = -Infinity;

function freshOwnAddresses(): net.BlockList {
  const now = nowMs();
  if (ownAddresses !== undefined && now - ownAddressesAtMs < INTERFACES_FRESH_MS) return ownAddresses;
  ownAddressesAtMs = now;
  ownAddresses = new net.BlockList();
  for (const addresses of Object.values(interfaces())) {
    for (const { address, family } of addresses ?? [])
      ownAddresses.addAddress(withoutZone(address), family === 'IPv6' ? 'ipv6' : 'ipv4');
  }
  return ownAddresses;
}

/** None where the system does not tell: only loopback is known to be ours then. */
function interfaces(): ReturnType<typeof os.networkInterfaces> {
  try {
    return os.networkInterfaces();
  } catch {
    return {};
  }
}

export function withoutZone(ip: string): string {
  const zone = ip.indexOf('%');
  return zone < 0 ? ip : ip.slice(0, zone);
}

/** Whether a valid IP address is one of IPv6: `net.isIPv6` has to compile a pattern that takes a millisecond. */
export function isIpv6(ip: string): boolean {
  return ip.includes(':');
}

/** What nearly every program says: it needs no look at any list. */
function isPlainLoopback(ip: string): boolean {
  return ip === '127.0.0.1' || ip === '::1';
}

/** An IP address as the system would write it; "any" as the loopback that the kernel takes it for. */
export function shortest(ip: string): string {
  if (isPlainLoopback(ip)) return ip;
  const address = withoutZone(ip);
  const plain =
    MAPPED_IPV4.exec(address)?.[1] ??
    new net.SocketAddress({ address, family: isIpv6(address) ? 'ipv6' : 'ipv4' }).address;
  return ANY_AS_LOOPBACK.get(plain) ?? plain;
}

/** Whether an IP address is one of this machine, loopback and "any" included. */
export function isOwnAddress(ip: string): boolean {
  if (isPlainLoopback(ip)) return true;
  const address = withoutZone(ip);
  const type = isIpv6(address) ? 'ipv6' : 'ipv4';
  if (ANY_AS_LOOPBACK.has(address) || loopback().check(address, type)) return true;
  return freshOwnAddresses().check(address, type);
}
