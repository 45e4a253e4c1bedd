/** A few coarse timers over the world's clock: connect retries and limits, lingering closes, gives that nobody takes. */

import { forEach } from './for-each';

export interface Timer {
  readonly atMs: number;
  readonly run: () => void;
}

export class Timers {
  readonly #timers = new Set<Timer>();

  get nextMs(): number {
    let next = Infinity;
    for (const timer of this.#timers) next = Math.min(next, timer.atMs);
    return next;
  }

  set(atMs: number, run: () => void): Timer {
    const timer = { atMs, run };
    this.#timers.add(timer);
    return timer;
  }

  clear(timer: Timer | null): void {
    if (timer !== null) this.#timers.delete(timer);
  }

  /** Runs what is due, each once. */
  advance(nowMs: number): void {
    const due = [...this.#timers].filter((timer) => timer.atMs <= nowMs);
    forEach(due, (timer) => {
      if (this.#timers.delete(timer)) timer.run();
    });
  }
}
