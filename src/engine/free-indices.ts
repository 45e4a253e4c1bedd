/**
 * Indices of sockets that are no more, first in, first out. Every operation takes the same time however many there are.
 */

/** Places that were left are given back in lots. */
const COMPACT_AFTER = 1024;

export class FreeIndices {
  #line: number[] = [];
  #head = 0;

  get size(): number {
    return this.#line.length - this.#head;
  }

  add(index: number): void {
    this.#line.push(index);
  }

  take(): number | undefined {
    const index = this.#line[this.#head];
    if (index === undefined) return undefined;
    this.#head += 1;
    if (this.#head > COMPACT_AFTER && this.#head * 2 > this.#line.length) {
      this.#line = this.#line.slice(this.#head);
      this.#head = 0;
    }
    return index;
  }
}
