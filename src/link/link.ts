/**
 * A link: this process's end of the two logs that join it with one other process (or with itself).
 *
 * Outgoing, records are built in the log in place (record-writer.ts) and published once: at once for the first of a
 * socket in a turn of the event loop, at its end for what follows from that socket, so that many small sends of a turn
 * become one record. Incoming, each record is checked before it is used and given to the sink; at most one per socket
 * and turn, so that a program's ticks and microtasks run between two reads of a socket as they do with TCP.
 *
 * Invariants: nothing read from the peer is used before its bounds are checked, and nothing is read twice. A damaged
 * log ends the link, not the process. We are the only writer of the outgoing log; the peer of the incoming one.
 */
import { crashPoint } from '../crash-points';
import { StpError } from '../errors';
import {
  ASLEEP,
  RECORD_HEADER_BYTES,
  RECORD_PAYLOAD_MAX_BYTES,
  RECORD_TYPE_MAX,
  RecordType,
  REQUEST_SOCKET,
} from '../layout';
import { type LogReader, type LogWriter } from '../storage';
import { sourcesOf, targetsOf } from './leftovers';
import { RecordView } from './record-view';
import { RecordWriter } from './record-writer';
import { gather, GATHER_BYTES_MAX, padded } from './records';
import { type Turn, WakePolicy } from './wake-policy';

/** Where records and news of links go. */
export interface LinkSink {
  /** `record` is good only during the call. */
  record(link: Link, record: RecordView): void;
  /** append() returned -1 before, and now there is room. */
  roomMade(link: Link): void;
}

/** What a link needs from the poller that owns it. */
export interface LinkOwner extends Turn {
  readonly sink: LinkSink;
  /** Counts turns of the event loop that looked for records. */
  readonly turn: number;
  /**
   * Per socket index: the turn in which it was last given a record. As long as there have been sockets; what is past it
   * has none.
   */
  readonly lastTurns: Int32Array;
  /** Records given to the sink. */
  records: number;
  moreAtHand: boolean;
  /** Something was appended: publish at the end of the turn, and look for answers. */
  publishLater(link: Link): void;
}

/** Records of one turn, so that a flood from one peer does not hold up the rest of the loop. */
const TURN_RECORDS_MAX = 1024;
const TURN_BYTES_MAX = 1 << 20;
/** Read positions are told at least so often, bytes: the writer of bulk data must not wait for the end of our turn. */
const ACKNOWLEDGE_BYTES = 32_768;
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

export class Link extends RecordWriter {
  readonly process: number;
  readonly epoch: number;
  /** What the sink knows the link by. */
  tag: unknown = null;
  /** The last poll left records that are there: of a socket that had its record of the turn, or too many for one. */
  behind = false;
  /** The peer's process is gone; what it published is still delivered. */
  peerGone = false;
  /** Something was published since we last made sure that the peer hears of it, see {@link ringAgain}. */
  unwatched = false;
  in: LogReader | null = null;
  /** The peer will never ring us (another kernel, no FIFOs): to tell it that we sleep would be a write for nothing. */
  unheard = false;
  /** A look at the log is a trip to a file server: none is made that the next turn makes as well. */
  remote = false;
  /** Rings the peer; false: no process hears it. null while there is no bell. */
  ringPeer: (() => boolean) | null = null;

  readonly #owner: LinkOwner;
  readonly #eager: boolean;
  readonly #capacityBytes: number;
  readonly #wake = new WakePolicy();
  readonly #record = new RecordView();
  #unacknowledged = 0;
  #publishedTurn = -1;
  /** Of what was published last. */
  #publishedSource = -1;
  #settled: Settled | null = null;
  /** Turns that what is left behind them may still wait. */
  #restTurns = 0;

  /** `eager`: publishing costs no more than a store, so that no caller needs to put it off to the end of the turn. */
  constructor(owner: LinkOwner, process: number, epoch: number, out: LogWriter, eager = false) {
    super(out);
    this.#owner = owner;
    this.#eager = eager;
    this.process = process;
    this.epoch = epoch;
    // The log is fresh: all of it is free.
    this.#capacityBytes = out.freeBytes;
  }

  /** The other process has its end of the link. */
  get attached(): boolean {
    return this.in !== null;
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
      else this.publish();
    }
    this.#owner.publishLater(this);
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
    crashPoint('publish.begun');
    try {
      this.out.publish();
    } catch (error) {
      this.fail(error);
      return false;
    }
    crashPoint('publish.done');
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
    crashPoint('publish.rung');
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

  /** Tells the sink when there is room again for what found none. */
  checkRoom(): boolean {
    if (!this.hasSpace()) return false;
    this.needsRoom = false;
    this.#owner.sink.roomMade(this);
    return true;
  }

  /** True where poll() would find a record. */
  ready(): boolean {
    const reader = this.in;
    if (reader === null) return false;
    try {
      return reader.poll() > 0;
    } catch (error) {
      this.fail(error);
      return true;
    }
  }

  /** True where something was published that can't be read yet: no bell will ring for it again. */
  late(): boolean {
    if (this.in === null || this.failure !== null) return false;
    try {
      return this.in.late();
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  /** Takes in what the peer has published; true where there was anything. */
  poll(): boolean {
    try {
      return this.#pollRecords();
    } finally {
      this.#acknowledge();
    }
  }

  #pollRecords(): boolean {
    let records = 0;
    let bytes = 0;
    let more = true;
    this.behind = false;
    while (more && records < TURN_RECORDS_MAX && bytes < TURN_BYTES_MAX) {
      const reader = this.in;
      if (reader === null || this.failure !== null) break;
      let run: number;
      try {
        run = reader.poll();
      } catch (error) {
        this.fail(error);
        return true;
      }
      if (run === 0) break;
      while (run > 0) {
        const used = this.#deliver(reader, run);
        if (used === 0) {
          more = false;
          break;
        }
        run -= used;
        bytes += used;
        records += 1;
        if (this.in !== reader || records >= TURN_RECORDS_MAX) break;
      }
      // What the program answers must not wait for a look that most often finds nothing.
      if (this.remote) break;
    }
    this.behind = !more || records >= TURN_RECORDS_MAX || bytes >= TURN_BYTES_MAX;
    return records > 0 || !more;
  }

  /** One record: bytes consumed, 0 where it has to wait for the next turn. */
  #deliver(reader: LogReader, run: number): number {
    const record = this.#record;
    record.take(reader);
    const { type, lengthBytes } = record;
    const total = RECORD_HEADER_BYTES + padded(lengthBytes);
    if (run < RECORD_HEADER_BYTES || lengthBytes > RECORD_PAYLOAD_MAX_BYTES || total > run || type > RECORD_TYPE_MAX) {
      this.fail(
        new StpError(
          'ESTPCORRUPT',
          `record of type ${type} and ${lengthBytes} bytes in link ${reader.identity.from}-${reader.identity.to}`,
        ),
      );
      return 0;
    }
    if (type !== RecordType.credit && type !== RecordType.finAck && type !== RecordType.connect) {
      const { lastTurns, turn } = this.#owner;
      // What is for a request goes to a socket that only the engine knows: it takes the turn of one that is chosen by
      // the client's number.
      const index = record.socket === REQUEST_SOCKET ? record.source % lastTurns.length : record.socket;
      if (index < lastTurns.length) {
        if (lastTurns[index] === turn) return 0;
        lastTurns[index] = turn;
      }
    }
    const joins = type === RecordType.data && lengthBytes <= GATHER_BYTES_MAX && total < run;
    const gathered = joins ? gather(reader, run, record) : 0;
    const used = gathered > 0 ? gathered : total;
    this.#owner.records += 1;
    this.#owner.moreAtHand = used < run;
    try {
      this.#owner.sink.record(this, record);
      crashPoint('data.delivered');
    } finally {
      this.#owner.moreAtHand = false;
      // The sink runs the program: it may have closed the link, or thrown; a record is delivered once all the same.
      if (this.in === reader) {
        reader.consume(used);
        this.#unacknowledged += used;
        if (this.#unacknowledged >= ACKNOWLEDGE_BYTES) this.#acknowledge();
      }
    }
    return used;
  }

  /**
   * Sockets here whose bytes the other process had not taken in when it ended, by index. Undefined where that can't be
   * told, or it left a log that can't be.
   */
  unread(): Set<number> | undefined {
    try {
      const rest = this.out.unreadFrom(this.in?.peerRead());
      return rest === undefined ? undefined : sourcesOf(rest);
    } catch {
      return undefined;
    }
  }

  /**
   * Sockets here for which bytes have come that were not looked at: what is taken for this is not delivered any more.
   */
  takeUnseen(): Set<number> {
    try {
      return this.in === null ? new Set() : targetsOf(this.in);
    } catch {
      return new Set();
    }
  }

  #acknowledge(): void {
    if (this.#unacknowledged === 0 || this.in === null || this.failure !== null) return;
    this.#unacknowledged = 0;
    crashPoint('data.consumed');
    try {
      this.out.acknowledge(this.in.position);
    } catch (error) {
      this.fail(error);
      return;
    }
    crashPoint('data.told');
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

  /** True where the peer has told that. */
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

  close(): void {
    this.failure ??= new StpError('ECONNRESET', 'link closed');
    this.#settle();
    const reader = this.in;
    this.in = null;
    this.#record.clear();
    reader?.close();
    this.out.close();
  }
}
