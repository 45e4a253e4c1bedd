/**
 * What the library keeps for one descriptor: the calls that wait, the watcher, the options. The engine's socket is its
 * transport.
 *
 * Waiting calls are served in the order they were made, before the watcher is told.
 */
import { errnoOf, ERRORS, StpError, type ErrorCode } from '../errors';
import { SocketState } from '../layout';
import { accept, acceptedIp, receive, receiveLent, type EngineSocket, type Request, type SocketOwner } from '../engine';
import { type Runtime } from './runtime';
import { shownAddress } from './shown-address';
import { traceReceived, tracing } from './trace';
import { type SocketWatcher, type StpLinger } from './types';

interface WaitingReceive {
  readonly into: Uint8Array;
  readonly length: number;
  readonly peek: boolean;
  readonly resolve: (bytes: number) => void;
  readonly reject: (error: StpError) => void;
}

interface Waiting {
  readonly resolve: (value: number) => void;
  readonly reject: (error: StpError) => void;
}

/** Whose the local port is: an own binding, one of a range for unbound connects, or another socket's. */
export type PortKind = 'none' | 'bound' | 'ephemeral';

const CODES = new Map<number, ErrorCode>((Object.keys(ERRORS) as ErrorCode[]).map((code) => [errnoOf(code), code]));

/** The code of an errno that came over a link; ECONNRESET where it is none of ours. */
export function codeOfErrno(errno: number): ErrorCode {
  return CODES.get(errno) ?? 'ECONNRESET';
}

function acceptError(error: unknown): StpError {
  if (error instanceof StpError) return new StpError(error.code, error.detail, 'STPaccept', { cause: error });
  return new StpError('EIO', String(error), 'STPaccept', { cause: error });
}

/** One for all sockets that were never told otherwise. */
const NO_LINGER: StpLinger = Object.freeze({ onoff: false, linger: 0 });

export class Endpoint implements SocketOwner {
  readonly runtime: Runtime;
  readonly socket: EngineSocket;
  watcher: SocketWatcher | null = null;
  /** An open socket keeps the process alive. */
  referenced = true;
  portKind: PortKind = 'none';
  linger: StpLinger = NO_LINGER;
  reuseAddress = false;
  reusePort = false;
  keepAlive = false;
  noDelay = false;
  connectTimeoutMs = 0;
  /** The program is connected as soon as its request is queued. */
  connectQueued = false;
  connectLinkTimeoutMs = 0;
  /** That limit is only for a process that may be unable to open its end. */
  connectAwaitsBusy = false;
  giveTimeoutMs = 30_000;
  lastErrno = 0;
  /** SO_ERROR, cleared when it is read. */
  pendingErrno = 0;
  connecting: Waiting | null = null;
  closing: Waiting | null = null;
  taking: Waiting | null = null;
  #holds = false;
  #resetTold = false;
  /** Most sockets never have one: undefined so long. */
  #receives: WaitingReceive[] | undefined;
  #accepts: Waiting[] | undefined;

  constructor(runtime: Runtime, socket: EngineSocket) {
    this.runtime = runtime;
    this.socket = socket;
    socket.owner = this;
  }

  /**
   * Sets the watcher. What is there already, of an accepted socket mostly, is told soon: no watcher has been told of
   * it, and the program may have read it by then.
   */
  watch(watcher: SocketWatcher | null): void {
    this.watcher = watcher;
    if (watcher === null || !this.socket.receivable || this.socket.hand !== null) return;
    this.runtime.later(() => {
      this.#tellWhatIsThere(watcher);
    });
  }

  #tellWhatIsThere(watcher: SocketWatcher): void {
    const { socket } = this;
    if (this.watcher !== watcher || this.runtime.endpoints[socket.index] !== this) return;
    if (socket.resetErrno !== 0 && !this.#resetTold) {
      this.#resetTold = true;
      watcher.reset?.();
    }
    if (this.watcher === watcher && socket.receivable && socket.hand === null)
      watcher.readable?.(socket.received.lengthBytes);
  }

  /** Bytes out of the receive queue, 0 where none are there. */
  take(into: Uint8Array, length: number, peek: boolean): number {
    const { socket } = this;
    const n = receive(socket, into, 0, length, peek);
    if (n > 0 && socket.unreadShown && socket.received.lengthBytes === 0) this.runtime.unreadChanged(socket);
    return n;
  }

  /** Counts this socket among those that keep the process alive, or not, as its state asks. */
  updateHold(): void {
    const { state, orphaned, finSent } = this.socket;
    const active = state > SocketState.bound && state !== SocketState.reset;
    // A closed socket must still get its FIN out.
    const holds = active && (this.referenced || (orphaned && !finSent));
    if (holds === this.#holds) return;
    this.#holds = holds;
    this.runtime.hold(holds ? 1 : -1);
  }

  releaseHold(): void {
    if (!this.#holds) return;
    this.#holds = false;
    this.runtime.hold(-1);
  }

  waitReceive(waiting: WaitingReceive): void {
    (this.#receives ??= []).push(waiting);
  }

  get receivesWait(): boolean {
    return this.#receives !== undefined && this.#receives.length > 0;
  }

  waitAccept(waiting: Waiting): void {
    (this.#accepts ??= []).push(waiting);
  }

  get acceptsWait(): boolean {
    return this.#accepts !== undefined && this.#accepts.length > 0;
  }

  /** The error that ends receiving, after the last byte; undefined: end of stream. */
  receiveError(call: string): StpError | undefined {
    const { resetErrno } = this.socket;
    return resetErrno === 0 ? undefined : new StpError(codeOfErrno(resetErrno), undefined, call);
  }

  // --- SocketOwner ---

  readable(): void {
    while (this.#receives !== undefined && this.#receives.length > 0 && this.socket.receivable) {
      const first = this.#receives.shift();
      if (first === undefined) break;
      const n = this.take(first.into, first.length, first.peek);
      const error = n === 0 ? this.receiveError('STPrecv') : undefined;
      if (error === undefined) first.resolve(n);
      else first.reject(error);
    }
    if (this.watcher?.received !== undefined && this.#receivedAtOnce(this.watcher)) return;
    if (this.watcher?.readable === undefined || !this.socket.receivable) return;
    this.watcher.readable(this.socket.received.lengthBytes);
  }

  /** Hands over what has come without a copy, where the watcher takes all of it now. */
  #receivedAtOnce(watcher: SocketWatcher): boolean {
    const { socket } = this;
    const wanted = watcher.wants?.() ?? 0;
    if (!(wanted >= socket.received.lengthBytes) || this.watcher !== watcher) return false;
    const bytes = socket.hand === null ? receiveLent(socket) : null;
    if (bytes === null) return false;
    if (tracing) traceReceived(socket.index, bytes);
    watcher.received?.(bytes);
    return true;
  }

  writable(): void {
    this.watcher?.writable?.();
  }

  acceptable(): void {
    while (this.#accepts !== undefined && this.#accepts.length > 0 && (this.socket.listener?.queue.length ?? 0) > 0) {
      const first = this.#accepts.shift();
      if (first === undefined) break;
      try {
        first.resolve(this.acceptOne());
      } catch (error) {
        first.reject(acceptError(error));
      }
    }
    if ((this.socket.listener?.queue.length ?? 0) > 0) this.watcher?.acceptable?.();
  }

  /**
   * Takes one request out of the queue: the new descriptor, -1 none. Where no socket can be made the request is
   * refused.
   */
  acceptOne(): number {
    const request = this.socket.listener?.queue[0];
    let socket: EngineSocket | undefined;
    try {
      socket = accept(this.runtime.engine, this.socket);
    } catch (error) {
      if (request !== undefined) this.#tellDropped(request);
      throw error;
    }
    if (socket === undefined) return -1;
    const endpoint = this.runtime.adopt(socket);
    endpoint.updateHold();
    return socket.index;
  }

  #tellDropped(request: Request): void {
    const { local } = this.socket;
    this.watcher?.dropped?.(
      shownAddress(request.remote),
      shownAddress({ ...local, ip: acceptedIp(this.socket, request) }),
    );
  }

  connected(errno: number): void {
    const waiting = this.connecting;
    this.connecting = null;
    this.updateHold();
    if (waiting === null) return;
    if (errno !== 0) this.pendingErrno = this.lastErrno = errno;
    const { watcher } = this;
    if (watcher?.connected !== undefined) {
      waiting.resolve(0);
      watcher.connected(errno);
    } else if (errno === 0) waiting.resolve(0);
    else {
      waiting.reject(new StpError(codeOfErrno(errno), undefined, 'STPconnect'));
    }
  }

  reset(): void {
    this.#resetTold = true;
    this.pendingErrno = this.socket.resetErrno;
    this.updateHold();
    for (const waiting of this.#accepts?.splice(0) ?? [])
      waiting.reject(new StpError(codeOfErrno(this.socket.resetErrno), undefined, 'STPaccept'));
    this.watcher?.reset?.();
  }

  closed(errno: number): void {
    this.releaseHold();
    const waiting = this.closing;
    this.closing = null;
    if (errno === 0) waiting?.resolve(0);
    else waiting?.reject(new StpError(codeOfErrno(errno), 'not all that was sent was delivered', 'STPclose'));
  }

  taken(taken: boolean): void {
    if (taken) {
      this.releaseHold();
      this.runtime.forget(this);
    }
    this.watcher?.taken?.(taken);
  }

  took(errno: number): void {
    const waiting = this.taking;
    this.taking = null;
    if (errno === 0) {
      this.updateHold();
      waiting?.resolve(this.socket.index);
      return;
    }
    this.releaseHold();
    this.runtime.forget(this);
    waiting?.reject(new StpError(codeOfErrno(errno), undefined, 'STPtakesocket'));
  }

  /** The descriptor is closed: calls that wait fail. */
  abandon(): void {
    const aborted = (call: string): StpError => new StpError('ECONNABORTED', undefined, call);
    for (const waiting of this.#receives?.splice(0) ?? []) waiting.reject(aborted('STPrecv'));
    for (const waiting of this.#accepts?.splice(0) ?? []) waiting.reject(aborted('STPaccept'));
    this.connecting?.reject(aborted('STPconnect'));
    this.connecting = null;
    this.watcher = null;
  }
}
