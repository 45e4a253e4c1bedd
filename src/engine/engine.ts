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
import { GonePayload, Reason, RecordType, REQUEST_SOCKET, SocketState, SOCKETS_MAX } from '../layout';
import { withdraw } from './asking';
import { peerGone, type Remains } from './deaths';
import { tellUntold } from './early';
import {
  connectAtExit,
  linkAttached,
  onAccept,
  onAsk,
  onCancel,
  onConnect,
  onDecline,
  onOffered,
  onRefuse,
  sendCancel,
  stopListening,
} from './handshake';
import { handAborted, onClaimAnswered, onHandOver } from './hand-over';
import { ListenerTable } from './listener-table';
import { handPump, moveOn, otherEndGone } from './hand-over-giver';
import { Peer } from './peer';
import { forEach } from './for-each';
import { FreeIndices } from './free-indices';
import { type EnginePorts, type PeerPort, type SocketOwner } from './ports';
import { nameOf, QueuedCounts } from './queued-counts';
import { onEarlyData, onEarlyEnd, type Request } from './request';
import { EngineSocket } from './socket';
import { onCredit, onData, onFin, onFinAck, pump } from './stream';
import { Timers, type Timer } from './timers';

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

  /**
   * One record from a peer. `bytes` is only good during the call, and may change under us: nothing of it is read twice.
   */
  receive(
    peer: Peer,
    type: number,
    source: number,
    index: number,
    generation: number,
    bytes: Buffer,
    at: number,
    lengthBytes: number,
  ): void {
    switch (type) {
      case RecordType.data: {
        const socket = this.lookup(peer, index, generation);
        if (socket !== undefined) onData(this, socket, bytes, at, lengthBytes);
        else if (index === REQUEST_SOCKET) this.#receiveEarly(peer, source, generation, bytes, at, lengthBytes);
        else this.#gone(peer, type, source, index, generation);
        return;
      }
      case RecordType.credit: {
        const socket = this.lookup(peer, index, generation);
        if (socket !== undefined) onCredit(this, socket, bytes, at, lengthBytes);
        return;
      }
      default:
        this.#receiveControl(peer, type, source, index, generation, bytes.subarray(at, at + lengthBytes));
    }
  }

  /** Bytes for a request, which may have its socket by now. */
  #receiveEarly(peer: Peer, source: number, generation: number, bytes: Buffer, at: number, lengthBytes: number): void {
    const request = peer.requests.get(nameOf(source, generation));
    if (request === undefined) this.#gone(peer, RecordType.data, source, REQUEST_SOCKET, generation);
    else if (request.accepted === null) onEarlyData(request, bytes, at, lengthBytes);
    else if (this.#isOpen(peer, request)) onData(this, request.accepted, bytes, at, lengthBytes);
  }

  #isOpen(peer: Peer, { accepted }: Request): boolean {
    return accepted !== null && this.lookup(peer, accepted.index, accepted.generation) !== undefined;
  }

  #receiveControl(peer: Peer, type: number, source: number, index: number, generation: number, payload: Buffer): void {
    if (type === RecordType.connect) onConnect(this, peer, index, payload);
    else if (type === RecordType.ask) onAsk(this, peer, index, payload);
    else if (type === RecordType.offer) onOffered(this, peer, index, generation);
    else if (type === RecordType.decline) onDecline(this, peer, index, generation, payload);
    else if (type === RecordType.cancel) onCancel(this, peer, index, payload);
    else if (type === RecordType.gone) this.#onGone(peer, index, payload);
    else if (!onHandOver(this, peer, type, source, index, generation, payload))
      this.#receiveForSocket(peer, type, source, index, generation, payload);
  }

  #receiveForSocket(
    peer: Peer,
    type: number,
    source: number,
    index: number,
    generation: number,
    payload: Buffer,
  ): void {
    const request = index === REQUEST_SOCKET ? peer.requests.get(nameOf(source, generation)) : undefined;
    if (request?.accepted === null) {
      if (type === RecordType.fin || type === RecordType.reset) onEarlyEnd(request, type, payload);
      return;
    }
    if (type === RecordType.accept) this.queued.settled(index, generation);
    const socket =
      request === undefined
        ? this.lookup(peer, index, generation)
        : this.#isOpen(peer, request)
          ? request.accepted
          : undefined;
    if (socket === undefined) {
      if (type === RecordType.refuse) this.queued.settled(index, generation);
      if (type === RecordType.fin || type === RecordType.accept) this.#gone(peer, type, source, index, generation);
      return;
    }
    if (type === RecordType.accept) onAccept(this, socket, payload);
    else if (type === RecordType.refuse) onRefuse(this, socket, payload);
    else if (type === RecordType.fin) onFin(this, socket, payload);
    else if (type === RecordType.finAck) onFinAck(this, socket);
    else if (type === RecordType.reset) this.abort(socket, reasonOf(payload), false);
    else this.abort(socket, errnoOf('ESTPCORRUPT'), true);
  }

  #gone(peer: Peer, type: number, source: number, socket: number, generation: number): void {
    const payload = new Uint8Array(GonePayload.sizeBytes);
    GonePayload.encode({ socket, generation, type }, payload);
    peer.control(RecordType.gone, 0, source, 0, payload);
  }

  /** Answers a record for a socket that is not there (also used by the hand-over). */
  answerGone(peer: Peer, type: number, source: number, socket: number, generation: number): void {
    this.#gone(peer, type, source, socket, generation);
  }

  #onGone(peer: Peer, index: number, payload: Buffer): void {
    const socket = this.sockets[index];
    if (socket === undefined || payload.length < GonePayload.sizeBytes) return;
    const gone = GonePayload.decode(payload);
    if (gone.type === RecordType.claim) {
      onClaimAnswered(this, peer, socket, gone.socket, gone.generation);
      return;
    }
    if (socket.peer !== peer) return;
    if (socket.remoteSocket !== gone.socket || socket.remoteGeneration !== gone.generation) return;
    // A client that had said all before it was accepted is gone in good order.
    if (gone.type === RecordType.accept && socket.finReceived) return;
    if (gone.type === RecordType.fin) onFinAck(this, socket);
    else if (gone.type === RecordType.freeze) otherEndGone(this, socket);
    else this.abort(socket, errnoOf('ECONNRESET'), false);
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
    if (socket.unsent.length === 0) return;
    const waiting = socket.unsent.splice(0);
    socket.unsentBytes = 0;
    for (const send of waiting) send.done(errno);
  }

  /** A taker that asked whether it was given the other end of this socket: it was not. */
  answerClaim(socket: EngineSocket): void {
    const { claimant } = socket;
    socket.claimant = null;
    claimant?.();
  }

  /**
   * The process ends in good order: what the peer has not been told yet, it is told now if there is room. `unread`:
   * bytes for the socket have come that were never looked at.
   */
  endAtExit(socket: EngineSocket, unread = false): void {
    if (socket.listener !== null) stopListening(this, socket);
    if (socket.state === SocketState.connecting) sendCancel(this, socket);
    if (!socket.connected || socket.finSent) return;
    connectAtExit(this, socket);
    if (unread || socket.received.lengthBytes > 0 || socket.unsentBytes > 0)
      this.tell(socket, RecordType.reset, reason(errnoOf('ECONNRESET')));
    else {
      socket.finWanted = true;
      pump(this, socket, true);
    }
  }

  /** The log to `peer` has room again: the sockets that wait for it are served in turn until it is full. */
  roomMade(peer: Peer): void {
    peer.full = false;
    if (!peer.drainControl()) return;
    tellUntold(this, peer);
    forEach(this.#inLine(peer), (socket) => {
      const before = progress(socket);
      try {
        if (socket.hand !== null) {
          handPump(socket);
          moveOn(this, socket);
        }
        if (this.sockets[socket.index] === socket) pump(this, socket);
      } finally {
        if (peer.full && this.sockets[socket.index] === socket && progress(socket) === before)
          peer.blocked.putFirst(socket);
      }
    });
  }

  /** The sockets that wait, each once, as long as there is room. */
  *#inLine(peer: Peer): Iterable<EngineSocket> {
    for (let left = peer.blocked.size; left > 0 && !peer.full; left--) {
      const socket = peer.blocked.takeFirst();
      if (socket !== undefined && this.sockets[socket.index] === socket) yield socket;
    }
  }

  /** A process died or left, and all that it sent has been received. */
  peerGone(peer: Peer, errno: number, remains?: Remains): void {
    peerGone(this, peer, errno, remains);
  }

  /** The other process has its end of the link now. */
  attached(peer: Peer): void {
    linkAttached(this, peer);
  }
}

/** A number that grows when a socket sends. */
function progress(socket: EngineSocket): number {
  const { hand } = socket;
  return socket.bytesSent + (hand?.role === 'giver' ? hand.receivedAt + hand.unsentAt : 0);
}

/** The payload of REFUSE, DECLINE, RESET and TAKE REFUSE. */
export function reason(errno: number): Uint8Array {
  const payload = new Uint8Array(Reason.sizeBytes);
  Reason.encode({ errno }, payload);
  return payload;
}

/** The errno in such a payload; ECONNRESET where it is cut short or none. */
export function reasonOf(payload: Buffer): number {
  const errno = payload.length < Reason.sizeBytes ? 0 : Reason.decode(payload).errno;
  return errno === 0 ? errnoOf('ECONNRESET') : errno;
}
