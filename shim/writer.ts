/**
 * A socket's writes into STPsend. A write is complete when all its bytes are in the log; what does not fit waits for `writable`.
 *
 * Small pieces of one write (a header and its body, say) are gathered in a scratch buffer and sent as one record: STPsend copies
 * before it returns, so the scratch is free again at once, and the other side reads them at once.
 */
import { MSG_DONTWAIT, MSG_MORE, StpError, STPsend } from '../src/index';
import { type Connection } from './connection';
import { CANCELED_WRITES_FAIL, type WriteCallback, type WriteChunk } from './internals';
import { errnoError, failure, failureOf } from './node-errors';

const SCRATCH_BYTES = 65_536;
/** Pieces longer than this are sent from where they are. */
const GATHER_BYTES_MAX = 8192;
/** Most bytes that one UTF-16 unit becomes in any encoding. */
const BYTES_PER_UNIT_MAX = 3;

const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

export class Writer {
  readonly #connection: Connection;
  /** What could not be sent yet, in order; copies, or memory that the program leaves alone until the callback. */
  #waiting: Uint8Array[] = [];
  #callback: WriteCallback | undefined;
  #scratchBytes = 0;
  /** The socket is about to be given: what is written goes to the library whole, to travel with it. */
  #flushing = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  get pending(): boolean {
    return this.#callback !== undefined;
  }

  write(data: string | Uint8Array, encoding: BufferEncoding, callback: WriteCallback): void {
    try {
      this.#add(data, encoding, true);
    } catch (error) {
      this.#fail(error, callback);
      return;
    }
    this.#settle(callback);
  }

  writeAll(chunks: readonly WriteChunk[], callback: WriteCallback): void {
    const last = chunks.length - 1;
    try {
      for (let i = 0; i <= last; i += 1) {
        const piece = chunks[i];
        if (piece !== undefined) this.#add(piece.chunk, piece.encoding, i === last);
      }
    } catch (error) {
      this.#fail(error, callback);
      return;
    }
    this.#settle(callback);
  }

  /** From the watcher: what waits may go on, or would fail now. */
  resume(): void {
    const callback = this.#callback;
    if (callback === undefined || this.#connection.given) return;
    try {
      const pieces = this.#waiting;
      this.#waiting = [];
      for (let i = 0; i < pieces.length; i += 1) this.#send(pieces[i] ?? scratch.subarray(0, 0), i < pieces.length - 1);
    } catch (error) {
      this.#callback = undefined;
      this.#fail(error, callback);
      return;
    }
    this.#connection.socket._unrefTimer();
    if (this.#waiting.length > 0) return;
    this.#callback = undefined;
    this.#connection.holdSoon();
    callback();
  }

  /** Hands what waits, and all that follows, to STPsend without MSG_DONTWAIT: a given socket takes it along. */
  flush(): void {
    this.#flushing = true;
    this.resume();
  }

  /** The give did not come about. */
  unflush(): void {
    this.#flushing = false;
    this.resume();
  }

  /** The connection is closed: whoever waits for a write is let go, after what runs now. */
  abandon(): void {
    const callback = this.#callback;
    if (callback === undefined) return;
    this.#callback = undefined;
    this.#waiting = [];
    setImmediate(callback, this.#abandoned());
  }

  #abandoned(): Error | null {
    if (this.#connection.given) return errnoError(failureOf(new StpError('ESTPGIVEN', undefined, 'STPsend')), 'write');
    return CANCELED_WRITES_FAIL ? errnoError(failure('ECANCELED'), 'write') : null;
  }

  #settle(callback: WriteCallback): void {
    if (this.#waiting.length === 0) {
      callback();
      return;
    }
    this.#callback = callback;
    this.#connection.holdSoon();
  }

  #fail(error: unknown, callback: WriteCallback): void {
    this.#waiting = [];
    this.#scratchBytes = 0;
    const why = failureOf(error);
    // As kernels have it: a peer that resets what it had ended before has closed the pipe.
    callback(errnoError(why.code === 'ECONNRESET' && this.#connection.reader.ended ? failure('EPIPE') : why, 'write'));
  }

  /** Takes one piece of a write; the last one sends what was gathered. */
  #add(data: string | Uint8Array, encoding: BufferEncoding, last: boolean): void {
    const most = typeof data === 'string' ? data.length * BYTES_PER_UNIT_MAX : data.length;
    if (typeof data !== 'string' && (data.length > GATHER_BYTES_MAX || (last && this.#scratchBytes === 0))) {
      this.#sendScratch(true);
      this.#sendCounted(data, !last);
      return;
    }
    if (most > SCRATCH_BYTES - this.#scratchBytes) this.#sendScratch(true);
    if (most > SCRATCH_BYTES) {
      this.#sendCounted(Buffer.from(data as string, encoding), !last);
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
    const before = this.#waiting.length;
    this.#connection.bytesDispatched += bytes;
    this.#send(scratch, more, bytes);
    const rest = this.#waiting.at(-1);
    // What waits must not lie in the scratch, which the next write uses.
    if (rest !== undefined && this.#waiting.length > before) this.#waiting[before] = Buffer.from(rest);
  }

  #sendCounted(bytes: Uint8Array, more: boolean): void {
    this.#connection.bytesDispatched += bytes.length;
    this.#send(bytes, more);
  }

  /** Sends the first `length` bytes; what is not taken goes to the end of the queue, and behind anything that is there. */
  #send(bytes: Uint8Array, more: boolean, length = bytes.length): void {
    if (length === 0) return;
    const { descriptor, given } = this.#connection;
    if (this.#waiting.length > 0 || given) {
      this.#waiting.push(bytes.subarray(0, length));
      return;
    }
    if (this.#flushing) {
      this.#sendWaiting(Buffer.from(bytes.subarray(0, length)));
      return;
    }
    const sent = STPsend(descriptor, bytes, length, more ? MSG_DONTWAIT | MSG_MORE : MSG_DONTWAIT) as number;
    if (sent < length) this.#waiting.push(bytes.subarray(Math.max(0, sent), length));
  }

  #sendWaiting(bytes: Uint8Array): void {
    // Rejected where the connection is reset, which its reader tells the program.
    STPsend(this.#connection.descriptor, bytes).catch(() => undefined);
  }
}
