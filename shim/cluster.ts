/**
 * Clusters: the workers of one listen at the same port, each with an STP listener of its own that shares it, so that connections go straight to
 * a worker and never through the primary. All else is Node's own protocol between them: who listens, the port that "port 0" becomes for
 * all of them, worker.disconnect, errors.
 *
 * Where TCP is allowed the primary has its TCP socket as ever, and hands out what comes there. Under `stp` it gets a handle that holds the STP
 * port and accepts nothing.
 */
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
import { socketName } from './addresses';
import { type InternalHandle, type InternalServer, type SocketName } from './internals';

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
      STPbind(this.#descriptor, { port });
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

/**
 * What a worker got from its primary must not listen by TCP: a handle of Node's own, where the policy is SCHED_NONE (it is bound and keeps the port), or a
 * stand-in for one.
 */
export function silence(handle: InternalHandle): void {
  Object.defineProperty(handle, 'listen', { value: () => 0, configurable: true, writable: true });
}
