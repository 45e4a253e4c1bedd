import { StpError } from '../errors';
import { SocketState, type SocketStateName } from '../layout';
import { shown } from './check';
import * as C from './constants';
import { runtime } from './runtime';
import { type SocketWatcher } from './types';

const STATE_NAMES = new Map<number, SocketStateName>(
  Object.entries(SocketState).map(([name, value]) => [value, name as SocketStateName]),
);

export interface StpCounts {
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

/**
 * Reads an STP parameter of a socket, or of the process (s = -1). Does not wait.
 *
 * Source: "STPgetopt".
 * @param s - a descriptor, or -1 for STP_SPIN, STP_REGION, STP_DRIVER
 * @param name - STP_WATCHER, STP_REF, STP_CONNECT_TIMEOUT, STP_CONNECT_QUEUED, STP_CONNECT_LINK_TIMEOUT,
 * STP_CONNECT_AWAIT_BUSY, STP_DEATH_AS_TCP, STP_GIVE_TIMEOUT, STP_STATE, STP_COUNTS; STP_SPIN, STP_REGION, STP_DRIVER
 * @throws EBADF, ENOPROTOOPT
 */
export function STPgetopt(s: number, name: typeof C.STP_STATE): SocketStateName;
export function STPgetopt(s: number, name: typeof C.STP_COUNTS): StpCounts;
export function STPgetopt(s: number, name: typeof C.STP_WATCHER): SocketWatcher | null;
export function STPgetopt(
  s: number,
  name: typeof C.STP_REF | typeof C.STP_CONNECT_QUEUED | typeof C.STP_CONNECT_AWAIT_BUSY | typeof C.STP_DEATH_AS_TCP,
): boolean;
export function STPgetopt(s: number, name: typeof C.STP_REGION | typeof C.STP_DRIVER): string;
export function STPgetopt(s: number, name: number): number;
export function STPgetopt(s: number, name: number): number | boolean | string | StpCounts | SocketWatcher | null {
  const call = 'STPgetopt';
  if (s === -1) return ofProcess(call, name);
  const endpoint = runtime().endpoint(call, s);
  const { socket } = endpoint;
  switch (name) {
    case C.STP_WATCHER:
      return endpoint.watcher;
    case C.STP_REF:
      return endpoint.referenced;
    case C.STP_CONNECT_TIMEOUT:
      return endpoint.connectTimeoutMs;
    case C.STP_CONNECT_QUEUED:
      return endpoint.connectQueued;
    case C.STP_CONNECT_LINK_TIMEOUT:
      return endpoint.connectLinkTimeoutMs;
    case C.STP_CONNECT_AWAIT_BUSY:
      return endpoint.connectAwaitsBusy;
    case C.STP_DEATH_AS_TCP:
      return socket.deathAsTcp;
    case C.STP_GIVE_TIMEOUT:
      return endpoint.giveTimeoutMs;
    case C.STP_STATE:
      return STATE_NAMES.get(socket.state) ?? 'free';
    case C.STP_COUNTS:
      return { bytesReceived: socket.bytesReceived, bytesSent: socket.bytesSent };
    default:
      throw new StpError('ENOPROTOOPT', `STP parameter ${shown(name)}`, call);
  }
}

function ofProcess(call: string, name: number): number | string {
  const own = runtime();
  if (name === C.STP_SPIN) return own.links.poller.spin.maxUs;
  if (name === C.STP_REGION) return own.region.storage.root;
  if (name === C.STP_DRIVER) return own.region.storage.driver;
  throw new StpError('ENOPROTOOPT', `STP parameter ${shown(name)} of the process`, call);
}
