/**
 * A program at one end of a connection that sends and receives at once, as fast as it can, and knows every byte that it
 * must see.
 *
 * It can stop between any two bytes and go on in another process.
 */
import * as stp from '../../src/index';
import { pattern } from './pattern';

export interface Place {
  /** The stream, and how far it is. */
  readonly stream: number;
  at: number;
}

export interface DuplexState {
  readonly reads: Place;
  readonly writes: Place;
}

const CHUNK_BYTES_MAX = 40_000;
const READ_BYTES = 30_011;
/** Odd, so that chunks of all sizes come up. */
const STEP = 7919;

export class Duplex {
  readonly reads: Place;
  readonly writes: Place;
  /** '' while it goes on; 'end' of stream, the code of an error, or what was wrong. */
  over = '';
  readonly ended: Promise<string>;
  readonly #s: number;
  readonly #into = Buffer.allocUnsafe(READ_BYTES);
  #limit = Infinity;
  #tell: (why: string) => void = () => undefined;
  #changed: (() => void) | null = null;

  constructor(s: number, { reads, writes }: DuplexState) {
    this.#s = s;
    this.reads = { ...reads };
    this.writes = { ...writes };
    this.ended = new Promise((resolve) => {
      this.#tell = resolve;
    });
    stp.STPsetopt(s, stp.STP_WATCHER, {
      readable: () => {
        this.#read();
      },
      writable: () => {
        this.#write();
      },
    });
    this.#read();
    this.#write();
  }

  get state(): DuplexState {
    return { reads: { ...this.reads }, writes: { ...this.writes } };
  }

  /** Resolves when so many bytes more have been received, or it is over. */
  async more(bytes: number): Promise<void> {
    const until = this.reads.at + bytes;
    while (this.reads.at < until && this.over === '')
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
  }

  /** Sends no more, and lets the other end know; receives until its end. */
  finish(): Promise<string> {
    this.#limit = this.writes.at;
    stp.STPshutdown(this.#s, 1);
    return this.ended;
  }

  /** Closes the socket, as a program does that has seen something wrong. */
  async close(): Promise<void> {
    await stp.STPclose(this.#s).catch(() => undefined);
  }

  /** Leaves the socket alone, with some sends still waiting; it may be given away then. */
  stop(waiting = 3): DuplexState {
    stp.STPsetopt(this.#s, stp.STP_WATCHER, null);
    for (let i = 0; i < waiting; i++) {
      const chunk = this.#chunk();
      this.writes.at += chunk.length;
      stp.STPsend(this.#s, chunk).catch((error: unknown) => {
        this.#end(`send: ${String(error)}`);
      });
    }
    return this.state;
  }

  #chunk(): Buffer {
    const { stream, at } = this.writes;
    return pattern(stream, at, 1 + ((at * STEP) % CHUNK_BYTES_MAX));
  }

  #read(): void {
    try {
      for (;;) {
        const n = stp.STPrecv(this.#s, this.#into, undefined, stp.MSG_DONTWAIT) as number;
        if (n < 0) break;
        if (n === 0) {
          this.#end('end');
          break;
        }
        const { stream, at } = this.reads;
        if (Buffer.compare(this.#into.subarray(0, n), pattern(stream, at, n)) !== 0)
          throw new Error(`stream ${stream} is wrong between ${at} and ${at + n}`);
        this.reads.at += n;
      }
    } catch (error) {
      this.#end(error instanceof stp.StpError ? error.code : String(error));
    }
    const changed = this.#changed;
    this.#changed = null;
    changed?.();
  }

  #write(): void {
    try {
      while (this.writes.at < this.#limit && this.over === '') {
        const n = stp.STPsend(this.#s, this.#chunk(), undefined, stp.MSG_DONTWAIT) as number;
        if (n < 0) return;
        this.writes.at += n;
      }
    } catch (error) {
      this.#end(error instanceof stp.StpError ? error.code : String(error));
    }
  }

  #end(why: string): void {
    if (this.over !== '') return;
    this.over = why;
    this.#tell(why);
  }
}
