/**
 * The writing end of a log of frames: for file systems that are not mapped, or have readers on other hosts.
 *
 * Records are gathered in memory and go out as one frame with one write. A frame never wraps: each begins where the
 * longest would fit, see nextFrameAt. The status block, the only place that is written again and again, carries what
 * can't wait for a frame.
 *
 * Invariants: a place is written again only after the reader has told that it has read past it. Positions count bytes
 * of file, headers and padding included, and are kept as signed 32-bit integers.
 */
import { crc32 } from 'node:zlib';
import { StpError } from '../errors';
import { BLOCK_BYTES, FRAME_CRC_FROM, FRAME_MAGIC, LINK_AT } from '../layout';
import { sealBlock } from './block-file';
import {
  FRAME_HEADER_BYTES,
  FRAME_WORD,
  frameMaxBytes,
  nextFrameAt,
  offsetOf,
  paddedBytes,
  shownBytes,
  STATUS_AT,
  STATUS_INDEX,
} from './frame';
import { linkFileBytes, type LinkInfo } from './link-header';
import { type PositionedFile } from './positioned-file';
import { type LogIdentity, type LogWriter } from './storage';

const NO_BYTES = Buffer.alloc(0);
const NO_WORDS = new Int32Array(0);
const ZEROS_BYTES = 64 * BLOCK_BYTES;

/** Takes the blocks of a whole link file by writing zeros: ENOSPC comes here and never later. */
export function reserveFrames(file: PositionedFile, capacityBytes: number): void {
  const total = linkFileBytes(capacityBytes);
  const zeros = file.takeMemory(Math.min(ZEROS_BYTES, total));
  try {
    for (let at = 0; at < total; at += zeros.length) file.writeAt(zeros, 0, Math.min(zeros.length, total - at), at);
  } finally {
    file.giveMemory(zeros);
  }
}

export class FrameWriter implements LogWriter {
  readonly identity: LogIdentity;
  readonly claimMaxBytes: number;
  bytes: Buffer;
  words: Int32Array;
  at = 0;
  spills = 0;
  readonly #file: PositionedFile;
  readonly #seed: number;
  readonly #frameMax: number;
  readonly #shownBytes: number;
  #capacity: number;
  #status: Buffer;
  readonly #statusPayload = Buffer.alloc(STATUS_AT.sizeBytes);
  #statusSequence = 0;
  /** Bytes of records in the frame under construction; 0: none is. */
  #filled = 0;
  /** Position where the frame under construction will lie, and the same as an offset in the data. */
  #head: number;
  #offset: number;
  #tail: number;
  // The number of the next frame, as two words.
  #sequenceLow = 1;
  #sequenceHigh = 0;
  #read: number;
  #readShown: number;
  #asleep = 0;

  /** `file` is fresh and reserved; its header block is still to be written. Writes the first status. */
  constructor(file: PositionedFile, link: LinkInfo, startPosition = 0) {
    this.#file = file;
    this.identity = link.identity;
    this.#seed = link.seed;
    this.#capacity = link.capacityBytes;
    this.#frameMax = frameMaxBytes(link.capacityBytes);
    this.#shownBytes = shownBytes(link.capacityBytes);
    this.claimMaxBytes = this.#frameMax - FRAME_HEADER_BYTES;
    this.bytes = file.takeMemory(this.#frameMax);
    this.words = new Int32Array(this.bytes.buffer, this.bytes.byteOffset, this.#frameMax / 4);
    this.#status = file.takeMemory(BLOCK_BYTES);
    this.#head = this.#tail = this.#read = this.#readShown = startPosition | 0;
    this.#offset = offsetOf(startPosition, this.#capacity);
    this.#writeStatus();
  }

  get dirty(): boolean {
    return this.#filled > 0 || this.#owesStatus();
  }

  get pendingBytes(): number {
    return this.#filled;
  }

  get freeBytes(): number {
    const free = this.#capacity - ((this.#head - this.#tail) | 0) - this.#filled;
    return free > 0 ? free : 0;
  }

  claim(minBytes: number, wantBytes: number): number {
    let room = this.#room();
    if (room < minBytes) {
      room = this.#makeRoom(minBytes);
      if (room < minBytes) return 0;
    }
    this.at = FRAME_HEADER_BYTES + this.#filled;
    return room < wantBytes ? room : wantBytes;
  }

  commit(bytes: number): void {
    this.#filled += bytes;
  }

  publish(): void {
    if (this.#filled > 0) this.#writeFrame();
    else if (this.#owesStatus()) this.#writeStatus();
  }

  released(position: number): void {
    const moved = (position - this.#tail) | 0;
    if (moved === 0) return;
    const outstanding = (this.#head - this.#tail) | 0;
    if (moved < 0 || moved > outstanding || moved % BLOCK_BYTES !== 0) {
      throw new StpError('ESTPCORRUPT', `the reader of ${this.#file.path} tells a position that can not be`);
    }
    this.#tail = position | 0;
  }

  acknowledge(position: number): void {
    this.#read = position | 0;
  }

  /** What was read is to be shown, and goes out by itself where no frame takes it along. */
  #owesStatus(): boolean {
    return ((this.#read - this.#readShown) | 0) >= this.#shownBytes;
  }

  setAsleep(word: number): void {
    this.#asleep = word | 0;
    this.#writeStatus();
  }

  showPortChanges(): void {
    // A look at the table costs a reader no more than a look at a status block.
  }

  /** A reader tells too seldom how far it is. */
  unreadFrom(): undefined {
    return undefined;
  }

  close(): void {
    if (this.#capacity === 0) return;
    this.#capacity = 0;
    this.#filled = 0;
    this.#head = this.#tail = this.#read = this.#readShown = 0;
    this.#file.giveMemory(this.bytes);
    this.#file.giveMemory(this.#status);
    this.bytes = this.#status = NO_BYTES;
    this.words = NO_WORDS;
    this.#file.close();
  }

  /** Bytes that the frame under construction can still take. */
  #room(): number {
    const free = this.#capacity - ((this.#head - this.#tail) | 0);
    const limit = free < this.#frameMax ? free : this.#frameMax;
    return limit - FRAME_HEADER_BYTES - this.#filled;
  }

  /** Goes on to a new frame where that gives room for `minBytes`; the room there is then. */
  #makeRoom(minBytes: number): number {
    if (minBytes > this.claimMaxBytes)
      throw new StpError('EINVAL', `a claim of ${minBytes} bytes; ${this.claimMaxBytes} is the most`);
    if (this.#filled === 0) return 0;
    const length = paddedBytes(this.#filled);
    const free = this.#capacity - ((this.#head - this.#tail) | 0) - this.#lengthOnDisk(length);
    if (paddedBytes(minBytes) > free) return 0;
    this.#writeFrame();
    this.spills += 1;
    return this.#room();
  }

  #writeFrame(): void {
    const length = paddedBytes(this.#filled);
    this.#send(length);
    this.#advance(length);
    this.#filled = 0;
  }

  /** Bytes of log that a frame here takes, with the end of the lap where no other begins behind it. */
  #lengthOnDisk(length: number): number {
    const next = nextFrameAt(this.#offset + length, this.#capacity);
    return next === 0 ? this.#capacity - this.#offset : length;
  }

  #send(length: number): void {
    const words = this.words;
    words[FRAME_WORD.magic] = FRAME_MAGIC;
    words[FRAME_WORD.sequence] = this.#sequenceLow;
    words[FRAME_WORD.sequence + 1] = this.#sequenceHigh;
    words[FRAME_WORD.lengthBytes] = this.#filled;
    words[FRAME_WORD.read] = this.#read;
    words[FRAME_WORD.position] = this.#head;
    words[FRAME_WORD.tag] = this.#seed;
    words[FRAME_WORD.crc] = crc32(this.bytes.subarray(FRAME_CRC_FROM, FRAME_HEADER_BYTES + this.#filled), this.#seed);
    this.#file.writeAt(this.bytes, 0, length, LINK_AT.data + this.#offset);
    this.#readShown = this.#read;
  }

  #advance(length: number): void {
    this.#head = (this.#head + this.#lengthOnDisk(length)) | 0;
    this.#offset = nextFrameAt(this.#offset + length, this.#capacity);
    this.#sequenceLow = (this.#sequenceLow + 1) | 0;
    if (this.#sequenceLow === 0) this.#sequenceHigh++;
  }

  #writeStatus(): void {
    const payload = this.#statusPayload;
    payload.writeInt32LE(this.#read, STATUS_AT.read);
    payload.writeInt32LE(this.#asleep, STATUS_AT.asleep);
    payload.writeInt32LE((this.#sequenceLow - 1) | 0, STATUS_AT.frames);
    if (this.#capacity === 0) return;
    this.#statusSequence++;
    sealBlock(this.#status, STATUS_INDEX, this.#statusSequence, payload);
    this.#file.writeAt(this.#status, 0, BLOCK_BYTES, LINK_AT.status);
    this.#readShown = this.#read;
  }
}
