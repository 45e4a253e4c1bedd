/**
 * The reading end of a log of frames: looks at the place where the next frame will lie.
 *
 * What is there counts as a frame when magic, tag, number and CRC fit; else it is late and is looked at again. A frame
 * that is known to be written and stays unreadable for so long is damaged. A header (32 bytes, never torn) that fits
 * and contradicts itself is damaged at once.
 */
import { crc32 } from 'node:zlib';
import { StpError } from '../errors';
import { BLOCK_BYTES, BlockHeader, FRAME_CRC_FROM, FRAME_MAGIC, LINK_AT } from '../layout';
import { blockCrc, blockSequence, checkBlock, isSameBlock } from './block-file';
import {
  FRAME_HEADER_BYTES,
  FRAME_WORD,
  frameMaxBytes,
  nextFrameAt,
  offsetOf,
  paddedBytes,
  STATUS_AT,
  STATUS_INDEX,
} from './frame';
import { type LinkInfo } from './link-header';
import { type PositionedFile } from './positioned-file';
import { type LogIdentity, type LogReader } from './storage';
import { nowMs } from '../host';

const NO_BYTES = Buffer.alloc(0);
const NO_WORDS = new Int32Array(0);

/** Longest time that a written frame takes to become readable on the worst file system, milliseconds; twice over. */
const SHARED_LATE_MS = 60_000;
/** The same where writer and reader share one page cache: a write may be held up between two pages by a busy disk. */
const LOCAL_LATE_MS = 3000;
const STATUS_LOOKS = 4;

/** Never 0, which stands for "not late". */
function steadyMs(): number {
  return nowMs() + 1;
}

export interface FrameReaderOptions {
  /** The writer may be on another host, and the size of the file be seen late. */
  readonly shared?: boolean;
  /** For tests. */
  readonly startPosition?: number;
  /** For tests. */
  readonly lateMs?: number;
  /** Milliseconds of any steady clock, from 1. */
  readonly now?: () => number;
}

export class FrameReader implements LogReader {
  readonly identity: LogIdentity;
  bytes: Buffer;
  words: Int32Array;
  at = 0;
  readonly #file: PositionedFile;
  readonly #seed: number;
  /** The same as a word of the header reads. */
  readonly #tag: number;
  readonly #frameMax: number;
  readonly #lateMs: number;
  readonly #shared: boolean;
  readonly #now: () => number;
  #capacity: number;
  /** What is left of the frame in memory, and its size in the file. */
  #run = 0;
  #frameBytes = 0;
  /** Start of the frame in memory, or of the next. */
  #position: number;
  #offset: number;
  #sequenceLow = 1;
  #sequenceHigh = 0;
  /**
   * How much the next look reads: as much as the last frame had where that was there at the first look, else one block.
   */
  #lookBytes = BLOCK_BYTES;
  /** True where a look since the last frame found none. */
  #missed = false;
  /** Since when a frame that is known to be written can't be read; 0: none is. */
  #lateSinceMs = 0;
  #statusLateSinceMs = 0;
  #peerRead: number;
  #peerAsleep = 0;
  #statusSequence = 0;
  #statusCrc = 0;
  #framesWritten = 0;

  constructor(file: PositionedFile, link: LinkInfo, options: FrameReaderOptions = {}) {
    const start = options.startPosition ?? 0;
    this.#file = file;
    this.identity = link.identity;
    this.#seed = link.seed;
    this.#tag = link.seed | 0;
    this.#capacity = link.capacityBytes;
    this.#frameMax = frameMaxBytes(link.capacityBytes);
    this.#shared = options.shared ?? false;
    this.#lateMs = options.lateMs ?? (this.#shared ? SHARED_LATE_MS : LOCAL_LATE_MS);
    this.#now = options.now ?? steadyMs;
    this.bytes = file.takeMemory(this.#frameMax);
    this.words = new Int32Array(this.bytes.buffer, this.bytes.byteOffset, this.#frameMax / 4);
    this.#position = this.#peerRead = start | 0;
    this.#offset = offsetOf(start, this.#capacity);
  }

  get position(): number {
    return this.#position >>> 0;
  }

  poll(): number {
    return this.#run > 0 || this.#capacity === 0 ? this.#run : this.#look();
  }

  consume(bytes: number): void {
    if (bytes < 0 || bytes > this.#run || (bytes & 7) !== 0) {
      throw new StpError('EINVAL', `consume of ${bytes} bytes where ${this.#run} were found`);
    }
    this.at += bytes;
    this.#run -= bytes;
    if (this.#run === 0 && this.#frameBytes > 0) {
      this.#advance(this.#frameBytes);
      this.#frameBytes = 0;
    }
  }

  get peerReadSeen(): number {
    return this.#peerRead >>> 0;
  }

  peerRead(): number {
    this.#lookAtStatus();
    return this.#peerRead >>> 0;
  }

  peerAsleep(): number {
    this.#lookAtStatus();
    return this.#peerAsleep >>> 0;
  }

  peerPortChanges(): undefined {
    return undefined;
  }

  late(): boolean {
    this.#lookAtStatus();
    const written = ((this.#framesWritten - this.#sequenceLow) | 0) >= 0;
    return (written && this.#run === 0) || this.#lateSinceMs > 0 || this.#statusLateSinceMs > 0;
  }

  detach(): void {
    // What is cut short is an error of a read here.
  }

  close(): void {
    if (this.#capacity === 0) return;
    this.#capacity = 0;
    this.#run = this.#frameBytes = 0;
    this.#file.giveMemory(this.bytes);
    this.bytes = NO_BYTES;
    this.words = NO_WORDS;
    this.#file.close();
  }

  /** Looks for the next frame: the bytes of records in it, 0 where it is not there. */
  #look(): number {
    const words = this.words;
    const want = this.#lookBytes;
    const got = this.#file.readAt(this.bytes, 0, want, LINK_AT.data + this.#offset);
    if (got < want) return this.#short();
    if (
      words[FRAME_WORD.magic] !== FRAME_MAGIC ||
      words[FRAME_WORD.tag] !== this.#tag ||
      words[FRAME_WORD.sequence] !== this.#sequenceLow ||
      words[FRAME_WORD.sequence + 1] !== this.#sequenceHigh
    ) {
      return this.#nothing();
    }
    const length = (words[FRAME_WORD.lengthBytes] ?? 0) >>> 0;
    if ((length & 7) !== 0 || length === 0 || length > this.#frameMax - FRAME_HEADER_BYTES)
      this.#damaged('a frame with a length that can not be');
    if (words[FRAME_WORD.position] !== this.#position) this.#damaged('a frame with a position that can not be');
    const size = paddedBytes(length);
    if (size > got) {
      const more = this.#file.readAt(this.bytes, got, size - got, LINK_AT.data + this.#offset + got);
      if (got + more < size) return this.#short();
    }
    const crc = crc32(this.bytes.subarray(FRAME_CRC_FROM, FRAME_HEADER_BYTES + length), this.#seed);
    if (crc !== (words[FRAME_WORD.crc] ?? 0) >>> 0) return this.#late();
    return this.#take(length, size);
  }

  #take(length: number, size: number): number {
    this.#lateSinceMs = 0;
    this.#noteRead(this.words[FRAME_WORD.read] ?? 0);
    this.#frameBytes = size;
    this.#lookBytes = this.#missed ? BLOCK_BYTES : size;
    this.#missed = false;
    this.at = FRAME_HEADER_BYTES;
    this.#run = length;
    return length;
  }

  /** The file ends too early: other hosts may see its size late, on this one it is damage. */
  #short(): number {
    if (!this.#shared) this.#damaged('lost its end');
    return this.#late();
  }

  /** No frame, as far as can be seen: late where the writer has told that it wrote one. */
  #nothing(): number {
    this.#lookBytes = BLOCK_BYTES;
    this.#missed = true;
    return ((this.#framesWritten - this.#sequenceLow) | 0) >= 0 ? this.#late() : 0;
  }

  #late(): number {
    const nowMs = this.#now();
    if (this.#lateSinceMs === 0) this.#lateSinceMs = nowMs;
    else if (nowMs - this.#lateSinceMs > this.#lateMs) this.#damaged('a frame that stays unreadable');
    return 0;
  }

  #advance(length: number): void {
    const next = nextFrameAt(this.#offset + length, this.#capacity);
    this.#position = (this.#position + (next === 0 ? this.#capacity - this.#offset : length)) | 0;
    this.#offset = next;
    this.#sequenceLow = (this.#sequenceLow + 1) | 0;
    if (this.#sequenceLow === 0) this.#sequenceHigh++;
  }

  /**
   * Frames and status block may be seen in any order: the furthest counts. Whether it can be true is for released().
   */
  #noteRead(read: number): void {
    if (((read - this.#peerRead) | 0) > 0) this.#peerRead = read;
  }

  #lookAtStatus(): void {
    if (this.#capacity === 0) return;
    for (let look = 0; look < STATUS_LOOKS; look++) {
      const page = this.#file.scratch();
      const got = this.#file.readAt(page, 0, BLOCK_BYTES, LINK_AT.status);
      if (got === BLOCK_BYTES && isSameBlock(page, this.#statusSequence, this.#statusCrc)) {
        this.#statusLateSinceMs = 0;
        return;
      }
      if (got === BLOCK_BYTES && checkBlock(page, STATUS_INDEX) === 'block') {
        this.#statusLateSinceMs = 0;
        this.#takeStatus(page);
        return;
      }
    }
    // Late: what was known last still holds.
    const nowMs = this.#now();
    if (this.#statusLateSinceMs === 0) this.#statusLateSinceMs = nowMs;
    else if (nowMs - this.#statusLateSinceMs > this.#lateMs) this.#damaged('a status that stays unreadable');
  }

  #takeStatus(page: Buffer): void {
    const sequence = blockSequence(page);
    if (sequence < this.#statusSequence) return;
    this.#statusSequence = sequence;
    this.#statusCrc = blockCrc(page);
    const at = BlockHeader.sizeBytes;
    this.#noteRead(page.readInt32LE(at + STATUS_AT.read));
    this.#peerAsleep = page.readInt32LE(at + STATUS_AT.asleep);
    this.#framesWritten = page.readInt32LE(at + STATUS_AT.frames);
  }

  #damaged(what: string): never {
    throw new StpError('ESTPCORRUPT', `${this.#file.path}: ${what}`);
  }
}
