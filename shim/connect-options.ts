/** The options of a connect, checked as net.js checks them: what it would throw for is left to it. */
import dns from 'node:dns';
import net from 'node:net';
import { isObject } from './internals';

export type Lookup = (hostname: string, options: Record<string, unknown>, callback: (error: Error | null, address: unknown, family?: number) => void) => void;

export interface ConnectOptions {
  /** `localhost` where the program gave none. */
  readonly host: string;
  readonly port: number;
  /** 0 any. */
  readonly family: number;
  readonly hints: number;
  readonly autoSelectFamily: boolean;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  readonly lookup: Lookup | undefined;
}

function isPort(value: unknown): value is number | string {
  if (typeof value === 'string' ? value.trim() === '' : typeof value !== 'number') return false;
  const port = Number(value);
  return Number.isInteger(port) && port >= 0 && port <= 65_535;
}

const FAMILIES: ReadonlyMap<unknown, number> = new Map<unknown, number>([[undefined, 0], [null, 0], [0, 0], [4, 4], [6, 6], ['IPv4', 4], ['IPv6', 6]]);

/** @note Node 20 to 26: dns.lookup throws for other flags, in the connect itself. A `lookup` of the program's own gets what there is. */
const HINTS = dns.ADDRCONFIG | dns.V4MAPPED | dns.ALL;

function areHints(value: unknown, ownLookup: boolean): boolean {
  return !value || (typeof value === 'number' && (ownLookup || (value & ~HINTS) === 0));
}

function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

/** True where net.js would throw, or do something that is not a connection to a host and a port. */
function isRefused(options: Record<string, unknown>, host: unknown): boolean {
  const { localAddress, localPort, autoSelectFamily, autoSelectFamilyAttemptTimeout: attemptMs, lookup } = options;
  if (typeof host !== 'string' || host.includes('\0') || !isPort(options['port'])) return true;
  if (localAddress && (typeof localAddress !== 'string' || net.isIP(localAddress) === 0)) return true;
  if (localPort && typeof localPort !== 'number') return true;
  if (!isAbsent(autoSelectFamily) && typeof autoSelectFamily !== 'boolean') return true;
  if (!isAbsent(attemptMs) && !(typeof attemptMs === 'number' && Number.isInteger(attemptMs) && attemptMs >= 1 && attemptMs <= 0x7fff_ffff)) return true;
  if (net.isIP(host) !== 0) return false;
  const { family, hints } = options;
  return (!isAbsent(lookup) && typeof lookup !== 'function') || !FAMILIES.has(family) || !areHints(hints, !isAbsent(lookup));
}

/** The checked options, or undefined where net.js has the say. */
export function connectOptions(options: unknown): ConnectOptions | undefined {
  if (!isObject(options)) return undefined;
  const host: unknown = options['host'] ? options['host'] : 'localhost';
  if (isRefused(options, host)) return undefined;
  const { family, hints, localAddress, localPort, lookup, autoSelectFamily } = options;
  return {
    host: host as string,
    port: Number(options['port']),
    family: FAMILIES.get(family) ?? 0,
    hints: typeof hints === 'number' ? hints : 0,
    autoSelectFamily: typeof autoSelectFamily === 'boolean' ? autoSelectFamily : net.getDefaultAutoSelectFamily(),
    localAddress: localAddress ? (localAddress as string) : undefined,
    localPort: localPort ? (localPort as number) : undefined,
    lookup: net.isIP(host as string) === 0 && typeof lookup === 'function' ? (lookup as Lookup) : undefined,
  };
}
