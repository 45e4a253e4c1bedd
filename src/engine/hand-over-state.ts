/**
 * How far a hand-over is. Giver: offered -> (waiting) -> freezing -> sending -> sent -> (moving) -> committed. Taker:
 * asking -> filling -> ready.
 *
 * The giver owns the socket up to and including `moving`, in which it waits for room for MOVE; MOVE in the log commits
 * it to the taker. Until then the death of the taker gives it back, and from then on the death of the giver changes
 * nothing.
 */
import { FreezePayload, type MovePayload, SocketState } from '../layout';
import { type Engine } from './engine';
import { type IncomingRecord } from './incoming-record';
import { type Peer } from './peer';
import { type EngineSocket } from './socket';

export interface Giver {
  readonly role: 'giver';
  phase: 'offered' | 'waiting' | 'freezing' | 'sending' | 'sent' | 'moving';
  readonly secret: Uint8Array;
  /** The only process that may take it; 0 any. */
  readonly client: number;
  taker: Peer | null;
  takerSocket: number;
  takerGeneration: number;
  round: number;
  /** Received bytes as they are sent to the taker; the queue keeps its own until the commit. */
  received: Buffer;
  receivedAt: number;
  unsent: Buffer;
  unsentAt: number;
  stateSent: boolean;
}

export interface Taker {
  readonly role: 'taker';
  phase: 'asking' | 'filling' | 'ready';
  readonly giver: Peer;
  giverSocket: number;
  giverGeneration: number;
  receivedLeft: number;
  unsent: Buffer;
  /** Bytes of HAND UNSENT still to come. */
  unsentLeft: number;
  finWanted: boolean;
}

export type HandOver = Giver | Taker;

/** What MOVE says of the taker. */
export type Move = ReturnType<typeof MovePayload.decode>;

export const SECRET_BYTES = 32;
export const EMPTY = Buffer.alloc(0);
/** HandState.flags */
export const FLAG = {
  finSent: 1,
  finAcked: 2,
  finReceived: 4,
  initiator: 8,
  receiveShut: 16,
  finWanted: 32,
  peerGone: 64,
  /** The end of the stream stands for the death of the other end. */
  endedByDeath: 128,
} as const;

/** The state that the flags of a connection amount to. */
export function stateOf(socket: EngineSocket): number {
  if (socket.finSent) return socket.finReceived ? SocketState.closing : SocketState.finWait;
  return socket.finReceived ? SocketState.closeWait : SocketState.established;
}

/** The socket that a record is for, whichever process holds its other end. */
export function socketAt(engine: Engine, record: IncomingRecord): EngineSocket | undefined {
  const socket = engine.sockets[record.socket];
  return socket?.generation === record.generation ? socket : undefined;
}

/** The payload of FREEZE, FROZEN, THAW and HAND READY. */
export function freezePayload(round: number, bytesSent: number): Uint8Array {
  const payload = new Uint8Array(FreezePayload.sizeBytes);
  FreezePayload.encode({ round, bytesSent }, payload);
  return payload;
}
