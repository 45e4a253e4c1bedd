/**
 * What the library tells of the descriptor of a stream, and what the stream does then. It is an object of its own, as a
 * handle has methods of the same names that net.js calls, and it has no state but its stream.
 */
import { SO_ERROR, type SocketWatcher, SOL_SOCKET, STPgetsockopt } from '../../src/index';
import { status } from '../node/status';
import { type StpStream } from './stream';

export class StreamWatcher implements SocketWatcher {
  readonly #stream: StpStream;

  constructor(stream: StpStream) {
    this.#stream = stream;
  }

  readable(bytes: number): void {
    this.#stream.reader.announce(bytes);
  }

  wants(): number {
    return this.#stream.reader.wants();
  }

  received(bytes: Uint8Array): void {
    this.#stream.reader.take(bytes);
  }

  writable(): void {
    if (this.#stream.writes.pending) this.#stream.run(resume, this.#stream);
  }

  /** The reader finds the error behind the last byte. A paused socket learns of it by its write, as with TCP. */
  reset(): void {
    const { descriptor, reader, writes } = this.#stream;
    if (writes.held)
      this.#stream.fail(-(STPgetsockopt(descriptor, SOL_SOCKET, SO_ERROR) as number) || status('ECONNRESET'), 'give');
    else if (!reader.reading) this.writable();
  }

  connected(errno: number): void {
    // Told once: what it holds of the attempt is free from then on.
    const told = this.#stream.onConnected;
    this.#stream.onConnected = undefined;
    told?.(errno);
  }

  taken(taken: boolean): void {
    const { onTaken } = this.#stream;
    if (onTaken !== undefined) this.#stream.run(onTaken, taken);
  }
}

function resume(stream: StpStream): void {
  stream.resumeWrites();
}
