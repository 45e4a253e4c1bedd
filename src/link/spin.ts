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
 * A yield that took so long gave the processor to a process that computes. The record that we spin for had most likely
 * come long before: such a process keeps the processor from a spinner, but not from a sleeper that is rung.
 */
const LONG_YIELD_US = 300;
/** If spins lose more than this on average, some are left out: sleeps are shorter. */
const LOST_MAX_US = 500;
const NEWEST_WEIGHT = 1 / 16;
/**
 * So many are left out, and twice as many each time that the spins after it lost as much at once: on a busy machine
 * each trial of a spin costs the time slice of another process. The compilers of a young process make yields as long,
 * but not so often.
 */
const LEAVE_OUT_FIRST = 8;
const LEAVE_OUT_MAX = 4096;
const LEAVE_OUT_MAX_MS = 200;
const AT_ONCE_SPINS = 32;
/** Without sched_yield a spin takes the processor from the peer: then only a few turns. */
const TURNS_WITHOUT_YIELD = 4;

export class Spin {
  /** Longest spin, microseconds. */
  maxUs = DEFAULT_SPIN_US;

  readonly #yield: (() => void) | undefined;
  readonly #now: () => number;
  #budgetUs = DEFAULT_SPIN_US;
  #idleSinceMs = 0;
  #idleTurns = 0;
  /** Since we woke something was waited for, and nothing has come. */
  #spun = false;
  /** What this spin lost to other processes, and what spins lose on average, microseconds as whole numbers. */
  #lostUs = 0;
  #averageLostUs = 0;
  /** Spins since the last were left out. */
  #spins = 0;
  /** So many are still left out, since then; and how many it was at first. */
  #leaveOut = 0;
  #leaveOutSinceMs = 0;
  #leaveOutCount = LEAVE_OUT_FIRST;

  constructor(yieldProcessor: (() => void) | undefined, now = nowMs) {
    this.#yield = yieldProcessor;
    this.#now = now;
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
  idleMs(now = this.#now()): number {
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
    let before = this.#now();
    if (this.#isLeftOut(before)) return false;
    const idleUs = this.idleMs(before) * 1000;
    if (idleUs >= Math.min(this.#budgetUs, this.maxUs) || last?.peerIsBusy() === true) return false;
    this.#spun = true;
    for (let i = 0; i < LOOKS_PER_TURN; i++) {
      if (isReady()) return true;
      yieldProcessor();
      const after = this.#now();
      const yieldedUs = (after - before) * 1000;
      before = after;
      if (yieldedUs > LONG_YIELD_US) return this.#hasComeMeanwhile(isReady, yieldedUs);
    }
    return true;
  }

  /** After a long yield. What is not there by now is waited for asleep. */
  #hasComeMeanwhile(isReady: () => boolean, yieldedUs: number): boolean {
    this.#lostUs = Math.min(SPIN_US_MAX, Math.trunc(yieldedUs));
    const ready = isReady();
    if (!ready) this.#countLost();
    return ready;
  }

  /**
   * A turn found something: what was waited for, where turns before it found nothing. What came in a long yield had
   * come to a sleeper as soon.
   */
  found(): void {
    if (this.#idleTurns === 0) return;
    this.#idleTurns = 0;
    this.#spun = false;
    if (this.#lostUs > 0) this.#budgetUs >>= 1;
    else this.#grow();
    this.#countLost();
  }

  /** A spin has ended. */
  #countLost(): void {
    this.#averageLostUs += Math.trunc((this.#lostUs - this.#averageLostUs) * NEWEST_WEIGHT);
    this.#lostUs = 0;
    this.#spins += 1;
    if (this.#averageLostUs > LOST_MAX_US) this.#beginLeavingOut();
  }

  #beginLeavingOut(): void {
    const atOnce = this.#spins <= AT_ONCE_SPINS;
    this.#leaveOutCount = atOnce ? Math.min(LEAVE_OUT_MAX, this.#leaveOutCount * 2) : LEAVE_OUT_FIRST;
    this.#leaveOut = this.#leaveOutCount;
    this.#leaveOutSinceMs = this.#now();
    this.#averageLostUs = 0;
    this.#spins = 0;
  }

  /** Counts a spin that is left out; false where none is, or no longer. */
  #isLeftOut(now: number): boolean {
    if (this.#leaveOut === 0) return false;
    this.#leaveOut = now - this.#leaveOutSinceMs < LEAVE_OUT_MAX_MS ? this.#leaveOut - 1 : 0;
    return this.#leaveOut > 0;
  }

  /** Whether to stay awake for what may come next. */
  isWorth(): boolean {
    return this.#leaveOut === 0 && this.maxUs > 0 && this.#budgetUs >= Math.min(SPIN_FLOOR_US, this.maxUs);
  }

  /** A bell rang while we slept: where it did so soon that a longer spin had caught it, spin longer the next time. */
  rung(): void {
    const now = this.#now();
    if (this.#isLeftOut(now)) return;
    if ((now - this.#idleSinceMs) * 1000 < this.maxUs) this.#grow();
  }

  #grow(): void {
    this.#budgetUs = Math.min(this.maxUs, Math.max(SPIN_FLOOR_US, this.#budgetUs) * 2);
  }

  /** We are awake no more: what was spun has brought nothing. Returns the time, milliseconds. */
  end(): number {
    if (!this.#spun) return this.expect();
    this.#spun = false;
    this.#budgetUs >>= 1;
    return this.#now();
  }

  /** From now on something may come, and a bell must tell of it. Returns the time, milliseconds. */
  expect(): number {
    const now = this.#now();
    this.#idleSinceMs = now;
    return now;
  }
}
