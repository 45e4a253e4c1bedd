/**
 * Sockets that wait for room in one log, first come first served. Every operation takes the same time however many
 * wait: with a thousand sockets on a full log, looking at each of them for every bit of room would cost more than the
 * bytes.
 */
import { type EngineSocket } from './socket';

/** Places that were left are given back in lots. */
const COMPACT_AFTER = 1024;

export class WaitingLine {
  readonly #members = new Set<EngineSocket>();
  #line: EngineSocket[] = [];
  #head = 0;

  get size(): number {
    return this.#members.size;
  }

  has(socket: EngineSocket): boolean {
    return this.#members.has(socket);
  }

  /** To the end, unless it waits already. */
  add(socket: EngineSocket): void {
    if (this.#members.has(socket)) return;
    this.#members.add(socket);
    this.#line.push(socket);
  }

  takeFirst(): EngineSocket | undefined {
    const socket = this.#line[this.#head];
    if (socket === undefined) return undefined;
    this.#head += 1;
    this.#members.delete(socket);
    if (this.#head === this.#line.length || this.#head > COMPACT_AFTER) {
      this.#line = this.#line.slice(this.#head);
      this.#head = 0;
    }
    return socket;
  }

  /** Back to the front: it was taken, came to nothing, and has lined up again behind all others. */
  putFirst(socket: EngineSocket): void {
    if (this.#line.at(-1) !== socket) return;
    this.#line.pop();
    if (this.#head > 0) {
      this.#head -= 1;
      this.#line[this.#head] = socket;
    } else this.#line.unshift(socket);
  }

  clear(): void {
    this.#members.clear();
    this.#line = [];
    this.#head = 0;
  }
}
