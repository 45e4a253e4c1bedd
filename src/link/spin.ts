/**
 * How long a process that finds nothing to read goes on looking before it sleeps.
 *
 * While it looks it yields the processor: without that a spinning process starves its peer. The budget grows when a
 * spin paid, and shrinks when it did not. On a machine with more work than processors spins are left out.
 */
import { nowMs } from '../host';
import { type Link } from './link';

/** Longest spin by default, microseconds. */
export const DEFAULT_SPIN_US = 100;
export const SPIN_US_MAX = 1_000_000;
const SPIN_FLOOR_US = 15;
/** Looks at the links between two turns of the event loop while spinning. */
const LOOKS_PER_TURN = 6;
/**
 * A yield that took so long gave the processor to a process that works, and if it brought nothing, to one that is no
 * peer: the machine is busy.
 */
const CONTENDED_US = 300;
/**
 * Then so many spins are left out, twice as many each time: a busy machine gives a sleeper the processor sooner than a
 * spinner.
 */
const LEAVE_OUT_FIRST = 8;
const LEAVE_OUT_MAX = 256;
/** Without sched_yield a spin takes the processor from the peer: then only a few turns. */
const TURNS_WITHOUT_YIELD = 4;

export class Spin {
  /** Longest spin, microseconds. */
  maxUs = DEFAULT_SPIN_US;

  readonly #yield: (() => void) | undefined;
  #budgetUs = DEFAULT_SPIN_US;
  #idleSinceMs = 0;
  #idleTurns = 0;
  #leaveOut = 0;
  #leaveOutNext = LEAVE_OUT_FIRST;

  constructor(yieldProcessor: (() => void) | undefined) {
    this.#yield = yieldProcessor;
  }

  /** We are awake. */
  begin(): void {
    this.#idleTurns = 0;
  }

  /** A turn of the event loop found nothing. */
  countIdle(): void {
    this.#idleTurns += 1;
  }

  /** Since the first turn that found nothing, milliseconds. */
  idleMs(now = nowMs()): number {
    if (this.#idleTurns === 1) this.#idleSinceMs = now;
    return now - this.#idleSinceMs;
  }

  /**
   * Waits a moment for records. False: no longer. `isReady` looks for them; `last` is the link that the last ones came
   * by.
   */
  wait(isReady: () => boolean, last: Link | null): boolean {
    const yieldProcessor = this.#yield;
    if (yieldProcessor === undefined) return this.maxUs > 0 && this.#idleTurns <= TURNS_WITHOUT_YIELD;
    if (this.#leaveOut > 0) {
      this.#leaveOut -= 1;
      return false;
    }
    let before = nowMs();
    const idleUs = this.idleMs(before) * 1000;
    if (idleUs >= this.#budgetUs || last?.peerIsBusy() === true) return false;
    for (let i = 0; i < LOOKS_PER_TURN; i++) {
      if (isReady()) return true;
      yieldProcessor();
      const after = nowMs();
      if ((after - before) * 1000 > CONTENDED_US) return this.#foundAfterLongYield(isReady);
      before = after;
    }
    return true;
  }

  /** The processor was away for long: the peer had it if something came, else leave spinning alone for a while. */
  #foundAfterLongYield(isReady: () => boolean): boolean {
    if (isReady()) return true;
    this.#leaveOut = this.#leaveOutNext;
    this.#leaveOutNext = Math.min(LEAVE_OUT_MAX, this.#leaveOutNext * 2);
    return false;
  }

  /** A turn found something: what was waited for, where turns before it found nothing. */
  found(): void {
    if (this.#idleTurns === 0) return;
    this.#idleTurns = 0;
    this.#budgetUs = Math.min(this.maxUs, this.#budgetUs * 2);
    this.#leaveOutNext = LEAVE_OUT_FIRST;
  }

  /** A bell rang while we slept: where it did so soon that a longer spin had caught it, spin longer the next time. */
  rung(): void {
    if ((nowMs() - this.#idleSinceMs) * 1000 < this.maxUs) this.#budgetUs = Math.min(this.maxUs, this.#budgetUs * 2);
  }

  /** We go to sleep: what was spun has brought nothing. */
  end(): void {
    this.#budgetUs = Math.max(Math.min(SPIN_FLOOR_US, this.maxUs), this.#budgetUs / 2);
  }
}
