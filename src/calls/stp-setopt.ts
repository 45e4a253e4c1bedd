import { StpError } from '../errors';
import { SPIN_US_MAX } from '../link';
import { boolean, integer, shown } from './check';
import * as C from './constants';
import { type Endpoint } from './endpoint';
import { runtime } from './runtime';
import { type SocketWatcher } from './types';

const TIMEOUT_MAX_MS = 0x7fff_ffff;
const WATCHER_METHODS = [
  'readable',
  'wants',
  'received',
  'writable',
  'acceptable',
  'connected',
  'dropped',
  'reset',
  'taken',
] as const;

/**
 * Sets an STP parameter of a socket, or of the process (s = -1). Does not wait.
 *
 * Source: "STPsetopt".
 * @param s - a descriptor, or -1 for STP_SPIN
 * @param name - STP_WATCHER, STP_REF, STP_UNREAD, STP_CONNECT_TIMEOUT, STP_CONNECT_LINK_TIMEOUT, STP_GIVE_TIMEOUT
 * (milliseconds),
 *   STP_CONNECT_QUEUED, STP_CONNECT_AWAIT_BUSY, STP_DEATH_AS_TCP; STP_SPIN (microseconds)
 * @throws EBADF, EINVAL, ENOPROTOOPT
 */
export function STPsetopt(s: number, name: typeof C.STP_WATCHER, value: SocketWatcher | null): number;
export function STPsetopt(s: number, name: typeof C.STP_UNREAD, value: Uint8Array): number;
export function STPsetopt(s: number, name: number, value: number | boolean): number;
export function STPsetopt(s: number, name: number, value: unknown): number {
  const call = 'STPsetopt';
  if (s === -1) return ofProcess(call, name, value);
  const endpoint = runtime().endpoint(call, s);
  switch (name) {
    case C.STP_WATCHER:
      endpoint.watch(watcher(call, value));
      return 0;
    case C.STP_REF:
      endpoint.referenced = boolean(call, 'STP_REF', value);
      endpoint.updateHold();
      return 0;
    case C.STP_UNREAD:
      return unread(call, endpoint, value);
    case C.STP_CONNECT_TIMEOUT:
      endpoint.connectTimeoutMs = integer(call, 'STP_CONNECT_TIMEOUT', value, 0, TIMEOUT_MAX_MS);
      return 0;
    case C.STP_CONNECT_QUEUED:
      endpoint.connectQueued = boolean(call, 'STP_CONNECT_QUEUED', value);
      return 0;
    case C.STP_CONNECT_LINK_TIMEOUT:
      endpoint.connectLinkTimeoutMs = integer(call, 'STP_CONNECT_LINK_TIMEOUT', value, 0, TIMEOUT_MAX_MS);
      return 0;
    case C.STP_CONNECT_AWAIT_BUSY:
      endpoint.connectAwaitsBusy = boolean(call, 'STP_CONNECT_AWAIT_BUSY', value);
      return 0;
    case C.STP_DEATH_AS_TCP:
      endpoint.socket.deathAsTcp = boolean(call, 'STP_DEATH_AS_TCP', value);
      return 0;
    case C.STP_GIVE_TIMEOUT:
      endpoint.giveTimeoutMs = integer(call, 'STP_GIVE_TIMEOUT', value, 1, TIMEOUT_MAX_MS);
      return 0;
    default:
      throw new StpError('ENOPROTOOPT', `STP parameter ${shown(name)} is unknown or can't be set`, call);
  }
}

function ofProcess(call: string, name: number, value: unknown): number {
  if (name !== C.STP_SPIN)
    throw new StpError('ENOPROTOOPT', `STP parameter ${shown(name)} of the process is unknown or can't be set`, call);
  const spinUs = integer(call, 'STP_SPIN', value, 0, SPIN_US_MAX);
  runtime().links.poller.spin.maxUs = spinUs;
  return 0;
}

function watcher(call: string, value: unknown): SocketWatcher | null {
  if (value === null) return null;
  if (typeof value !== 'object')
    throw new StpError('EINVAL', `STP_WATCHER takes an object or null, not ${shown(value)}`, call);
  for (const method of WATCHER_METHODS) {
    const given = (value as Record<string, unknown>)[method];
    if (given !== undefined && typeof given !== 'function')
      throw new StpError('EINVAL', `STP_WATCHER.${method} must be a function, not ${shown(given)}`, call);
  }
  return value;
}

/** Bytes that were received and not used go back to the front: only as many as were received can. */
function unread(call: string, endpoint: Endpoint, value: unknown): number {
  if (!(value instanceof Uint8Array))
    throw new StpError('EFAULT', `STP_UNREAD takes a Uint8Array, not ${shown(value)}`, call);
  const { socket } = endpoint;
  if (socket.hand !== null) throw new StpError('ESTPGIVEN', undefined, call);
  if (value.length > socket.bytesReceived - socket.received.lengthBytes)
    throw new StpError('EINVAL', 'STP_UNREAD of more bytes than were received', call);
  if (value.length > 0) socket.received.unread(value);
  return 0;
}
