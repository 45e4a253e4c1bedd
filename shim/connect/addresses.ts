/**
 * Which system a host stands for, and what addresses sockets show.
 *
 * Programs parse addresses, so all look like IP: this system is what the program called it, or loopback; another system
 * is its address of fd00::/8, which the region maps back. Nothing here asks DNS.
 */
import net from 'node:net';
import os from 'node:os';
import { STPgethostbyname, StpError } from '../../src/index';
import { isIpv6, isOwnAddress, shortest, withoutZone } from './own-addresses';

export type Family = 4 | 6;

export interface Target {
  /** Name in the region; undefined: this system. */
  readonly system: string | undefined;
  readonly ip: string;
  readonly family: Family;
  /** The address of this system that is called, which a listener must cover; undefined: whichever the system has. */
  readonly calledIp?: string;
}

/**
 * Where a host leads: to a system of the region, to an address that is no system of ours, or (a name) to whatever DNS
 * says.
 */
export type Place = Target | 'foreign' | 'unknown-name';

const systems = new net.BlockList();
systems.addSubnet('fd00::', 8, 'ipv6');
function isOwnName(name: string): boolean {
  return name === 'localhost' || name === os.hostname().toLowerCase();
}

export function familyOf(ip: string): Family {
  return isIpv6(ip) ? 6 : 4;
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
  if (isOwnName(name)) return { system: undefined, ip: loopbackOf(ownFamily), family: ownFamily };
  const entry = hostEntry(name);
  if (entry === undefined) return 'unknown-name';
  if (entry.local) return { system: undefined, ip: loopbackOf(ownFamily), family: ownFamily };
  return { system: entry.name, ip: entry.ipv6, family: 6 };
}

function placeOfAddress(ip: string): Place {
  const family = familyOf(ip);
  if (isOwnAddress(ip)) return { system: undefined, ip, family, calledIp: shortest(ip) };
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
