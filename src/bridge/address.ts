/**
 * The addresses of forwards, as ssh writes them: parts between colons, an IPv6 address in brackets, and a path wherever
 * a port can stand.
 */
import { isIP } from 'node:net';
import { StpError } from '../errors';

/** Where TCP listens, or is called. */
export type TcpAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/** A port of a system of the region. The system is '' for this one. */
export interface StpAddress {
  readonly system: string;
  readonly port: number;
}

export const PORT_MAX = 65_535;
const LOOPBACK = '127.0.0.1';
/** Longest path of a Unix socket on Linux, without the byte that ends it. */
const UNIX_PATH_MAX_BYTES = 107;

/** An error that names the option, the value, and what is wrong with it. */
export function wrongAddress(option: string, value: string, why: string): StpError {
  return new StpError('ESTPCONFIG', `${option} ${value}: ${why}`);
}

/** The parts between colons; brackets keep theirs. */
export function partsOf(option: string, value: string): string[] {
  const parts: string[] = [];
  let rest = value;
  for (;;) {
    const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(:|$)/u.exec(rest);
    if (match === null) throw wrongAddress(option, value, 'an IPv6 address stands in brackets, as in [::1]:80');
    const [whole, inBrackets, plain, colon] = match;
    if (inBrackets !== undefined && isIP(inBrackets) !== 6)
      throw wrongAddress(option, value, `[${inBrackets}] is no IPv6 address`);
    parts.push(inBrackets ?? plain ?? '');
    if (colon === '') return parts;
    rest = rest.slice(whole.length);
  }
}

/** `least` 0: where 0 asks for a port to be chosen. */
export function portOf(option: string, value: string, text: string, least: 0 | 1): number {
  const port = /^\d{1,5}$/u.test(text) ? Number(text) : -1;
  if (port < least || port > PORT_MAX)
    throw wrongAddress(
      option,
      value,
      `${JSON.stringify(text)} is no port, which is a number from ${least} to ${PORT_MAX}`,
    );
  return port;
}

export function isPath(text: string): boolean {
  return text.includes('/');
}

function pathOf(option: string, value: string, text: string): TcpAddress {
  if (Buffer.byteLength(text) > UNIX_PATH_MAX_BYTES)
    throw wrongAddress(option, value, `the path of a Unix socket has at most ${UNIX_PATH_MAX_BYTES} bytes`);
  return { path: text };
}

/** `[bind:]port` or a path: where to listen. Loopback, unless told; `*` is all addresses. */
export function listenAddress(option: string, value: string, parts: readonly string[]): TcpAddress {
  const [first = '', second] = parts;
  if (second === undefined)
    return isPath(first) ? pathOf(option, value, first) : { host: LOOPBACK, port: portOf(option, value, first, 0) };
  if (isPath(first)) throw wrongAddress(option, value, 'a path takes no port');
  const host = first === '*' ? '::' : first === '' || first === 'localhost' ? LOOPBACK : first;
  if (isIP(host) === 0)
    throw wrongAddress(option, value, `${JSON.stringify(first)} is no IP address to listen at, nor localhost nor *`);
  return { host, port: portOf(option, value, second, 0) };
}

/** `host:port` or a path: what to call by TCP. */
export function targetAddress(option: string, value: string, parts: readonly string[]): TcpAddress {
  const [first = '', second] = parts;
  if (second === undefined) {
    if (isPath(first)) return pathOf(option, value, first);
    throw wrongAddress(option, value, 'host:port or a path is wanted');
  }
  if (first === '' || isPath(first)) throw wrongAddress(option, value, `${JSON.stringify(first)} is no host`);
  return { host: first, port: portOf(option, value, second, 1) };
}

/** `system:port`: what to call in the region. */
export function stpAddress(option: string, value: string, parts: readonly string[]): StpAddress {
  const [system, port] = parts;
  if (system === undefined || port === undefined || parts.length > 2 || isPath(system))
    throw wrongAddress(option, value, 'system:port is wanted');
  return { system, port: portOf(option, value, port, 1) };
}

/** An IPv4 address as such, also at a socket that takes both kinds, and without a zone. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/iu, '').replace(/%.*$/u, '');
}

export function shownTcp(address: TcpAddress): string {
  if ('path' in address) return address.path;
  return `${isIP(address.host) === 6 ? `[${address.host}]` : address.host}:${address.port}`;
}

export function shownStp({ system, port }: StpAddress): string {
  return `stp://${system === '' ? 'localhost' : isIP(system) === 6 ? `[${system}]` : system}:${port}`;
}
