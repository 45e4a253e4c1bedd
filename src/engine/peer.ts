/**
 * The engine's view of one link: the sockets whose other end is there, the sockets that wait for room in its log, and
 * control records that found none. Nothing overtakes a queued control record, so that ACCEPT precedes data and FIN
 * follows it.
 */
import { StpError } from '../errors';
import { type RecordEnds } from '../layout';
import { type PeerPort } from './ports';
import { nameOf } from './queued-counts';
import { type EngineSocket } from './socket';
import { type Request } from './request';
import { WaitingLine } from './waiting-line';

/**
 * More queued control records than this can only be a peer that floods us and never reads. Dropping one would leave a
 * socket waiting for ever: the link ends.
 */
export const CONTROL_QUEUE_MAX = 262_144;

interface ControlRecord {
  readonly type: number;
  readonly ends: RecordEnds;
  readonly payload: Uint8Array | null;
}

const EARLY_CREDITS = 4;

export class Peer {
  readonly port: PeerPort;
  readonly process: number;
  readonly sockets = new Set<EngineSocket>();
  /** Sockets being handed over to or from that process, while their other end is elsewhere. */
  readonly hands = new Set<EngineSocket>();
  /**
   * Requests of that process whose programs go on before they are accepted, by name: those in queues, and those that
   * were given a socket.
   */
  readonly requests = new Map<string, Request>();
  /**
   * Requests of that process that were made an offer and then refused: their CONNECT, or CANCEL, is on its way. The
   * number of the attempt, by name.
   */
  readonly refusedOffers = new Map<string, number>();
  /** Sockets whose program is to be told that they are connected, once the request is published. */
  readonly untold = new Set<EngineSocket>();
  /** Sockets that wait for room in this log. */
  readonly blocked = new WaitingLine();
  /** An append found no room since it was last made. */
  full = false;
  /**
   * The first credits are given early: V8 undoes compiled code that comes to something for the first time, and compiles
   * it again.
   */
  earlyCredits = EARLY_CREDITS;
  gone = false;
  /** It left a request without an answer: until then others are asked first, milliseconds. */
  lateUntilMs = 0;
  #queue: ControlRecord[] = [];

  constructor(port: PeerPort) {
    this.port = port;
    this.process = port.process;
  }

  /** True while something waits for room in the log. */
  get waiting(): boolean {
    return this.#queue.length > 0 || this.blocked.size > 0;
  }

  /** True while control records wait for room: a request may be among them. */
  get controlWaits(): boolean {
    return this.#queue.length > 0;
  }

  /** A socket has its other end elsewhere from now on, or is no more. */
  part(socket: EngineSocket): void {
    this.sockets.delete(socket);
    if (this.requests.size === 0) return;
    const name = nameOf(socket.remoteSocket, socket.remoteGeneration);
    if (this.requests.get(name)?.accepted === socket) this.requests.delete(name);
  }

  /** Nothing is waited for any more. */
  clear(): void {
    this.blocked.clear();
    this.requests.clear();
    this.untold.clear();
  }

  /** Sends a control record, now or when there is room. `payload` is copied if it must wait. */
  control(type: number, source: number, socket: number, generation: number, payload: Uint8Array | null): void {
    if (this.gone) return;
    const ends = { index: source, remoteSocket: socket, remoteGeneration: generation };
    if (this.#queue.length > 0 || !this.#append(type, ends, payload)) {
      if (this.#queue.length >= CONTROL_QUEUE_MAX)
        this.port.fail(new StpError('ENOBUFS', `process ${this.process} asks and asks, and reads no answers`));
      else this.#queue.push({ type, ends, payload: payload === null ? null : Uint8Array.from(payload) });
      return;
    }
    this.port.publishSoon();
  }

  /** Sends a control record if there is room now and none is queued before it. */
  controlNow(type: number, ends: RecordEnds, payload: Uint8Array): boolean {
    if (this.gone) return true;
    if (this.#queue.length > 0 || !this.#append(type, ends, payload)) {
      this.full = true;
      return false;
    }
    this.port.publishSoon();
    return true;
  }

  /** Sends data or part of it: bytes taken, -1 for no room. */
  data(type: number, ends: RecordEnds, bytes: Uint8Array, from: number, to: number): number {
    const taken = this.gone || this.#queue.length > 0 ? -1 : this.port.append(type, ends, bytes, from, to);
    if (taken < 0) this.full = true;
    return taken;
  }

  block(socket: EngineSocket): void {
    if (!this.gone) this.blocked.add(socket);
  }

  /** Sends queued control records while there is room; true when none is left. */
  drainControl(): boolean {
    let sent = 0;
    for (const { type, ends, payload } of this.#queue) {
      if (!this.#append(type, ends, payload)) break;
      sent += 1;
    }
    if (sent > 0) {
      this.#queue.splice(0, sent);
      this.port.publishSoon();
    }
    return this.#queue.length === 0;
  }

  /** A record that goes whole; false where there is no room for it. */
  #append(type: number, ends: RecordEnds, payload: Uint8Array | null): boolean {
    return this.port.append(type, ends, payload, 0, payload === null ? 0 : payload.length) >= 0;
  }
}
