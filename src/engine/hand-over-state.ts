/**
 * How far a hand-over is. Giver: offered -> (waiting) -> freezing -> sending -> sent -> committed. Taker: asking -> filling -> ready.
 *
 * The giver owns the socket up to and including `sent`; MOVE commits it to the taker. Until then the death of the taker
 * gives it back, and from then on the death of the giver changes nothing.
 */
import { type Peer } from './peer';

export interface Giver {
  readonly role: 'giver';
  phase: 'offered' | 'waiting' | 'freezing' | 'sending' | 'sent';
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
