/**
 * Coarse timers over the world's clock: connect retries and limits, lingering closes, gives that no process takes. A
 * process may have one for each of ten thousand sockets, and asks for the next of them each turn: they lie in a heap.
 *
 * Invariants: a timer at `place` p is due no earlier than the one at (p - 1) / 2; those due at one time run in the
 * order in which they were set.
 */

import { forEach } from './for-each';

/** Not in the heap: it ran, or was cleared. */
const NOWHERE = -1;
/** Taken out of the heap to be run; may still be cleared by one that runs before it. */
const DUE = -2;

export class Timer {
  readonly atMs: number;
  readonly run: () => void;
  readonly order: number;
  place = NOWHERE;

  constructor(atMs: number, run: () => void, order: number) {
    this.atMs = atMs;
    this.run = run;
    this.order = order;
  }
}

export class Timers {
  readonly #heap: Timer[] = [];
  #order = 0;

  get nextMs(): number {
    return this.#heap[0]?.atMs ?? Infinity;
  }

  set(atMs: number, run: () => void): Timer {
    const timer = new Timer(atMs, run, this.#order++);
    this.#up(timer, this.#heap.length);
    return timer;
  }

  clear(timer: Timer | null): void {
    if (timer === null) return;
    if (timer.place >= 0) this.#take(timer);
    timer.place = NOWHERE;
  }

  /** Runs what is due, each once; what is set meanwhile waits for the next call. */
  advance(nowMs: number): void {
    if (this.nextMs > nowMs) return;
    const due: Timer[] = [];
    for (let first = this.#heap[0]; first !== undefined && first.atMs <= nowMs; first = this.#heap[0]) {
      this.#take(first);
      first.place = DUE;
      due.push(first);
    }
    forEach(due, (timer) => {
      if (timer.place !== DUE) return;
      timer.place = NOWHERE;
      timer.run();
    });
  }

  /** The last one takes its place, and moves from there. */
  #take(timer: Timer): void {
    const last = this.#heap.pop();
    if (last === undefined || last === timer) return;
    const parent = this.#heap[(timer.place - 1) >> 1];
    if (timer.place > 0 && parent !== undefined && isBefore(last, parent)) this.#up(last, timer.place);
    else this.#down(last, timer.place);
  }

  #up(timer: Timer, from: number): void {
    let place = from;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = this.#heap[above];
      if (parent === undefined || !isBefore(timer, parent)) break;
      this.#put(parent, place);
      place = above;
    }
    this.#put(timer, place);
  }

  #down(timer: Timer, from: number): void {
    let place = from;
    for (;;) {
      const below = 2 * place + 1;
      const left = this.#heap[below];
      const right = this.#heap[below + 1];
      if (left === undefined) break;
      const first = right !== undefined && isBefore(right, left) ? right : left;
      if (!isBefore(first, timer)) break;
      const next = first.place;
      this.#put(first, place);
      place = next;
    }
    this.#put(timer, place);
  }

  #put(timer: Timer, place: number): void {
    this.#heap[place] = timer;
    timer.place = place;
  }
}

function isBefore(one: Timer, other: Timer): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
