/**
 * Clusters: the workers of one listen at the same port, each with an STP listener of its own that shares it, so that connections go straight to
 * a worker and never through the primary. All else is Node's own protocol between them: who listens, the port that "port 0" becomes for
 * all of them, worker.disconnect, errors.
 *
 * Where TCP is allowed the primary has its TCP socket as ever, and hands out what comes there. Under `stp` it gets a handle that holds the STP
 * port and accepts nothing.
 */
import net from 'node:net';
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
} from '../src/index';
import { boundAddress, socketName } from './addresses';
import { type Configuration } from './configuration';
import { type Native } from './connect';
import { wishFor } from './decision';
import { type InternalHandle, type InternalServer, type SocketName } from './internals';
import { failureOf } from './node-errors';

/**
 * The server by which a cluster's primary accepts for its workers: it takes connections as handles and must never get one as a socket.
 * @note Node 20 to 26 (internal/cluster/round_robin_handle.js) make it with `assert.fail` as its only listener.
 */
export function servesWorkers(server: InternalServer): boolean {
  const [first, ...more] = server.listeners('connection');
  return more.length === 0 && first?.name === 'fail' && String(first).includes('ERR_INTERNAL_ASSERTION');
}

/**
 * Stands for the TCP handle of the primary: the port is taken for as long as there are workers, also while none of them listens.
 * @note Node 20 to 26: the primary takes the handle from its server, sets `onconnection`, and calls getsockname and close. Nothing else ever gets it.
 */
export class PortHolder implements InternalHandle {
  onconnection: unknown = null;
  readonly #host: string;
  readonly #port: number;
  #descriptor: number;

  /** Throws what the calls throw. */
  constructor(host: string, port: number) {
    this.#host = host;
    this.#descriptor = STPsocket(PF_STP, SOCK_STREAM, PF_STP);
    try {
      STPsetsockopt(this.#descriptor, SOL_SOCKET, SO_REUSEPORT, true);
      STPbind(this.#descriptor, boundAddress(host, port));
      this.#port = STPgethostname(this.#descriptor).port;
    } catch (error) {
      STPclose(this.#descriptor).catch(() => undefined);
      throw error;
    }
  }

  getsockname(out: SocketName): number {
    Object.assign(out, socketName(this.#host, this.#port));
    return 0;
  }

  close(callback?: () => void): void {
    if (this.#descriptor >= 0) STPclose(this.#descriptor).catch(() => undefined);
    this.#descriptor = -1;
    if (callback !== undefined) process.nextTick(callback);
  }
}

/** How often a port that the system has chosen may turn out to be taken in the region. */
const CHOICES_MAX = 20;

/**
 * The handle that a primary makes for workers that accept themselves (SCHED_NONE), under `stp`: it is bound and nothing more, and two of one port would not be in
 * each other's way. The port is taken in the region with it, so that they are.
 * @note Node 20 to 26 (internal/cluster/shared_handle.js) call `net._createServerHandle` for it and nothing else does; a number is an error.
 */
export function sharedHandle(settings: Configuration, native: Native, args: readonly unknown[]): unknown {
  const [address, port, , fd] = args;
  const host = typeof address === 'string' ? address : '::';
  const make = (): unknown => Reflect.apply(native, net, args);
  if (typeof port !== 'number' || port < 0 || (typeof fd === 'number' && fd >= 0) || wishFor(settings, host, port).wish !== 'stp') return make();
  let errno = 0;
  for (let choices = port === 0 ? CHOICES_MAX : 1; choices > 0; choices -= 1) {
    const made = make();
    if (typeof made === 'number') return made;
    const handle = made as InternalHandle;
    try {
      holdWith(handle, host);
      return handle;
    } catch (error) {
      handle.close();
      ({ errno } = failureOf(error));
    }
  }
  return errno;
}

/** Takes the port of a bound handle in the region for as long as the handle is open. */
function holdWith(handle: InternalHandle, host: string): void {
  const name: Partial<SocketName> = {};
  handle.getsockname?.(name);
  const holder = new PortHolder(host, name.port ?? 0);
  const close: unknown = Reflect.get(handle, 'close');
  Object.defineProperty(handle, 'close', {
    value(this: InternalHandle, ...rest: unknown[]): unknown {
      holder.close();
      return Reflect.apply(close as Native, this, rest);
    },
    configurable: true,
    writable: true,
  });
}

/**
 * What a worker got from its primary must not listen by TCP: a handle of Node's own, where the policy is SCHED_NONE (it is bound and keeps the port), or a
 * stand-in for one.
 */
export function silence(handle: InternalHandle): void {
  Object.defineProperty(handle, 'listen', { value: () => 0, configurable: true, writable: true });
}
