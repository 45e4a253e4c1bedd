/**
 * One socket as the engine keeps it. Plain data; what may happen to it is in handshake.ts, stream.ts and hand-over.ts.
 *
 * Byte counts are absolute since the connection began and survive a hand-over; a count that goes back, or past what was
 * allowed, can only come from a damaged region.
 */
import { SocketState } from '../layout';
import { type Asked, type AskLine } from './asking';
import { type HandOver, type Move } from './hand-over-state';
import { type SocketOwner } from './ports';
import { type Peer } from './peer';
import { type Early, type EarlyOptions } from './early';
import { ReceiveQueue } from './receive-queue';
import { type Request } from './request';
import { type Timer } from './timers';

export interface EngineAddress {
  system: string;
  group: string;
  port: number;
  /** IP address; '' where none is known, which is no wrong for programs that name systems. */
  ip: string;
}

/** A send that waits for credit or room. The bytes belong to the caller until `done`. */
export interface PendingSend {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;
  /** errno 0: all is in the log (or went to the taker with the socket). */
  readonly done: (errno: number) => void;
}

export interface Listener {
  readonly backlog: number;
  readonly queue: Request[];
  readonly asks: Map<Peer, AskLine>;
}

export const DEFAULT_WINDOW_BYTES = 524_288;
/**
 * The same where what is under way takes trips to a file server: five of the longest frames, of which a log holds six.
 */
const REMOTE_WINDOW_BYTES = 1_310_720;

const NONE_ASKED: readonly Asked[] = [];

export class EngineSocket {
  readonly index: number;
  readonly generation: number;
  state: number = SocketState.open;
  owner: SocketOwner | null = null;
  readonly local: EngineAddress;
  readonly remote: EngineAddress = { system: '', group: '', port: 0, ip: '' };
  /** The addresses whose port it has, see src/layout/reach.ts. */
  reach = '';
  listener: Listener | null = null;

  peer: Peer | null = null;
  remoteSocket = 0;
  remoteGeneration = 0;
  /** True for the end that called connect: it goes first where both ends are handed over at once. */
  initiator = false;
  /** Bytes that the peer may send before our owner has read the first of them. */
  windowBytes = DEFAULT_WINDOW_BYTES;
  /** The same as the owner wants it, whichever process the peer is; 0: the owner does not care. */
  windowWantedBytes = 0;

  bytesSent = 0;
  /** The peer's credit: bytesSent never passes it. */
  sendLimitBytes = 0;
  bytesReceived = 0;
  /** What we last told the peer it may send up to. */
  receiveLimitBytes = 0;
  received = new ReceiveQueue();
  /** null: none has waited. */
  unsent: PendingSend[] | null = null;
  unsentBytes = 0;

  /** A synchronous send came short: tell the owner when it may go on. */
  wantsWrite = false;
  owesCredit = false;
  finWanted = false;
  finSent = false;
  finAcked = false;
  finReceived = false;
  /** shutdown(0): what arrives is dropped, and credit given for it. */
  receiveShut = false;
  /** The owner has closed; only delivery is awaited. */
  orphaned = false;
  /** Bytes arrived after the owner closed: the peer is told at the end. */
  discarded = false;
  /** errno of the reset, 0 none. */
  resetErrno = 0;
  /** The peer holds a hand-over of its end: nothing may be sent until MOVE or THAW. */
  frozen = false;
  frozenRound = 0;
  /** FROZEN waits for bytes that were kept for a shared port. */
  frozenAnswerDue = false;
  /** errno of a reset that has to wait for the end of `frozen`, 0 none. */
  resetWhenThawedErrno = 0;
  /** A taker that asks whether it was given the other end; told no if the giver dies without a MOVE. */
  claimant: (() => void) | null = null;
  /** The other end is closed and forgotten (learnt in a hand-over), or its process died when all was read. */
  peerGone = false;
  /** The death of the other end is the end of the stream where that had read all, as TCP has it. */
  deathAsTcp = false;
  /** errno of such a death, 0 none. */
  deathErrno = 0;
  /** No bytes have moved since the owner of the table was last told, or fetched the counts: see {@link moved}. */
  countsFetched = true;
  /** The socket control block that others can read tells of unread bytes. */
  unreadShown = false;
  hand: HandOver | null = null;
  /** What told of the process that has the other end now; null where that one has always had it. */
  attachedBy: Move | null = null;
  /** The number of hand-overs begun. */
  rounds = 0;
  /** The port came or goes with a hand-over: it is not ours to give out again. */
  portForeign = false;

  /** Connect limit, linger limit or give limit: a socket has one at a time. */
  timer: Timer | null = null;
  /** Next try of a connect that found the backlog full, or that waits for an offer. */
  retryTimer: Timer | null = null;
  retries = 0;
  /** First contact with the other process: until then it must have its end of the link. */
  linkTimer: Timer | null = null;
  /** CONNECT waits for that. */
  awaitsLink = false;
  /** Wants to be connected before it is accepted. */
  earlyOptions: EarlyOptions | null = null;
  /** It is, or will be. */
  early: Early | null = null;
  /** Connecting to a port that several processes share: where one can't take it another may. */
  anyListener = false;
  /** The listeners that it asks, while none has made an offer. */
  asked: readonly Asked[] = NONE_ASKED;
  /** Number of the last ASK. */
  attempt = 0;
  /** That of the ASK whose OFFER its CONNECT answers; 0: it did not ask. */
  connectAttempt = 0;

  constructor(index: number, generation: number, system: string, group: string) {
    this.index = index;
    this.generation = generation;
    this.local = { system, group, port: 0, ip: '' };
  }

  wantWindow(bytes: number): void {
    this.windowBytes = this.windowWantedBytes = bytes;
  }

  /** The window for a peer that is now known. */
  openWindow(remote: boolean): void {
    this.windowBytes =
      this.windowWantedBytes > 0 ? this.windowWantedBytes : remote ? REMOTE_WINDOW_BYTES : DEFAULT_WINDOW_BYTES;
  }

  get connected(): boolean {
    return (
      this.state === SocketState.established ||
      this.state === SocketState.finWait ||
      this.state === SocketState.closeWait ||
      this.state === SocketState.closing
    );
  }

  /** True where STPrecv would return at once. */
  get receivable(): boolean {
    return this.received.lengthBytes > 0 || this.finReceived || this.receiveShut || this.resetErrno !== 0;
  }
}
