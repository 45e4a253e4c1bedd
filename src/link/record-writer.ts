/**
 * The half of a link that builds records in the outgoing log, in place.
 *
 * Bytes for the socket of the record appended last are added to it while it is not published. When the log is visible,
 * and what becomes of one that is full or broken, is the link's own matter (link.ts).
 */
import { type StpError } from '../errors';
import {
  RECORD_HEADER_BYTES,
  RECORD_PAYLOAD_MAX_BYTES,
  RECORD_TYPE_SHIFT,
  type RecordEnds,
  RecordType,
} from '../layout';
import { type LogWriter } from '../storage';
import { copyBytes, padded } from './records';

/**
 * Data never takes the last of a log: control records must find room while readers are slow. A quarter of small logs.
 */
const CONTROL_RESERVE_BYTES = 8192;
/**
 * A send of so many bytes travels in one piece where the log has room for it at all: programs count on it, though TCP
 * does not promise it.
 */
const WHOLE_BYTES = 2048;

export abstract class RecordWriter {
  out: LogWriter;
  /** An append found no room. */
  needsRoom = false;
  /** Set with the reason when the link is over; it is then only drained. */
  failure: StpError | null = null;

  /** Data leaves so much for control records. */
  protected readonly reserveBytes: number;
  // The record appended last, while it is not published: bytes for the same socket are added to it.
  protected tailAt = -1;
  /** Our socket that the record appended last is of. */
  protected tailSource = 0;
  #tailLength = 0;
  #tailType = 0;
  #tailSocket = 0;
  readonly #wholeBytes: number;
  /** Full frames that claims have sent out, as far as they are noticed. */
  #spills = 0;

  constructor(out: LogWriter) {
    this.out = out;
    this.#wholeBytes = Math.min(WHOLE_BYTES, (out.claimMaxBytes >>> 6) << 3);
    // The log is fresh: all of it is free.
    this.reserveBytes = Math.min(CONTROL_RESERVE_BYTES, out.freeBytes / 4);
  }

  /** Looks how far the peer has read; true where that made room. */
  protected abstract refreshRoom(): boolean;

  /** An append found no room, for the first time since there was some. */
  protected abstract waitForRoom(): void;

  /** A claim sent a full frame out. */
  protected abstract spilled(): void;

  /** The link can't go on. */
  abstract fail(error: unknown): void;

  /** See PeerPort: appends one record, whole or (data) in part; bytes of payload taken, -1 for no room. */
  append(type: number, ends: RecordEnds, payload: Uint8Array | null, from: number, to: number): number {
    if (this.failure !== null) return payload === null ? 0 : to - from;
    const partial = type === RecordType.data || type === RecordType.handReceived || type === RecordType.handUnsent;
    let taken = -1;
    // Once more where the peer has read on.
    for (let tries = 0; taken < 0 && (tries === 0 || (tries === 1 && this.refreshRoom())); tries += 1)
      taken =
        partial && payload !== null
          ? this.#appendPart(type, ends, payload, from, to)
          : this.#appendWhole(type, ends, payload, from, to);
    if (taken < 0 && !this.needsRoom) this.waitForRoom();
    return taken;
  }

  /**
   * Room in the log, as LogWriter.claim; a log that can't be written any more ends the link, and what is sent to it is
   * lost with it.
   */
  #claim(minBytes: number, wantBytes: number): number {
    let granted = 0;
    try {
      granted = this.out.claim(minBytes, wantBytes);
    } catch (error) {
      this.fail(error);
    }
    if (this.out.spills !== this.#spills) {
      this.#spills = this.out.spills;
      this.spilled();
    }
    return granted;
  }

  #appendWhole(type: number, ends: RecordEnds, payload: Uint8Array | null, from: number, to: number): number {
    const lengthBytes = payload === null ? 0 : to - from;
    const need = RECORD_HEADER_BYTES + padded(lengthBytes);
    const { out } = this;
    if (this.#claim(need, need) < need) return -1;
    this.#writeHeader(lengthBytes | (type << RECORD_TYPE_SHIFT), ends);
    if (payload !== null) copyBytes(payload, from, to, out.bytes, out.at + RECORD_HEADER_BYTES);
    out.commit(need);
    this.tailAt = -1;
    this.tailSource = ends.index;
    return lengthBytes;
  }

  #appendPart(type: number, ends: RecordEnds, payload: Uint8Array, from: number, to: number): number {
    const { out } = this;
    if (out.freeBytes < this.reserveBytes) return -1;
    if (this.tailAt >= 0 && this.#tailType === type && this.#isOfTail(ends)) {
      const taken = this.#extend(payload, from, to);
      if (taken > 0) return taken;
    }
    const want = RECORD_HEADER_BYTES + padded(Math.min(to - from, RECORD_PAYLOAD_MAX_BYTES));
    const granted = this.#claim(Math.min(want, RECORD_HEADER_BYTES + this.#wholeBytes), want);
    if (granted === 0) return -1;
    const taken = Math.min(to - from, granted - RECORD_HEADER_BYTES, RECORD_PAYLOAD_MAX_BYTES);
    this.#writeHeader(taken | (type << RECORD_TYPE_SHIFT), ends);
    copyBytes(payload, from, from + taken, out.bytes, out.at + RECORD_HEADER_BYTES);
    this.tailAt = out.at;
    this.#tailLength = taken;
    this.#tailType = type;
    this.tailSource = ends.index;
    this.#tailSocket = ends.remoteSocket;
    out.commit(RECORD_HEADER_BYTES + padded(taken));
    return taken;
  }

  /** Adds to the record at the tail: into its padding, and into room that follows it without a gap. */
  #extend(payload: Uint8Array, from: number, to: number): number {
    const { out } = this;
    const slack = padded(this.#tailLength) - this.#tailLength;
    const wanted = Math.min(to - from, RECORD_PAYLOAD_MAX_BYTES - this.#tailLength);
    const end = this.tailAt + RECORD_HEADER_BYTES + this.#tailLength;
    let room = Math.min(slack, wanted);
    if (wanted < to - from && to - from <= this.#wholeBytes) return 0;
    if (wanted > slack) {
      const more = padded(wanted - slack);
      const granted = this.#claim(Math.min(more, this.#wholeBytes), more);
      if (granted > 0 && out.at === end + slack) {
        room = Math.min(wanted, slack + granted);
        if (room > slack) out.commit(padded(room - slack));
      } else {
        // A claim may have begun another frame or lap: the tail is then no longer ours to change.
        this.tailAt = -1;
        return 0;
      }
    }
    if (room <= 0) return 0;
    copyBytes(payload, from, from + room, out.bytes, end);
    this.#tailLength += room;
    out.words[this.tailAt >> 2] = this.#tailLength | (this.#tailType << RECORD_TYPE_SHIFT);
    return room;
  }

  #isOfTail({ index, remoteSocket }: RecordEnds): boolean {
    return this.tailSource === index && this.#tailSocket === remoteSocket;
  }

  /** Of a record where the log has been claimed. */
  #writeHeader(typeAndLength: number, { index, remoteSocket, remoteGeneration }: RecordEnds): void {
    const { words, at } = this.out;
    const word = at >> 2;
    words[word] = typeAndLength;
    words[word + 1] = index;
    words[word + 2] = remoteSocket;
    words[word + 3] = remoteGeneration;
  }
}
