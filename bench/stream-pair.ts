/** Two streams of one process, each reads what is written to the other: connections that cost next to nothing. */
import http from 'node:http';
import { Duplex } from 'node:stream';

/**
 * What is written arrives in the next turn of the event loop, as no transport delivers within the call that writes:
 * a whole measurement would be a single turn.
 */
class PairEnd extends Duplex {
  #other: PairEnd | undefined;

  static join(one: PairEnd, other: PairEnd): void {
    one.#other = other;
    other.#other = one;
  }

  override _read(): void {
    // Comes by itself.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#deliver(chunk);
    done();
  }

  override _final(done: () => void): void {
    this.#deliver(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#other?.destroy();
    done(error);
  }

  #deliver(chunk: Buffer | null): void {
    setImmediate(() => this.#other?.push(chunk));
  }

  // Node's http calls these, whatever its connections are; there is no system here to tell.

  setKeepAlive(): this {
    return this;
  }

  setTimeout(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}

/** Connects to a server of this process, which need not listen. */
export class PairAgent extends http.Agent {
  readonly #server: http.Server;

  constructor(server: http.Server, options: http.AgentOptions) {
    super(options);
    this.#server = server;
  }

  override createConnection(): Duplex {
    const [near, far] = [new PairEnd(), new PairEnd()];
    PairEnd.join(near, far);
    this.#server.emit('connection', far);
    return near;
  }
}
