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
/** A shorter one is left out: it costs more than it brings. */
const SPIN_FLOOR_US = 15;
/** Looks at the links between two turns of the event loop while spinning. */
const LOOKS_PER_TURN = 6;
/**
 * A yield that took so long gave the processor to a process that works, and if it brought nothing, to one that is no
 * peer: the machine is busy.
 */
const CONTENDED_US = 300;
/**
 * A yield that took so long gave it to a process that computes: the peer's answer had come long before. A sleeper is
 * given the processor as soon as it is rung.
 */
const STOLEN_US = 2000;
/** So many such yields in a row may come of compilers, which work on threads of their own while a process is young. */
const STOLEN_MAX = 4;
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
  /** When it was looked last while spinning. */
  #lookedMs = 0;
  #idleTurns = 0;
  /** Since we woke something was waited for, and nothing has come. */
  #spun = false;
  /** Yields in a row that a process that computes has made long. */
  #stolen = 0;
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
    if (idleUs >= Math.min(this.#budgetUs, this.maxUs) || last?.peerIsBusy() === true) return false;
    this.#spun = true;
    for (let i = 0; i < LOOKS_PER_TURN; i++) {
      this.#lookedMs = before;
      if (isReady()) return true;
      yieldProcessor();
      const after = nowMs();
      const yieldedUs = (after - before) * 1000;
      before = after;
      if (yieldedUs > CONTENDED_US) return this.#foundAfterLongYield(isReady, yieldedUs, after);
    }
    return true;
  }

  /**
   * The processor was away for long. If nothing came, or if it is away so long each time, spins are left out for a
   * while.
   */
  #foundAfterLongYield(isReady: () => boolean, yieldedUs: number, now: number): boolean {
    this.#lookedMs = now;
    const found = isReady();
    if (found) this.#stolen = yieldedUs > STOLEN_US ? this.#stolen + 1 : 0;
    if (!found || this.#stolen > STOLEN_MAX) {
      this.#leaveOut = this.#leaveOutNext;
      this.#leaveOutNext = Math.min(LEAVE_OUT_MAX, this.#leaveOutNext * 2);
    }
    return found;
  }

  /**
   * A turn found something: what was waited for, where turns before it found nothing. What took so long had come to a
   * sleeper as soon, and the peer had had the processor.
   */
  found(): void {
    if (this.#idleTurns === 0) return;
    this.#idleTurns = 0;
    this.#spun = false;
    if ((this.#lookedMs - this.#idleSinceMs) * 1000 > CONTENDED_US) {
      this.#budgetUs /= 2;
      return;
    }
    this.#grow();
    this.#stolen = 0;
    this.#leaveOutNext = LEAVE_OUT_FIRST;
  }

  /** Whether to stay awake for what may come next. */
  isWorth(): boolean {
    return this.#leaveOut === 0 && this.maxUs > 0 && this.#budgetUs >= Math.min(SPIN_FLOOR_US, this.maxUs);
  }

  /** A bell rang while we slept: where it did so soon that a longer spin had caught it, spin longer the next time. */
  rung(): void {
    if (this.#leaveOut > 0) this.#leaveOut -= 1;
    if ((nowMs() - this.#idleSinceMs) * 1000 < this.maxUs) this.#grow();
  }

  #grow(): void {
    this.#budgetUs = Math.min(this.maxUs, Math.max(SPIN_FLOOR_US, this.#budgetUs) * 2);
  }

  /** We are awake no more: what was spun has brought nothing. Returns the time, milliseconds. */
  end(): number {
    if (!this.#spun) return this.expect();
    this.#spun = false;
    this.#budgetUs /= 2;
    return nowMs();
  }

  /** From now on something may come, and a bell must tell of it. Returns the time, milliseconds. */
  expect(): number {
    const now = nowMs();
    this.#idleSinceMs = now;
    return now;
  }
}
