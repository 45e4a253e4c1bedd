/**
 * Bytes from STPrecv to the consumer of a stream, each piece in a callback of its own, and the end in a turn of the
 * event loop of its own.
 *
 * The library tells of bytes once, when there begin to be some, so a reader that stops early must remember that there
 * are more (`#available`).
 */
import { MSG_DONTWAIT, STPrecv } from '../../src/index';
import { setImmediate } from '../../src/host';
import { statusOf } from '../node/errors';
import { type InternalSocket, kBuffer } from '../node/internals';
import { endCallback } from '../node/tick';
import { countChunk } from './bulk-memory';
import { type StpStream } from './stream';

/** Largest piece that is handed to a program at once, as Node's own reads. */
const CHUNK_BYTES = 65_536;
/** The library has not said how many bytes there are. */
const UNKNOWN = -1;

const scratch = Buffer.allocUnsafeSlow(CHUNK_BYTES);

export class Reader {
  readonly #stream: StpStream;
  reading = false;
  /** The end is known; the consumer may not have been told. */
  ended = false;
  /** The program brings buffers of its own (`onread`). */
  userBuffer = false;
  /** There may be something to receive that the library will not tell of again. */
  #available = false;
  #endQueued = false;
  #pulling = false;
  #pullQueued = false;
  #held = false;

  constructor(stream: StpStream) {
    this.#stream = stream;
  }

  /** The descriptor is known. `available`: something may have come before. */
  begin(available: boolean): void {
    this.#available = available;
    if (this.reading) this.#pullSoon();
  }

  start(): void {
    this.reading = true;
    if (this.#available || this.ended) this.#pullSoon();
  }

  /** From the watcher: `bytes` can be received, 0 stands for the end or an error. */
  announce(bytes: number): void {
    this.#available = true;
    if (this.reading) this.#pull(bytes);
  }

  /** From the watcher: how many bytes would be taken at once. What was written before is complete then. */
  wants(): number {
    if (!this.reading || this.#pulling) return 0;
    this.#stream.requests.settle();
    return this.#mayReceive ? this.#pieceBytes() : 0;
  }

  /** From the watcher: bytes that it has received, good during this call. */
  take(bytes: Uint8Array): void {
    this.#pulling = true;
    try {
      this.#give(bytes);
    } finally {
      this.#pulling = false;
    }
  }

  /** Receives nothing, whatever the consumer wants, until {@link release}: the socket is being given away. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.#available = true;
    this.ended = false;
    if (this.reading) this.#pullSoon();
  }

  #pullSoon(): void {
    if (this.#pullQueued) return;
    this.#pullQueued = true;
    setImmediate(pullOf, this);
  }

  pull(): void {
    this.#pullQueued = false;
    this.#pull(UNKNOWN);
  }

  /** Once the end is known there is nothing more to receive, also where the peer resets then: as the kernel has it. */
  get #wants(): boolean {
    return this.#available && this.#mayReceive;
  }

  get #mayReceive(): boolean {
    return this.reading && !this.ended && !this.#held && this.#stream.open;
  }

  /** Receives while the consumer wants bytes and there are some. */
  #pull(announced: number): void {
    if (this.#pulling) return;
    this.#pulling = true;
    try {
      this.#stream.requests.settle();
      let left = announced;
      while (this.#wants) {
        left -= this.#receive();
        // All that the library has told of: more, and the end, it will tell of again.
        if (left === 0 && announced > 0) this.#available = false;
      }
      if (this.ended && this.reading && this.#stream.open) this.#endSoon();
    } finally {
      this.#pulling = false;
      // A listener of the program threw. The library has told of these bytes, so they must not wait for the next ones.
      if (this.#wants) this.#pullSoon();
    }
  }

  /** No more than fits in a buffer of the program's own: each of its fillings is a callback. */
  #pieceBytes(): number {
    const own = this.userBuffer ? (this.#stream.owner as InternalSocket | undefined)?.[kBuffer] : undefined;
    return own instanceof Uint8Array ? Math.min(CHUNK_BYTES, own.length) : CHUNK_BYTES;
  }

  /** One piece, the end, an error, or nothing yet. Returns the number of bytes. */
  #receive(): number {
    const stream = this.#stream;
    let bytes: number;
    try {
      bytes = STPrecv(stream.descriptor, scratch, this.#pieceBytes(), MSG_DONTWAIT) as number;
    } catch (error) {
      this.#available = false;
      stream.fail(statusOf(error));
      return 0;
    }
    if (bytes > 0) {
      this.#give(scratch.subarray(0, bytes));
      return bytes;
    }
    this.#available = false;
    if (bytes === 0) this.ended = true;
    return 0;
  }

  #give(bytes: Uint8Array): void {
    if (bytes.length === CHUNK_BYTES) countChunk();
    this.#stream.readBuffer(bytes);
    this.#stream.requests.settleWithin();
    endCallback();
  }

  /** The end comes after the immediates that the last bytes have set. */
  #endSoon(): void {
    if (this.#endQueued) return;
    this.#endQueued = true;
    setImmediate(endOf, this);
  }

  end(): void {
    this.#endQueued = false;
    if (!this.ended || !this.reading || !this.#stream.open) return;
    this.reading = false;
    this.#stream.holdSoon();
    this.#stream.emitEOF();
    endCallback();
  }
}

function pullOf(reader: Reader): void {
  reader.pull();
}

function endOf(reader: Reader): void {
  reader.end();
}
