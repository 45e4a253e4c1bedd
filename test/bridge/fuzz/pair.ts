/** Two ends of a connection in memory: what is written to one is read from the other. */
import { Duplex } from 'node:stream';

type Done = (error?: Error | null) => void;

class End extends Duplex {
  other: End | undefined;
  #wanted: Done | undefined;

  override _read(): void {
    const done = this.#wanted;
    this.#wanted = undefined;
    done?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    const other = this.other;
    if (other === undefined || other.destroyed) done(new Error('the other end is closed'));
    else if (other.push(chunk)) done();
    else other.#wanted = done;
  }

  override _final(done: Done): void {
    if (this.other?.destroyed === false) this.other.push(null);
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    const waiting = this.#wanted;
    this.#wanted = undefined;
    waiting?.(new Error('closed'));
    done(error);
    // As a reset: the other end is not left waiting.
    if (this.other?.destroyed === false && !this.other.readableEnded)
      setImmediate(() => {
        this.other?.destroy();
      });
  }
}

export function pair(): readonly [Duplex, Duplex] {
  const [one, two] = [new End({ allowHalfOpen: true }), new End({ allowHalfOpen: true })];
  one.other = two;
  two.other = one;
  return [one, two];
}
