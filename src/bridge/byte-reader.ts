/**
 * Reads the first bytes of a connection piece by piece, and gives back what is behind them. No more is kept than is
 * asked for.
 */
import { type Readable } from 'node:stream';
import { StpError } from '../errors';

const WAKING = ['readable', 'end', 'close', 'error'] as const;

export class ByteReader {
  readonly #stream: Readable;
  #wake: () => void = () => undefined;

  /**
   * Listens until `release`. A listener for each wait would not do: while there are bytes, but too few, Node tells each
   * new one of them at once, for ever.
   */
  constructor(stream: Readable) {
    this.#stream = stream;
    for (const name of WAKING) stream.on(name, this.#woken);
  }

  /** What was not taken is left in the stream, for whatever reads it next. */
  release(): void {
    for (const name of WAKING) this.#stream.off(name, this.#woken);
  }

  readonly #woken = (): void => {
    this.#wake();
  };

  /** Exactly so many bytes; rejects with ECONNRESET where the stream ends before. */
  async take(lengthBytes: number): Promise<Buffer> {
    for (;;) {
      const bytes = this.#stream.read(lengthBytes) as Buffer | null;
      if (bytes !== null && bytes.length === lengthBytes) return bytes;
      if (bytes !== null || this.#stream.readableEnded || this.#stream.destroyed)
        throw new StpError('ECONNRESET', 'the client ended before it had asked for anything');
      await this.#more();
    }
  }

  /** Up to a zero byte, without it; rejects with EINVAL where there is none within `maxBytes`. */
  async takeText(maxBytes: number): Promise<string> {
    const bytes: number[] = [];
    for (;;) {
      const [byte = 0] = await this.take(1);
      if (byte === 0) return Buffer.from(bytes).toString('latin1');
      bytes.push(byte);
      if (bytes.length > maxBytes) throw new StpError('EINVAL', `a text of more than ${maxBytes} bytes`);
    }
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
