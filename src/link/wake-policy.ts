/**
 * When a peer that sleeps is rung, and whether one waits for us at all.
 *
 * A ring costs more than most answers: a system call, an interrupt of another processor, and a turn of the peer's event
 * loop. A peer that is woken for each answer of a burst is asleep again before the next is made, so a burst of quick
 * ones rings for every eighth. Nor has a peer any use for a spin of ours while answers of several sockets lie unread:
 * it is busy, and waits for none of them.
 */

/** So many answers do not ring a peer that sleeps, and the next one does. */
const DEFERRED_MAX = 7;
/** A peer that has not looked at the answers of more sockets than this, one after the other, is busy. */
const BUSY_ANSWERS = 4;

/** What the turn of the event loop tells. */
export interface Turn {
  /** Set while a record is given to the sink: the log it came from has more. */
  readonly moreAtHand: boolean;
  /** They take so little time that a peer that sleeps had better be rung once for several answers. */
  readonly quick: boolean;
}

export class WakePolicy {
  /** The asleep word for which the peer was rung last. */
  #lastRung = 0;
  /** Answers since the last look at the asleep word. */
  #deferred = 0;
  /** Bytes published, modulo 2^32: in all, and before each of the last answers that was of another socket. */
  #publishedBytes = 0;
  readonly #before = new Int32Array(BUSY_ANSWERS);
  #oldest = 0;

  /** True where the ring for an answer may wait; the end of the turn must ring for what is left. */
  defers({ moreAtHand, quick }: Turn): boolean {
    if (!moreAtHand || !quick || this.#deferred >= DEFERRED_MAX) return false;
    this.#deferred += 1;
    return true;
  }

  get hasDeferred(): boolean {
    return this.#deferred > 0;
  }

  /** True where an asleep word with all of `bits` is to be rung for: once for each sleep. */
  isDue(asleepWord: number, bits: number): boolean {
    this.#deferred = 0;
    if ((asleepWord & bits) !== bits || asleepWord === this.#lastRung) return false;
    this.#lastRung = asleepWord;
    return true;
  }

  published(bytes: number, ofAnotherSocket: boolean): void {
    if (ofAnotherSocket) {
      this.#before[this.#oldest] = this.#publishedBytes;
      this.#oldest = (this.#oldest + 1) % BUSY_ANSWERS;
    }
    this.#publishedBytes = (this.#publishedBytes + bytes) | 0;
  }

  /** Whether a peer is busy that has not read so many of the published bytes. */
  isBusy(unreadBytes: number): boolean {
    const sinceBytes = (this.#publishedBytes - (this.#before[this.#oldest] ?? 0)) >>> 0;
    return sinceBytes > 0 && sinceBytes < unreadBytes;
  }
}
