/**
 * Clusters: the workers of one listen at the same port, each with an STP listener of its own that shares it, so that
 * connections go straight to a worker and never through the primary. All else is Node's own protocol between them:
 * which listens, the port that "port 0" becomes for all of them, worker.disconnect, errors.
 *
 * Where TCP is allowed the primary has its TCP socket as ever, and hands out what comes there. Under `stp` it holds the
 * STP port and accepts nothing.
 */
import type net from 'node:net';
import {
  PF_STP,
  SO_REUSEPORT,
  SOCK_STREAM,
  SOL_SOCKET,
  STPbind,
  STPclose,
  STPgethostname,
  STPsetsockopt,
  STPsocket,
} from '../../src/index';
import { type Configuration } from '../configuration';
import { wantedFor } from '../connect/decision';
import { statusOf } from '../node/errors';
import { type Handle, type SocketName } from '../node/handles';
import { type InternalServer } from '../node/internals';
import { socketName } from '../handle/names';
import { UV_TCP_IPV6ONLY } from '../node/status';

/**
 * The server by which a cluster's primary accepts for its workers: it takes connections as handles and must never get
 * one as a socket.
 * @note Node 20 to 26 (internal/cluster/round_robin_handle.js) make it with `assert.fail` as its only listener.
 */
export function servesWorkers(server: InternalServer): boolean {
  const [first, ...more] = server.listeners('connection');
  return more.length === 0 && first?.name === 'fail' && String(first).includes('ERR_INTERNAL_ASSERTION');
}

interface SharedAs {
  readonly ipv6Only: boolean;
}

const shared = new WeakMap<object, SharedAs>();

/** Other processes have the port of the handle as well: a worker has it from its primary, or it was sent. */
export function shareHandle(handle: object, ipv6Only = false): void {
  shared.set(handle, { ipv6Only });
}

/** Undefined: a handle of this process alone. */
export function sharedAs(handle: object): SharedAs | undefined {
  return shared.get(handle);
}

interface HeldAddress {
  readonly ip: string;
  readonly port: number;
  readonly ipv6Only: boolean;
}

/**
 * Takes a port of the region for as long as the handle is open, also while no worker listens: the handle accepts
 * nothing. No other process may have the port, another cluster included; from then on the workers share it. Throws what
 * the calls throw.
 * @note Node 20 to 26: the primary takes the handle from its server, sets `onconnection`, and calls getsockname and
 * close.
 */
export function holdPort(handle: Handle, { ip, port, ipv6Only }: HeldAddress): void {
  const descriptor = STPsocket(PF_STP, SOCK_STREAM, PF_STP);
  let held: number;
  try {
    STPbind(descriptor, { port, ip, ipv6Only });
    STPsetsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, true);
    held = STPgethostname(descriptor).port;
  } catch (error) {
    STPclose(descriptor).catch(() => undefined);
    throw error;
  }
  const close: unknown = Reflect.get(handle, 'close');
  let open = true;
  Object.defineProperty(handle, 'close', {
    value(this: Handle, ...rest: unknown[]): unknown {
      if (open) STPclose(descriptor).catch(() => undefined);
      open = false;
      return Reflect.apply(close as (...args: unknown[]) => unknown, this, rest);
    },
    configurable: true,
    writable: true,
  });
  handle.getsockname = (out: SocketName) => {
    Object.assign(out, socketName(ip, held));
    return 0;
  };
}

/** How often a port that the system has chosen may turn out to be taken in the region. */
const CHOICES_MAX = 20;

/**
 * The handle that a primary makes for workers that accept themselves (SCHED_NONE), under `stp`: it is bound in the
 * kernel, where it goes to the workers, and its port is held in the region with it, so that two of one port are in each
 * other's way.
 * @note Node 20 to 26 (internal/cluster/shared_handle.js) call `net._createServerHandle` for it and nothing else does;
 * a number is an error.
 */
export function sharedHandle(settings: Configuration, make: () => unknown, args: readonly unknown[]): unknown {
  const [address, port, , fd, flags] = args;
  const host = typeof address === 'string' ? address : '::';
  if (typeof port !== 'number' || port < 0 || (typeof fd === 'number' && fd >= 0)) return make();
  if (wantedFor(settings, host, port).wanted !== 'stp') return make();
  let errno = 0;
  for (let choices = port === 0 ? CHOICES_MAX : 1; choices > 0; choices -= 1) {
    const made = make();
    if (typeof made === 'number') return made;
    const handle = made as Handle;
    try {
      const name: SocketName = {};
      handle.getsockname(name);
      const getsockname: unknown = Reflect.get(handle, 'getsockname');
      holdPort(handle, { ip: host, port: name.port ?? 0, ipv6Only: isIpv6Only(flags) });
      Object.assign(handle, { getsockname });
      return handle;
    } catch (error) {
      handle.close();
      errno = statusOf(error);
    }
  }
  return errno;
}

function isIpv6Only(flags: unknown): boolean {
  return typeof flags === 'number' && (flags & UV_TCP_IPV6ONLY) !== 0;
}

type GotHandle = (errno: number, handle: Handle | null) => void;

interface HandleQuery {
  readonly addressType?: unknown;
  readonly flags?: unknown;
}

/** What net.js calls in a worker to have a handle from the primary. */
export interface ClusterInternals {
  _getServer(server: net.Server, query: HandleQuery, done: GotHandle): void;
}

/** @note Node 20 to 26: the type of address of a Unix socket or a pipe. */
const PATH = -1;

/**
 * In a worker: what comes from the primary is shared, and listens at STP as well or alone.
 * @note Node 20 to 26: under round robin it is a plain object whose `listen` does nothing; under SCHED_NONE a TCP
 * handle.
 */
export function getServer(
  native: ClusterInternals['_getServer'],
  args: Parameters<ClusterInternals['_getServer']>,
  listen: (handle: Handle, backlog: number) => number,
  cluster: ClusterInternals,
): void {
  const [server, query, done] = args;
  native.call(cluster, server, query, (errno, handle) => {
    if (handle !== null && typeof handle === 'object' && query.addressType !== PATH) {
      shareHandle(handle, isIpv6Only(query.flags));
      // A TCP handle's own listen is patched.
      if (Object.hasOwn(handle, 'listen'))
        Object.assign(handle, { listen: (backlog: number) => listen(handle, backlog) });
    }
    done(errno, handle);
  });
}
