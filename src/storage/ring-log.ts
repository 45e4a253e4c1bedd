/**
 * Logs as rings in memory that both ends see (see layout/link-file.ts).
 *
 * Which process writes: everything in the file is written by the writer of the log; the reader maps it read-only.
 * Order: records, then lapEnd, then head; head is stored last and loaded first, and both are sequentially consistent,
 * so that an asleep word stored before a look at head can't be missed by a writer that stores head before it looks at
 * asleep.
 *
 * Records never wrap: where the end of a lap is too short, the lap ends early (lapEnd tells the reader where).
 *
 * Positions are kept as signed 32-bit integers, which V8 holds without allocating; differences are taken with `| 0`.
 */
import { StpError } from '../errors';
import { RingWords } from '../layout';
import { type LogIdentity, type LogReader, type LogWriter } from './storage';

const HEAD = RingWords.fields.head.at / 4;
const READ = RingWords.fields.read.at / 4;
const ASLEEP = RingWords.fields.asleep.at / 4;
const LAP_END = RingWords.fields.lapEnd.at / 4;
const PORT_CHANGES = RingWords.fields.portChanges.at / 4;
const CONTROL_WORDS = RingWords.sizeBytes / 4;

const NO_BYTES = Buffer.alloc(0);
const NO_WORDS = new Int32Array(0);

/** The memory of one ring, as one end sees it. */
export interface RingMemory {
  /** RingWords. */
  readonly control: Int32Array;
  readonly bytes: Buffer;
  /** The same memory as `bytes`. */
  readonly words: Int32Array;
  /** Takes the memory away; views of it may show anything afterwards, but are safe to touch. */
  release(): void;
}

/** Cuts a mapped link file into the parts of a ring. */
export function ringMemory(
  buffer: ArrayBuffer,
  controlAt: number,
  dataAt: number,
  capacityBytes: number,
  release: () => void,
): RingMemory {
  return {
    control: new Int32Array(buffer, controlAt, CONTROL_WORDS),
    bytes: Buffer.from(buffer, dataAt, capacityBytes),
    words: new Int32Array(buffer, dataAt, capacityBytes / 4),
    release,
  };
}

export class RingWriter implements LogWriter {
  readonly identity: LogIdentity;
  readonly claimMaxBytes: number;
  bytes: Buffer;
  words: Int32Array;
  at = 0;
  readonly spills = 0;
  readonly #path: string;
  readonly #release: () => void;
  #control: Int32Array;
  #capacity: number;
  readonly #mask: number;
  readonly #start: number;
  /** End of what is committed. */
  #head: number;
  /** End of what the reader can see. */
  #published: number;
  /** Up to here the reader has released. */
  #tail: number;
  /** Where the claimed run begins: #head, or the start of the next lap. */
  #claimed: number;

  constructor(memory: RingMemory, identity: LogIdentity, path: string, startPosition = 0) {
    this.identity = identity;
    this.#path = path;
    this.#release = memory.release.bind(memory);
    this.bytes = memory.bytes;
    this.words = memory.words;
    this.#control = memory.control;
    this.#capacity = memory.bytes.length;
    this.#mask = this.#capacity - 1;
    // Any claim up to half of the ring is granted once the reader has caught up, wherever the lap ends.
    this.claimMaxBytes = this.#capacity >>> 1;
    const start = startPosition | 0;
    this.#start = start;
    this.#head = this.#published = this.#tail = this.#claimed = start;
    Atomics.store(this.#control, READ, start);
    Atomics.store(this.#control, HEAD, start);
  }

  get dirty(): boolean {
    return this.#head !== this.#published;
  }

  get freeBytes(): number {
    return this.#capacity - ((this.#head - this.#tail) | 0);
  }

  claim(minBytes: number, wantBytes: number): number {
    const head = this.#head;
    const free = this.#capacity - ((head - this.#tail) | 0);
    const at = head & this.#mask;
    const rest = this.#capacity - at;
    let room = free < rest ? free : rest;
    if (room >= minBytes) {
      this.at = at;
      this.#claimed = head;
    } else {
      room = free - rest;
      if (room < minBytes) return this.#noRoom(minBytes);
      this.at = 0;
      this.#claimed = (head + rest) | 0;
    }
    if (room > this.claimMaxBytes) room = this.claimMaxBytes;
    return room < wantBytes ? (room >= minBytes ? room : 0) : wantBytes;
  }

  commit(bytes: number): void {
    // The first record of a lap says where the lap before it ended; the reader needs it before it can see this one.
    if (this.at === 0) Atomics.store(this.#control, LAP_END, this.#head);
    this.#head = (this.#claimed + bytes) | 0;
  }

  get pendingBytes(): number {
    return (this.#head - this.#published) | 0;
  }

  publish(): void {
    this.#published = this.#head;
    Atomics.store(this.#control, HEAD, this.#head);
  }

  released(position: number): void {
    const moved = (position - this.#tail) | 0;
    if (moved === 0) return;
    const outstanding = (this.#published - this.#tail) | 0;
    if (moved < 0 || moved > outstanding || (moved & 7) !== 0) {
      throw new StpError('ESTPCORRUPT', `the reader of ${this.#path} tells a position that can not be`);
    }
    this.#tail = position | 0;
  }

  acknowledge(position: number): void {
    Atomics.store(this.#control, READ, position | 0);
  }

  setAsleep(word: number): void {
    Atomics.store(this.#control, ASLEEP, word | 0);
  }

  showPortChanges(count: number): void {
    Atomics.store(this.#control, PORT_CHANGES, count | 0);
  }

  unreadFrom(position = this.#start): LogReader {
    this.released(position);
    const control = Int32Array.from(this.#control);
    control[HEAD] = this.#head;
    return new RingReader(
      { control, bytes: this.bytes, words: this.words, release: () => undefined },
      this.identity,
      this.#path,
      position,
    );
  }

  close(): void {
    if (this.#capacity === 0) return;
    // A call that still comes gets no room and writes into words that no process reads.
    this.#capacity = 0;
    this.#head = this.#published = this.#tail = this.#claimed = 0;
    this.#control = new Int32Array(CONTROL_WORDS);
    this.bytes = NO_BYTES;
    this.words = NO_WORDS;
    this.#release();
  }

  #noRoom(minBytes: number): number {
    if (minBytes > this.claimMaxBytes)
      throw new StpError('EINVAL', `a claim of ${minBytes} bytes; ${this.claimMaxBytes} is the most`);
    return 0;
  }
}

export class RingReader implements LogReader {
  readonly identity: LogIdentity;
  bytes: Buffer;
  words: Int32Array;
  at = 0;
  readonly #path: string;
  readonly #release: () => void;
  readonly #detach: () => void;
  #control: Int32Array;
  #capacity: number;
  readonly #mask: number;
  #position: number;
  /** What is left of the run that poll() found. */
  #run = 0;

  /** `detach` takes the name of its file away. */
  constructor(
    memory: RingMemory,
    identity: LogIdentity,
    path: string,
    startPosition = 0,
    detach: () => void = () => undefined,
  ) {
    this.#detach = detach;
    this.identity = identity;
    this.#path = path;
    this.#release = memory.release.bind(memory);
    this.bytes = memory.bytes;
    this.words = memory.words;
    this.#control = memory.control;
    this.#capacity = memory.bytes.length;
    this.#mask = this.#capacity - 1;
    this.#position = startPosition | 0;
  }

  get position(): number {
    return this.#position >>> 0;
  }

  poll(): number {
    const available = (Atomics.load(this.#control, HEAD) - this.#position) | 0;
    if (available === 0) return 0;
    const at = this.#position & this.#mask;
    const rest = this.#capacity - at;
    if (available < 0 || available > this.#capacity || (available & 7) !== 0) this.#damaged('a head that can not be');
    this.at = at;
    this.#run = available <= rest ? available : this.#lapRun(available, rest);
    return this.#run;
  }

  consume(bytes: number): void {
    if (bytes < 0 || bytes > this.#run || (bytes & 7) !== 0) {
      throw new StpError('EINVAL', `consume of ${bytes} bytes where ${this.#run} were found`);
    }
    this.at += bytes;
    this.#run -= bytes;
    this.#position = (this.#position + bytes) | 0;
  }

  get peerReadSeen(): number {
    return this.peerRead();
  }

  peerRead(): number {
    return Atomics.load(this.#control, READ) >>> 0;
  }

  peerAsleep(): number {
    return Atomics.load(this.#control, ASLEEP) >>> 0;
  }

  peerPortChanges(): number {
    return Atomics.load(this.#control, PORT_CHANGES) >>> 0;
  }

  /** What is published in a ring can be read at once. */
  late(): boolean {
    return false;
  }

  detach(): void {
    this.#detach();
  }

  close(): void {
    if (this.#capacity === 0) return;
    this.#capacity = 0;
    this.#run = 0;
    const control = new Int32Array(CONTROL_WORDS);
    control[HEAD] = this.#position;
    this.#control = control;
    this.bytes = NO_BYTES;
    this.words = NO_WORDS;
    this.#release();
  }

  /** The run where records go on in the next lap: what is left of this one, or the beginning of the next. */
  #lapRun(available: number, rest: number): number {
    const left = (Atomics.load(this.#control, LAP_END) - this.#position) | 0;
    if (left < 0 || left > rest || (left & 7) !== 0) this.#damaged('a lap end that can not be');
    if (left > 0) return left;
    this.#position = (this.#position + rest) | 0;
    this.at = 0;
    return available - rest;
  }

  #damaged(what: string): never {
    throw new StpError('ESTPCORRUPT', `${this.#path} has ${what}`);
  }
}
