/** Checks of what callers pass. Each throws an StpError that names the argument and what it was. */
import { StpError } from '../errors';
import { normalizeIp } from '../layout';
import { PORT_MAX } from '../region';
import { AF_STP } from './constants';
import { type StpAddressInput, type StpClientId } from './types';

const NAME = /^[A-Za-z0-9._-]+$/u;

/** A value as it may stand in a message: short, and never a secret or a page of bytes. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return value.length > 40 ? `"${value.slice(0, 37)}..."` : `"${value}"`;
  if (typeof value === 'number' || typeof value === 'boolean' || value === null || value === undefined)
    return String(value);
  if (typeof value === 'bigint') return `${value}n`;
  return typeof value === 'function' ? 'a function' : Array.isArray(value) ? 'an array' : `a ${typeof value}`;
}

export function integer(call: string, name: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new StpError('EINVAL', `${name} must be an integer from ${min} to ${max}, not ${shown(value)}`, call);
}

export function boolean(call: string, name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  if (value === 0 || value === 1) return value === 1;
  throw new StpError('EINVAL', `${name} must be a boolean, not ${shown(value)}`, call);
}

/** Flags of which only `allowed` bits may be set. */
export function flags(call: string, value: unknown, allowed: number): number {
  const bits = integer(call, 'flags', value, 0, 0xffff_ffff);
  if ((bits & ~allowed) !== 0)
    throw new StpError('EINVAL', `flags has unknown bits 0x${(bits & ~allowed).toString(16)}`, call);
  return bits;
}

/** A message and its length: how many bytes of it to use. */
export function messageLength(call: string, message: unknown, length: unknown): number {
  if (!(message instanceof Uint8Array))
    throw new StpError('EFAULT', `message must be a Uint8Array or Buffer, not ${shown(message)}`, call);
  if (length === undefined) return message.length;
  const bytes = integer(call, 'length', length, 0, Number.MAX_SAFE_INTEGER);
  if (bytes > message.length)
    throw new StpError('EFAULT', `length ${bytes} runs past the end of the message (${message.length} bytes)`, call);
  return bytes;
}

function name(call: string, field: string, value: unknown, bytesMax: number): string | undefined {
  if (value === undefined || value === '') return undefined;
  if (typeof value === 'string' && value.length <= bytesMax && NAME.test(value)) return value;
  throw new StpError(
    'EINVAL',
    `${field} must be 1 to ${bytesMax} letters, digits, dots, dashes or underscores, not ${shown(value)}`,
    call,
  );
}

export interface CheckedAddress {
  readonly system: string | undefined;
  readonly group: string | undefined;
  readonly port: number;
  /** In its one spelling; '' none. */
  readonly ip: string;
}

const IP_CHARACTERS_MAX = 80;

function ipAddress(call: string, value: unknown): string {
  if (value === undefined || value === '') return '';
  const ip = typeof value === 'string' && value.length <= IP_CHARACTERS_MAX ? normalizeIp(value) : undefined;
  if (ip === undefined) throw new StpError('EINVAL', `ip must be an IPv4 or IPv6 address, not ${shown(value)}`, call);
  return ip;
}

/**
 * An address argument; null and undefined stand for "all by default". `length`, as in the source, is the text's length
 * or left out.
 */
export function address(call: string, value: StpAddressInput | null | undefined, portMin: 0 | 1): CheckedAddress {
  if (value === null || value === undefined) {
    if (portMin === 0) return { system: undefined, group: undefined, port: 0, ip: '' };
    throw new StpError('EDESTADDRREQ', undefined, call);
  }
  if (typeof value !== 'object')
    throw new StpError('EINVAL', `the address must be an object, not ${shown(value)}`, call);
  if (value.family !== undefined && value.family !== AF_STP)
    throw new StpError('EAFNOSUPPORT', `family ${shown(value.family)}`, call);
  const port = value.port === undefined && portMin === 0 ? 0 : integer(call, 'port', value.port, portMin, PORT_MAX);
  return {
    system: name(call, 'system', value.system, 63),
    group: name(call, 'group', value.group, 15),
    port,
    ip: ipAddress(call, value.ip),
  };
}

/** A client id; null, undefined and a blank one (process 0) stand for any process. Returns its number, 0 for any. */
export function clientProcess(call: string, value: StpClientId | null | undefined): number {
  if (value === null || value === undefined) return 0;
  if (typeof value !== 'object') throw new StpError('EINVAL', `clientId must be an object, not ${shown(value)}`, call);
  if (typeof value.system !== 'string')
    throw new StpError('EINVAL', `clientId.system must be a string, not ${shown(value.system)}`, call);
  integer(call, 'clientId.task', value.task, 0, 0xffff_ffff);
  return integer(call, 'clientId.process', value.process, 0, 0xffff_ffff);
}
