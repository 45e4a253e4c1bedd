/**
 * How quick the records of bursts are: several in a turn, and several in the turn before it. Where answers take little
 * time, a peer that sleeps is rung once for several of them (wake-policy.ts).
 */
import { nowMs } from '../host';

/** So many records are a burst, and a quick one where each takes less than this: a wake costs two processes as much. */
const BURST_RECORDS = 4;
const QUICK_RECORD_US = 250;
/** After records that took longer so many bursts are not trusted: answers would wait behind the next slow one. */
const SLOW_BURSTS = 16;

export class Bursts {
  #burst = false;
  #slowBursts = 0;
  #beganMs = 0;

  beginTurn(): void {
    this.#beganMs = this.#burst ? nowMs() : 0;
  }

  /** True where the turn was a burst that followed a burst, and a quick one. */
  endTurn(records: number): boolean {
    const follows = this.#burst;
    this.#burst = records >= BURST_RECORDS;
    if (!this.#burst || !follows) return false;
    if ((nowMs() - this.#beganMs) * 1000 >= records * QUICK_RECORD_US) this.#slowBursts = SLOW_BURSTS;
    else if (this.#slowBursts > 0) this.#slowBursts -= 1;
    else return true;
    return false;
  }
}
