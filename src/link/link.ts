/**
 * A link: this process's end of the two logs that join it with one other process (or with itself).
 *
 * Outgoing, records are built in the log in place (record-writer.ts) and published (publisher.ts). Incoming, each
 * record is checked before it is used and given to the sink; at most one per socket and turn, so that a program's ticks
 * and microtasks run between two reads of a socket as they do with TCP.
 *
 * Invariants: nothing read from the peer is used before its bounds are checked, and nothing is read twice. A damaged
 * log ends the link, not the process. We are the only writer of the outgoing log; the peer of the incoming one.
 */
import { byteCrashPoint } from '../crash-points';
import { StpError } from '../errors';
import { RECORD_HEADER_BYTES, RECORD_PAYLOAD_MAX_BYTES, RECORD_TYPE_MAX, RecordType, REQUEST_SOCKET } from '../layout';
import { type LogReader, type LogWriter } from '../storage';
import { sourcesOf, targetsOf } from './leftovers';
import { Publisher, type PublisherOwner } from './publisher';
import { RecordView } from './record-view';
import { gather, GATHER_BYTES_MAX, padded } from './records';

/** Where records and news of links go. */
export interface LinkSink {
  /** `record` is good only during the call. */
  record(link: Link, record: RecordView): void;
  /** append() returned -1 before, and now there is room. */
  roomMade(link: Link): void;
}

/** What a link needs from the poller that owns it. */
export interface LinkOwner extends PublisherOwner {
  readonly sink: LinkSink;
  /**
   * Per socket index: the turn in which it was last given a record. As long as there have been sockets; what is past it
   * has none.
   */
  readonly lastTurns: Int32Array;
  /** Records given to the sink. */
  records: number;
  moreAtHand: boolean;
}

/** Records of one turn, so that a flood from one peer does not hold up the rest of the loop. */
const TURN_RECORDS_MAX = 1024;
const TURN_BYTES_MAX = 1 << 20;
/** Read positions are told at least so often, bytes: the writer of bulk data must not wait for the end of our turn. */
const ACKNOWLEDGE_BYTES = 32_768;

export class Link extends Publisher {
  readonly process: number;
  readonly epoch: number;
  /** What the sink knows the link by. */
  tag: unknown = null;
  /** The last poll left records that are there: of a socket that had its record of the turn, or too many for one. */
  behind = false;
  /** The peer's process is gone; what it published is still delivered. */
  peerGone = false;

  readonly #owner: LinkOwner;
  readonly #record = new RecordView();
  #unacknowledged = 0;

  /** `eager`: see {@link Publisher}. */
  constructor(owner: LinkOwner, process: number, epoch: number, out: LogWriter, eager = false) {
    super(owner, out, eager);
    this.#owner = owner;
    this.process = process;
    this.epoch = epoch;
  }

  /** The other process has its end of the link. */
  get attached(): boolean {
    return this.in !== null;
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
      byteCrashPoint('data.delivered');
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
    byteCrashPoint('data.consumed');
    this.acknowledge(this.in.position);
  }

  close(): void {
    const reader = this.in;
    this.in = null;
    this.#record.clear();
    reader?.close();
    this.closeOut(new StpError('ECONNRESET', 'link closed'));
  }
}
