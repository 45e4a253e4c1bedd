/**
 * What a socket writes, into STPsend: writes of net.js and of native consumers (TLS, http2), in the order in which they
 * came.
 *
 * A write is complete when all its bytes are in the log; what does not fit waits until the socket is writable. Small
 * pieces of one write (a header and its body) are gathered in a scratch buffer and sent as one record: STPsend copies
 * before it returns.
 */
import { MSG_DONTWAIT, MSG_MORE, STPsend } from '../../src/index';
import { type WriteChunk } from '../node/internals';
import { statusOf } from '../node/errors';

const SCRATCH_BYTES = 65_536;
/** Pieces longer than this are sent from where they are. */
const GATHER_BYTES_MAX = 8192;
/** Most bytes that one UTF-16 unit becomes in any encoding. */
const BYTES_PER_UNIT_MAX = 3;

const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

/** Of a write that could not be sent whole. */
export const WAITS = 1;

/** Told when a write that had to wait is complete: 0, or a negative errno. */
export type WriteDone = (status: number) => void;

interface WaitingWrite {
  /** What could not be sent yet: copies, or memory that its owner leaves alone until it is told. */
  readonly pieces: Uint8Array[];
  readonly done: WriteDone;
}

/** Of all queues in which nothing waits; frozen, so that nothing can be put in. */
const NONE_WAITING: WaitingWrite[] = [];
const NO_PIECES: Uint8Array[] = [];
Object.freeze(NONE_WAITING);
Object.freeze(NO_PIECES);

export class WriteQueue {
  descriptor = -1;
  /** Bytes that writes have brought so far. */
  bytesWritten = 0;
  /** Nothing goes to STPsend now: the socket is offered to another process. */
  held = false;
  /** What is written goes to the library whole, to travel with the socket that is about to be given. */
  #flushing = false;
  #waiting = NONE_WAITING;
  /** Pieces of the write at hand that were not taken. */
  #rest = NO_PIECES;
  #scratchBytes = 0;

  get pending(): boolean {
    return this.#waiting.length > 0;
  }

  /** Bytes that wait. */
  get queuedBytes(): number {
    let bytes = 0;
    for (const { pieces } of this.#waiting) for (const piece of pieces) bytes += piece.length;
    return bytes;
  }

  /** 0: all was sent. {@link WAITS}: not all of it, and {@link wait} must follow. Negative: it failed. */
  write(data: string | Uint8Array, encoding: BufferEncoding): number {
    try {
      this.#add(data, encoding, true);
    } catch (error) {
      return this.#failed(error);
    }
    return this.#rest.length === 0 ? 0 : WAITS;
  }

  /** As {@link write}, for the pieces of one write. */
  writeAll(chunks: readonly (WriteChunk | Uint8Array)[]): number {
    const last = chunks.length - 1;
    try {
      for (let i = 0; i <= last; i += 1) {
        const piece = chunks[i];
        if (piece instanceof Uint8Array) this.#add(piece, 'utf8', i === last);
        else if (piece !== undefined) this.#add(piece.chunk, piece.encoding, i === last);
      }
    } catch (error) {
      return this.#failed(error);
    }
    return this.#rest.length === 0 ? 0 : WAITS;
  }

  #failed(error: unknown): number {
    this.#rest = NO_PIECES;
    this.#scratchBytes = 0;
    return statusOf(error);
  }

  /** What the last write left over waits, and `done` is told when it is sent or can't be. */
  wait(done: WriteDone): void {
    const waiting = { pieces: this.#rest, done };
    if (this.#waiting === NONE_WAITING) this.#waiting = [waiting];
    else this.#waiting.push(waiting);
    this.#rest = NO_PIECES;
  }

  /** The socket is writable: what waits goes on, or fails. */
  resume(): void {
    while (!this.held && this.#waiting.length > 0) {
      const [first] = this.#waiting;
      if (first === undefined) return;
      let status = 0;
      try {
        if (!this.#resend(first.pieces)) return;
      } catch (error) {
        status = statusOf(error);
      }
      // The owner of a write may close the socket, which empties the queue.
      if (this.#waiting[0] === first) this.#waiting.shift();
      first.done(status);
    }
  }

  /** True where all of them went. */
  #resend(pieces: Uint8Array[]): boolean {
    for (let piece = pieces[0]; piece !== undefined; piece = pieces[0]) {
      const sent = this.#sendNow(piece, piece.length, pieces.length > 1);
      if (sent < piece.length) {
        pieces[0] = piece.subarray(sent);
        return false;
      }
      pieces.shift();
    }
    return true;
  }

  /** Hands what waits, and all that follows, to STPsend as a call that may wait: a given socket takes it along. */
  flush(): void {
    this.#flushing = true;
    this.resume();
  }

  /** The give did not come about. */
  unflush(): void {
    this.#flushing = false;
    this.resume();
  }

  /** The socket is closed: what waits fails. */
  abandon(status: number): void {
    const waiting = this.#waiting;
    this.#waiting = NONE_WAITING;
    for (const { done } of waiting) done(status);
  }

  /** Takes one piece of a write; the last one sends what was gathered. */
  #add(data: string | Uint8Array, encoding: BufferEncoding, last: boolean): void {
    const most = typeof data === 'string' ? data.length * BYTES_PER_UNIT_MAX : data.length;
    if (typeof data !== 'string' && (data.length > GATHER_BYTES_MAX || (last && this.#scratchBytes === 0))) {
      this.#sendScratch(true);
      this.#send(data, data.length, !last);
      return;
    }
    if (most > SCRATCH_BYTES - this.#scratchBytes) this.#sendScratch(true);
    if (most > SCRATCH_BYTES) {
      const bytes = Buffer.from(data as string, encoding);
      this.#send(bytes, bytes.length, !last);
      return;
    }
    if (typeof data === 'string') this.#scratchBytes += scratch.write(data, this.#scratchBytes, encoding);
    else {
      scratch.set(data, this.#scratchBytes);
      this.#scratchBytes += data.length;
    }
    if (last) this.#sendScratch(false);
  }

  #sendScratch(more: boolean): void {
    const bytes = this.#scratchBytes;
    if (bytes === 0) return;
    this.#scratchBytes = 0;
    const before = this.#rest.length;
    this.#send(scratch, bytes, more);
    const rest = this.#rest[before];
    // What waits must not lie in the scratch, which the next write uses.
    if (rest !== undefined) this.#rest[before] = Buffer.from(rest);
  }

  /** Sends the first `length` bytes; what is not taken waits behind all that does. */
  #send(bytes: Uint8Array, length: number, more: boolean): void {
    if (length === 0) return;
    this.bytesWritten += length;
    const waits = this.held || this.#waiting.length > 0 || this.#rest.length > 0;
    const sent = waits ? 0 : this.#sendNow(bytes, length, more);
    if (sent === length) return;
    const rest = bytes.subarray(sent, length);
    if (this.#rest === NO_PIECES) this.#rest = [rest];
    else this.#rest.push(rest);
  }

  /** How many bytes were taken. */
  #sendNow(bytes: Uint8Array, length: number, more: boolean): number {
    if (this.#flushing) {
      // Rejected where the connection is reset, which its reader tells the program.
      STPsend(this.descriptor, Uint8Array.from(bytes.subarray(0, length))).catch(() => undefined);
      return length;
    }
    const sent = STPsend(this.descriptor, bytes, length, more ? MSG_DONTWAIT | MSG_MORE : MSG_DONTWAIT) as number;
    return Math.max(0, sent);
  }
}
