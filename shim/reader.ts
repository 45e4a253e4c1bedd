/**
 * Bytes from STPrecv into a socket's Readable, or into the buffer of its `onread` option.
 *
 * The library tells of bytes once, when there begin to be some, so a reader that stops early must remember that there are more
 * (`available`). Nothing arrives while a reader runs: records are handed out between turns.
 */
import { MSG_DONTWAIT, SO_NREAD, SOL_SOCKET, STPgetsockopt, STPrecv } from '../src/index';
import { countChunk } from './bulk-memory';
import { type Connection } from './connection';
import { kBuffer, kBufferCallback, kBufferGenerator } from './internals';
import { errnoError, failureOf } from './node-errors';

/** Largest piece that is handed to a program at once, as Node's own reads. */
const CHUNK_BYTES = 65_536;
/** Nobody has said how many bytes there are. */
const UNKNOWN = -1;

/** Receives nothing; tells whether the stream has ended, failed, or only has nothing now. */
const probe = new Uint8Array(1);

export class Reader {
  readonly #connection: Connection;
  #reading = false;
  /** There may be something to receive that the library will not tell of again. */
  available: boolean;
  ended = false;
  #held = false;
  #pulling = false;

  constructor(connection: Connection, available: boolean) {
    this.#connection = connection;
    this.available = available;
  }

  /** The program wants bytes. */
  get reading(): boolean {
    return this.#reading;
  }

  set reading(reading: boolean) {
    if (reading === this.#reading) return;
    this.#reading = reading;
    this.#connection.holdSoon();
  }

  /** From _read: bytes are wanted from now on. */
  start(): void {
    this.reading = true;
    this.#pullSoon(UNKNOWN);
  }

  stop(): void {
    this.reading = false;
  }

  /** From the watcher: `bytes` can be received, 0 stands for the end or an error. */
  announce(bytes: number): void {
    this.available = true;
    this.#pullSoon(bytes);
  }

  /** Receives nothing, whatever the program wants, until {@link release}: the socket is being given away. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.available = true;
    if (this.ended) this.#takeBack();
    else this.#pullSoon(UNKNOWN);
  }

  /** The stream had ended and still held bytes: they can't be pushed any more, only put in front of its end. */
  #takeBack(): void {
    const { descriptor, socket, open } = this.#connection;
    const left = open ? (STPgetsockopt(descriptor, SOL_SOCKET, SO_NREAD) as number) : 0;
    if (left === 0) return;
    const bytes = Buffer.allocUnsafe(left);
    void STPrecv(descriptor, bytes, left, MSG_DONTWAIT);
    socket.unshift(bytes);
  }

  #pullSoon(announced: number): void {
    if (this.reading && this.available && !this.#held && !this.#pulling && this.#connection.open) this.#pull(announced);
  }

  /** Receives while the program wants bytes; `announced` of them are there for certain, and nothing behind them; 0: the end or an error. */
  #pull(announced: number): void {
    const connection = this.#connection;
    this.#pulling = true;
    connection.socket._unrefTimer();
    try {
      let left = announced;
      while (this.reading && !this.#held && connection.open) {
        if (announced === UNKNOWN && left <= 0) left = STPgetsockopt(connection.descriptor, SOL_SOCKET, SO_NREAD) as number;
        if (left <= 0) {
          this.#finish();
          break;
        }
        left -= this.#receive(left);
        if (left === 0 && announced > 0) {
          this.available = false;
          break;
        }
      }
    } catch (error) {
      // A listener of the program threw. The library has told of these bytes, so they must not wait for the next ones.
      if (this.reading && this.available) setImmediate(pullAgain, this, connection);
      throw error;
    } finally {
      this.#pulling = false;
    }
  }

  /** One piece of at most `most` bytes; returns its length. */
  #receive(most: number): number {
    const { socket } = this.#connection;
    const own = socket[kBuffer];
    if (own instanceof Uint8Array) return this.#receiveInto(own, most);
    const want = Math.min(most, CHUNK_BYTES);
    if (want === CHUNK_BYTES) countChunk();
    const chunk = Buffer.allocUnsafe(want);
    const bytes = STPrecv(this.#connection.descriptor, chunk, want, MSG_DONTWAIT) as number;
    if (bytes <= 0) return most;
    this.#connection.bytesRead += bytes;
    if (!socket.push(bytes === want ? chunk : chunk.subarray(0, bytes))) this.reading = false;
    return bytes;
  }

  /** As @note Node's onStreamRead for `onread`: into the program's own buffer, past the stream. */
  #receiveInto(buffer: Uint8Array, most: number): number {
    const { socket } = this.#connection;
    if (buffer.length === 0) {
      this.reading = false;
      return 0;
    }
    const bytes = STPrecv(this.#connection.descriptor, buffer, Math.min(most, buffer.length), MSG_DONTWAIT) as number;
    if (bytes <= 0) return most;
    this.#connection.bytesRead += bytes;
    // Called as a method: `this` is the socket.
    const { [kBufferCallback]: callback } = socket;
    if (Reflect.apply(callback as (bytes: number, buffer: Uint8Array) => unknown, socket, [bytes, buffer]) === false) this.reading = false;
    const generate = socket[kBufferGenerator] as (() => unknown) | null | undefined;
    const next = generate?.();
    if (next instanceof Uint8Array) socket[kBuffer] = next;
    return bytes;
  }

  /** Nothing is left: the end of the stream, an error, or nothing yet. */
  #finish(): void {
    const { socket, descriptor } = this.#connection;
    this.available = false;
    let bytes: number;
    try {
      bytes = STPrecv(descriptor, probe, 1, MSG_DONTWAIT) as number;
    } catch (error) {
      this.reading = false;
      this.#connection.fail(errnoError(failureOf(error), 'read'));
      return;
    }
    if (bytes > 0) {
      // Not as it was said. A byte is a byte.
      this.#connection.bytesRead += bytes;
      this.available = true;
      if (!socket.push(Buffer.from(probe))) this.reading = false;
      setImmediate(pullAgain, this, this.#connection);
    }
    if (bytes !== 0) return;
    this.reading = false;
    this.ended = true;
    socket.push(null);
    socket.read(0);
  }
}

function pullAgain(reader: Reader, connection: Connection): void {
  connection.run(startAgain, reader);
}

function startAgain(this: Reader): void {
  if (this.reading && this.available) this.start();
}
