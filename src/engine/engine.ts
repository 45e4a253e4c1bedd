/**
 * The connection protocol as a state machine: calls of the owner and records of peers in, records and notices out.
 *
 * Invariants: no I/O and no clock (see ports.ts). Records of one socket leave in order. Every record is for a socket
 * index and generation and is taken only from the process that holds the other end; anything else is answered with GONE
 * or dropped. What breaks the protocol resets the one socket concerned. A socket leaves the table once, through
 * `release`.
 */
import { crashPoint } from '../crash-points';
import { errnoOf, StpError } from '../errors';
import { GonePayload, RecordType, SOCKETS_MAX, SocketState } from '../layout';
import { withdraw } from './asking';
import { FreeIndices } from './free-indices';
import { handAborted } from './hand-over';
import { type RecordName } from './incoming-record';
import { ListenerTable } from './listener-table';
import { Peer } from './peer';
import { type EnginePorts, type PeerPort, type SocketOwner } from './ports';
import { QueuedCounts } from './queued-counts';
import { reason } from './reason';
import { EngineSocket } from './socket';
import { type Timer, Timers } from './timers';

/**
 * A freed index rests while this many younger ones are free, so that a stale descriptor does not soon name another
 * socket.
 */
const REST_COUNT = 64;

export class Engine {
  readonly ports: EnginePorts;
  readonly timers = new Timers();
  readonly sockets: (EngineSocket | undefined)[] = [];
  readonly listeners = new ListenerTable();
  readonly peers = new Map<number, Peer>();
  /** Own requests that wait for an answer of a listener. */
  readonly queued = new QueuedCounts();
  /** Open sockets. */
  count = 0;
  /** How long those that share a port take to answer, a moving mean, milliseconds. */
  answerMs = 0;
  readonly #generations: number[] = [];
  readonly #free = new FreeIndices();

  constructor(ports: EnginePorts) {
    this.ports = ports;
  }

  /** A new socket. EMFILE when the table is full; ENOSPC when its control block can't be stored. */
  open(): EngineSocket {
    const index = this.#takeIndex();
    const generation = (this.#generations[index] ?? 0) + 1;
    const socket = new EngineSocket(index, generation, this.ports.system, this.ports.group);
    try {
      this.ports.changed(socket, true);
    } catch (error) {
      this.#free.add(index);
      throw error;
    }
    this.#generations[index] = generation;
    this.sockets[index] = socket;
    this.count += 1;
    return socket;
  }

  #takeIndex(): number {
    const limit = Math.min(this.ports.socketsMax, SOCKETS_MAX);
    const rested = this.#free.size > REST_COUNT || this.#generations.length >= limit;
    const index = rested ? this.#free.take() : this.#generations.length;
    if (index === undefined) throw new StpError('EMFILE', `a process may hold ${limit} sockets`);
    if (index === this.#generations.length) this.#generations.push(0);
    return index;
  }

  /**
   * Takes a socket out of the table; nothing may use it afterwards. Sends that still wait fail, and a taker that claims
   * it is told.
   */
  release(socket: EngineSocket): void {
    if (this.sockets[socket.index] !== socket) return;
    this.sockets[socket.index] = undefined;
    this.#free.add(socket.index);
    this.count -= 1;
    socket.peer?.part(socket);
    withdraw(this, socket);
    this.queued.dropped(socket);
    this.clearTimers(socket);
    socket.received.clear();
    this.failUnsent(socket, errnoOf('ECONNABORTED'));
    this.answerClaim(socket);
    socket.state = SocketState.free;
    this.ports.changed(socket, false);
    this.ports.released(socket);
  }

  clearTimers(socket: EngineSocket): void {
    this.timers.clear(socket.timer);
    this.timers.clear(socket.retryTimer);
    this.timers.clear(socket.linkTimer);
    socket.timer = null;
    socket.retryTimer = null;
    socket.linkTimer = null;
  }

  timer(delayMs: number, run: () => void): Timer {
    const timer = this.timers.set(this.ports.nowMs() + delayMs, run);
    this.ports.wakeAt(timer.atMs);
    return timer;
  }

  /**
   * Runs due timers; returns when the next is due (Infinity: none). The world is told that too, for an owner may throw.
   */
  advance(): number {
    try {
      this.timers.advance(this.ports.nowMs());
    } finally {
      const nextMs = this.timers.nextMs;
      if (nextMs !== Infinity) this.ports.wakeAt(nextMs);
    }
    return this.timers.nextMs;
  }

  setState(socket: EngineSocket, state: number): void {
    socket.state = state;
    this.ports.changed(socket, false);
  }

  /** The peer of a live process; undefined where it is gone. May throw ENOSPC and the like. */
  peer(process: number, epoch?: number): Peer | undefined {
    const known = this.peers.get(process);
    if (known !== undefined && (epoch === undefined || known.port.epoch === epoch)) return known;
    const port = this.ports.peer(process, epoch);
    return port === undefined ? undefined : this.attachPeer(port);
  }

  /** The peer behind a link, made on first sight. */
  attachPeer(port: PeerPort): Peer {
    const known = this.peers.get(port.process);
    if (known?.port === port) return known;
    const peer = new Peer(port);
    this.peers.set(port.process, peer);
    return peer;
  }

  /** Gives a socket its other end. */
  join(socket: EngineSocket, peer: Peer, remoteSocket: number, remoteGeneration: number): void {
    if (socket.peer !== peer) {
      socket.peer?.part(socket);
      socket.peer = peer;
      peer.sockets.add(socket);
    }
    socket.remoteSocket = remoteSocket;
    socket.remoteGeneration = remoteGeneration;
  }

  /** Takes a socket's other end from it; its owner is not told. */
  part(socket: EngineSocket): void {
    socket.peer?.part(socket);
    socket.peer = null;
  }

  /** The socket a record is for: right index, generation and sender, and not reset; else undefined. */
  lookup(peer: Peer, index: number, generation: number): EngineSocket | undefined {
    const socket = this.sockets[index];
    return socket !== undefined && socket.generation === generation && socket.peer === peer && socket.resetErrno === 0
      ? socket
      : undefined;
  }

  /**
   * Whether the owner may still be told of the connection: it may have let go, or handed it over, during the notice
   * before.
   */
  tellable(socket: EngineSocket): boolean {
    return this.sockets[socket.index] === socket && socket.hand === null && !socket.orphaned;
  }

  /** Sends a control record of `socket` to its other end. */
  tell(socket: EngineSocket, type: number, payload: Uint8Array | null): void {
    socket.peer?.control(type, socket.index, socket.remoteSocket, socket.remoteGeneration, payload);
  }

  /** Answers a record for a socket that is not there. */
  answerGone(peer: Peer, { type, source, socket, generation }: RecordName): void {
    const payload = new Uint8Array(GonePayload.sizeBytes);
    GonePayload.encode({ socket, generation, type }, payload);
    peer.control(RecordType.gone, 0, source, 0, payload);
  }

  /**
   * Ends a connection with an error: the owner learns it, what waits fails, the other end is told where it does not
   * know.
   */
  abort(socket: EngineSocket, errno: number, tellPeer: boolean): void {
    if (this.sockets[socket.index] !== socket || socket.resetErrno !== 0) return;
    if (tellPeer && socket.frozen) {
      socket.resetWhenThawedErrno = errno;
      return;
    }
    // A limit of ours is none of the peer's: to it this is a reset like any other.
    if (tellPeer)
      this.tell(socket, RecordType.reset, reason(errno === errnoOf('ETIMEDOUT') ? errnoOf('ECONNRESET') : errno));
    const connecting = socket.state === SocketState.connecting;
    const owner = socket.owner;
    socket.resetErrno = errno === 0 ? errnoOf('ECONNRESET') : errno;
    this.clearTimers(socket);
    socket.peer?.part(socket);
    withdraw(this, socket);
    this.queued.dropped(socket);
    socket.frozen = false;
    this.failUnsent(socket, socket.resetErrno);
    this.answerClaim(socket);
    if (handAborted(this, socket, socket.resetErrno)) return;
    if (socket.orphaned) {
      this.release(socket);
      owner?.closed(socket.resetErrno);
      return;
    }
    this.setState(socket, SocketState.reset);
    crashPoint('reset.told');
    if (owner === null) return;
    if (connecting) owner.connected(socket.resetErrno);
    else this.#tellReset(socket, owner);
  }

  /** Each notice may throw, and may be the last that the owner wants. */
  #tellReset(socket: EngineSocket, owner: SocketOwner): void {
    const { wantsWrite } = socket;
    socket.wantsWrite = false;
    try {
      owner.reset();
    } finally {
      try {
        if (this.tellable(socket) && socket.received.lengthBytes === 0) owner.readable(0);
      } finally {
        if (wantsWrite && this.tellable(socket)) owner.writable();
      }
    }
  }

  failUnsent(socket: EngineSocket, errno: number): void {
    const waiting = socket.unsent;
    if (waiting === null) return;
    socket.unsent = null;
    socket.unsentBytes = 0;
    for (const send of waiting) send.done(errno);
  }

  /** A taker that asked whether it was given the other end of this socket: it was not. */
  answerClaim(socket: EngineSocket): void {
    const { claimant } = socket;
    socket.claimant = null;
    claimant?.();
  }
}
