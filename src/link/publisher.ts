/**
 * The half of a link that makes what was appended visible, and wakes the peer for it.
 *
 * Records are published once: at once for the first of a socket in a turn of the event loop, at its end for what
 * follows from that socket, so that many small sends of a turn become one record. A peer that sleeps is rung after
 * that, as the policy says (wake-policy.ts); how far the peer has read, and whether it sleeps, it tells in its own log.
 */
import { byteCrashPoint } from '../crash-points';
import { StpError } from '../errors';
import { ASLEEP } from '../layout';
import { type LogReader, type LogWriter } from '../storage';
import { RecordWriter } from './record-writer';
import { type Turn, WakePolicy } from './wake-policy';

/** What it needs from the poller. */
export interface PublisherOwner extends Turn {
  /** Counts turns of the event loop that looked for records. */
  readonly turn: number;
  /** A look at the links runs, which ends with a look at what else is to be done. */
  readonly polling: boolean;
  /** Something was appended: publish at the end of the turn, and look for answers. */
  publishLater(publisher: Publisher): void;
}

/** What full frames leave over of a burst waits for more, so many turns at most, where it is less than this. */
const REST_TURNS = 4;
const REST_BYTES = 65_536;
const { sleeps: SLEEPS, wantsRoom: WANTS_ROOM, givenUp: GIVEN_UP } = ASLEEP;

interface Settled {
  readonly promise: Promise<StpError | null>;
  readonly resolve: (failure: StpError | null) => void;
}

function settled(): Settled {
  let resolve: Settled['resolve'] = () => undefined;
  const promise = new Promise<StpError | null>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

export abstract class Publisher extends RecordWriter {
  /** Something was published since we last made sure that the peer hears of it, see {@link ringAgain}. */
  unwatched = false;
  in: LogReader | null = null;
  /** The peer will never ring us (another kernel, no FIFOs): to tell it that we sleep would be a write for nothing. */
  unheard = false;
  /** A look at the log is a trip to a file server: none is made that the next turn makes as well. */
  remote = false;
  /** Rings the peer; false: no process hears it. null while there is no bell. */
  ringPeer: (() => boolean) | null = null;

  readonly #owner: PublisherOwner;
  readonly #eager: boolean;
  readonly #capacityBytes: number;
  readonly #wake = new WakePolicy();
  #publishedTurn = -1;
  /** Of what was published last. */
  #publishedSource = -1;
  #settled: Settled | null = null;
  /** Turns that what is left behind them may still wait. */
  #restTurns = 0;

  /** `eager`: publishing costs no more than a store, so that no caller needs to put it off to the end of the turn. */
  constructor(owner: PublisherOwner, out: LogWriter, eager: boolean) {
    super(out);
    this.#owner = owner;
    this.#eager = eager;
    // The log is fresh: all of it is free.
    this.#capacityBytes = out.freeBytes;
  }

  /**
   * A peer that makes room rings only a process that says in its asleep word that it waits for it: one that sleeps
   * already wakes, and says it.
   */
  protected override waitForRoom(): void {
    this.needsRoom = true;
    this.#owner.publishLater(this);
  }

  /** A full frame went out, and with it all that callers wait to see published. */
  protected override spilled(): void {
    if (this.remote) this.#restTurns = REST_TURNS;
    if (this.#settled !== null) this.#settle();
  }

  publishNow(): void {
    // Where it is a trip to a file server, what follows in this turn goes with it.
    if (!this.remote && this.#isFirst()) {
      if (this.#eager && this.#wake.defers(this.#owner)) this.#show();
      else if (this.#publishAll()) return;
    }
    this.#owner.publishLater(this);
  }

  /** True where nothing is left for the end of the turn. */
  #publishAll(): boolean {
    this.publish();
    return this.failure === null && !this.needsRoom && this.ringPeer !== null && this.#owner.polling;
  }

  /** True where the peer has so much of ours to look at that it waits for nothing. */
  peerIsBusy(): boolean {
    if (!this.#eager || this.needsRoom || this.failure !== null) return false;
    this.refreshRoom();
    return this.#wake.isBusy(this.#capacityBytes - this.out.freeBytes - this.out.pendingBytes);
  }

  /**
   * The peer is to work on the answer of one socket while we make that of the next; only what follows from the same
   * socket in this turn waits, to go as one record.
   */
  #isFirst(): boolean {
    return this.#publishedTurn !== this.#owner.turn || (this.#eager && this.#publishedSource !== this.tailSource);
  }

  publishSoon(): void {
    this.#owner.publishLater(this);
  }

  /**
   * True for a few turns where little is left of a burst behind full frames: it had better go with what comes next, for
   * each write is a trip to a file server.
   */
  mayWait(): boolean {
    if (this.#restTurns === 0 || this.failure !== null || this.out.pendingBytes >= REST_BYTES) return false;
    this.#restTurns -= 1;
    return true;
  }

  /** Makes all that was appended visible and wakes the peer if it sleeps. */
  publish(): void {
    if (this.#show() || this.#wake.hasDeferred) this.#ringIf(SLEEPS);
  }

  /** Makes all that was appended visible: true where there was anything. */
  #show(): boolean {
    if (!this.out.dirty || this.failure !== null) return false;
    this.#publishedTurn = this.#owner.turn;
    this.#wake.published(this.out.pendingBytes, this.#publishedSource !== this.tailSource);
    this.#publishedSource = this.tailSource;
    this.tailAt = -1;
    this.#restTurns = 0;
    byteCrashPoint('publish.begun');
    try {
      this.out.publish();
    } catch (error) {
      this.fail(error);
      return false;
    }
    byteCrashPoint('publish.done');
    this.unwatched = true;
    if (this.#settled !== null) this.#settle();
    return true;
  }

  /**
   * For callers that acknowledge: undefined where all that was appended is visible now, whatever becomes of this
   * process; else a promise of that, or of the failure that took it.
   */
  settle(): Promise<StpError | null> | undefined {
    if (this.#eager) this.publish();
    if (!this.out.dirty && this.failure === null) return undefined;
    if (this.failure !== null) return Promise.resolve(this.failure);
    this.#settled ??= settled();
    return this.#settled.promise;
  }

  #settle(): void {
    this.#settled?.resolve(this.failure);
    this.#settled = null;
  }

  #ringIf(bits: number): void {
    const reader = this.in;
    if (reader === null || this.ringPeer === null) return;
    let word: number;
    try {
      word = reader.peerAsleep();
    } catch (error) {
      this.fail(error);
      return;
    }
    if (!this.#wake.isDue(word, bits)) return;
    this.ringPeer();
    byteCrashPoint('publish.rung');
  }

  /** The peer may have gone to sleep before we could ring it. */
  ringIfAsleep(): void {
    this.#ringIf(SLEEPS);
  }

  /**
   * Rings the peer once more where it has not read all that we published, as far as it told: its asleep word may be
   * damaged, and a peer that sleeps and is not woken is worse than a ring for nothing.
   */
  ringAgain(): void {
    this.unwatched = false;
    if (this.failure !== null || this.in === null) return;
    this.refreshRoom();
    if (this.out.freeBytes < this.#capacityBytes) this.ringPeer?.();
  }

  protected override refreshRoom(): boolean {
    if (this.in === null) return false;
    const before = this.out.freeBytes;
    try {
      this.out.released(this.in.peerReadSeen);
      if (this.out.freeBytes === before) this.out.released(this.in.peerRead());
    } catch (error) {
      this.fail(error);
    }
    return this.out.freeBytes > before;
  }

  /**
   * True where there is room again for what found none: enough for records of a good size, or the log would fill with
   * crumbs.
   */
  hasSpace(): boolean {
    if (!this.needsRoom || this.failure !== null) return false;
    this.refreshRoom();
    return this.out.freeBytes >= this.out.claimMaxBytes / 2 && this.out.freeBytes >= 2 * this.reserveBytes;
  }

  /**
   * Tells the peer how far we have read its log, and rings it where it waits for that.
   */
  protected acknowledge(position: number): void {
    try {
      this.out.acknowledge(position);
    } catch (error) {
      this.fail(error);
      return;
    }
    byteCrashPoint('data.told');
    if (this.out.dirty) this.#owner.publishLater(this);
    // A look at the asleep word is one for deferred rings as well: it must not find less than they need.
    this.#ringIf(this.#wake.hasDeferred ? SLEEPS : SLEEPS | WANTS_ROOM);
  }

  /** Announces sleep (or its end) to the peer. `count` names the sleep. */
  setAsleep(asleep: boolean, count: number): void {
    if (this.failure !== null || this.unheard) return;
    const word = ((count << ASLEEP.countShift) | (this.needsRoom ? WANTS_ROOM : 0) | (asleep ? SLEEPS : 0)) >>> 0;
    try {
      this.out.setAsleep(word);
    } catch (error) {
      this.fail(error);
    }
  }

  /**
   * Tells the peer that we read and write no more here. It matters where the names of the logs can't be removed: ours
   * may not be our region's any more, while the peer's is.
   */
  tellGivenUp(): void {
    try {
      this.out.setAsleep(GIVEN_UP);
    } catch {
      // Then the missing files tell.
    }
  }

  /** True where the peer has told that, or its log can't be read any more. */
  get isGivenUp(): boolean {
    try {
      return this.in !== null && (this.in.peerAsleep() & GIVEN_UP) !== 0;
    } catch {
      return true;
    }
  }

  /** The link can't go on; the poller takes it from here. */
  override fail(error: unknown): void {
    this.failure ??= error instanceof StpError ? error : new StpError('EIO', String(error));
    this.#settle();
    this.#owner.publishLater(this);
  }

  /** Nothing more goes out. */
  protected closeOut(failure: StpError): void {
    this.failure ??= failure;
    this.#settle();
    this.out.close();
  }
}
