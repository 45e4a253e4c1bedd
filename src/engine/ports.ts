/**
 * What the engine needs from the world, and what it tells. The engine itself does no I/O and has no clock: real links,
 * the real clock and the real region stand behind these in a program, simulated ones in the tests.
 */
import { type StpError } from '../errors';
import { type RecordEnds } from '../layout';
import { type EngineSocket } from './socket';

/** The outgoing side of a link: records for one other process (or for this one). */
export interface PeerPort {
  /** Number of the process in the region. */
  readonly process: number;
  readonly epoch: number;
  /** What is published costs a trip to a file server: better seldom and much. */
  readonly remote: boolean;
  /** The other process has its end of the link. */
  readonly attached: boolean;
  /**
   * Appends one record. DATA and the HAND records may be taken in part: returns the bytes of payload taken. Others go
   * whole or not at all. -1: no room now; the engine is told by `roomMade` when there is.
   */
  append(type: number, ends: RecordEnds, payload: Uint8Array | null, from: number, to: number): number;
  /** Publish what was appended: at once if nothing was published in this turn yet, else at its end. */
  publishNow(): void;
  /** Publish what was appended at the end of this turn. */
  publishSoon(): void;
  /** The link can't go on: what is in it is still received, then the engine is told by `peerGone`. */
  fail(error: StpError): void;
}

export interface EnginePorts {
  readonly system: string;
  readonly group: string;
  readonly socketsMax: number;
  /** Time that only moves forward, milliseconds. */
  nowMs(): number;
  /**
   * The link to a process; undefined where it is not alive (or is another life than `epoch`, where given). May throw
   * ENOSPC, EMFILE...
   */
  peer(process: number, epoch?: number): PeerPort | undefined;
  /**
   * False where a process has given up the link that `peer` still gives: that one ends soon, then there can be another.
   * For what a third process says of it, which may be about the next link.
   */
  holds(process: number): boolean;
  /**
   * Where else a socket may connect that is not accepted yet and asked at a port that several processes share, see
   * `askingCost`; undefined: nowhere.
   */
  another(socket: EngineSocket): PeerPort | undefined;
  /** Random bytes that can't be guessed. */
  secret(bytes: number): Uint8Array;
  /**
   * A socket began, changed its state or ended: its control block is to be written soon. May throw ENOSPC when
   * `begins`.
   */
  changed(socket: EngineSocket, begins: boolean): void;
  /** Bytes moved: its control block may be written late. Told once until the counts are fetched, see moved.ts. */
  counted(socket: EngineSocket): void;
  /** A queue of received bytes became empty or is so no longer: its control block is to tell that soon. */
  unreadChanged(socket: EngineSocket): void;
  /** Runs something soon, outside of any call of an owner, when what was appended before is published. */
  later(run: () => void): void;
  /** A timer was set for an earlier time than any before; call `advance` then. */
  wakeAt(atMs: number): void;
  /** A socket was released; its port is free unless it went to another process with it. */
  released(socket: EngineSocket): void;
}

/**
 * The owner of one socket, which is told about it. All calls are made from `receive`, `roomMade`, `peerGone` and
 * `advance`, never from inside a call of the owner.
 */
export interface SocketOwner {
  readable(availableBytes: number): void;
  writable(): void;
  acceptable(): void;
  connected(error: number): void;
  reset(): void;
  /** STPclose is complete. errno 0: delivered. The socket is released already. */
  closed(errno: number): void;
  /** true: another process has it; false: it is back. */
  taken(taken: boolean): void;
  /** STPtakesocket is complete. */
  took(errno: number): void;
}
