/**
 * How long the storage has answered us, by our own attempts to write our heartbeat: the clock by which we judge others.
 *
 * A heartbeat that stands still proves that its writer is dead only if we could have seen it move. So time counts while
 * our own beats are answered, and stands while one is not: a file server that is stopped, a mount that fails, a machine
 * that keeps us waiting. What does not answer for too long is an outage.
 *
 * The facts lie in shared memory, because a thread of its own may beat (beat-thread.ts) and the program's thread
 * judges. Only one of the two writes at a time, the owner. It writes into the slot that is not read
 * at that time, then stores the turn. A writer that ends anywhere leaves a whole slot.
 */

/** Which of the two may beat. */
export const BeatOwner = { free: 0, timer: 1, thread: 2 } as const;
export type BeatOwnerName = typeof BeatOwner.timer | typeof BeatOwner.thread;

/** Of the time between two beats. Timers are late on a busy machine; what is longer, we stood still ourselves. */
const GAP_BEATS = 2;
/** What an answered attempt counts at most: longer ones were held up. */
const ATTEMPT_BEATS = 0.5;

const WORDS = { owner: 0, turn: 1, count: 2 } as const;
const FACTS = 5;
const HEAD_BYTES = WORDS.count * Int32Array.BYTES_PER_ELEMENT;
const BYTES = HEAD_BYTES + 2 * FACTS * Float64Array.BYTES_PER_ELEMENT;

interface Facts {
  /** Beats that were answered. */
  readonly beats: number;
  /** When the last one was; 0 none yet. */
  readonly answeredMs: number;
  /** Begin of the attempt, or of the first of several that failed, which has no answer yet; 0 none. */
  readonly sinceMs: number;
  /** Time that does not count, in all. */
  readonly lostMs: number;
  /** The longest time without an answer that is over. */
  readonly worstMs: number;
}

/** A clock that only moves forward and reads the same in all threads of a process, milliseconds. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export class BeatClock {
  /** For another thread, with the same `beatMs`. */
  readonly shared: SharedArrayBuffer;
  readonly #beatMs: number;
  readonly #words: Int32Array;
  readonly #slots: Float64Array;

  /** `beatMs`: time from one beat to the next, milliseconds. */
  constructor(beatMs: number, shared = new SharedArrayBuffer(BYTES)) {
    this.shared = shared;
    this.#beatMs = beatMs;
    this.#words = new Int32Array(shared, 0, WORDS.count);
    this.#slots = new Float64Array(shared, HEAD_BYTES, 2 * FACTS);
  }

  /** Becomes the owner, unless the other is. */
  take(holder: BeatOwnerName): boolean {
    const before = Atomics.compareExchange(this.#words, WORDS.owner, BeatOwner.free, holder);
    return before === BeatOwner.free || before === holder;
  }

  /** Gives the ownership up. */
  drop(holder: BeatOwnerName): void {
    Atomics.compareExchange(this.#words, WORDS.owner, holder, BeatOwner.free);
  }

  get holder(): number {
    return Atomics.load(this.#words, WORDS.owner);
  }

  get beats(): number {
    return this.#read().beats;
  }

  /** An attempt to beat begins. Only the owner calls this, and `end`. */
  begin(nowMs: number): void {
    const facts = this.#read();
    if (facts.sinceMs === 0) this.#publish({ ...facts, sinceMs: nowMs });
  }

  /** It was answered. One that failed is not, and goes on in the next. */
  end(nowMs: number): void {
    const { beats, answeredMs, sinceMs, lostMs, worstMs } = this.#read();
    const attemptMs = nowMs - sinceMs;
    const gapMs = answeredMs === 0 ? 0 : sinceMs - answeredMs;
    const countedMs = Math.min(attemptMs, this.#beatMs * ATTEMPT_BEATS) + Math.min(gapMs, this.#beatMs * GAP_BEATS);
    this.#publish({
      beats: beats + 1,
      answeredMs: nowMs,
      sinceMs: 0,
      lostMs: lostMs + (answeredMs === 0 ? 0 : attemptMs + gapMs - countedMs),
      worstMs: Math.max(worstMs, attemptMs),
    });
  }

  /**
   * Time in which the storage has answered, milliseconds from some beginning. Does not grow while the storage does not
   * answer, or where no process beats.
   */
  ableMs(nowMs: number): number {
    const { answeredMs, sinceMs, lostMs } = this.#read();
    if (answeredMs === 0) return 0;
    const untilMs = sinceMs === 0 ? nowMs : sinceMs;
    return answeredMs - lostMs + Math.min(Math.max(0, untilMs - answeredMs), this.#beatMs * GAP_BEATS);
  }

  /** The longest time for which no beat was answered, the present one included, milliseconds. */
  outageMs(nowMs: number): number {
    const { sinceMs, worstMs } = this.#read();
    return Math.max(worstMs, sinceMs === 0 ? 0 : nowMs - sinceMs);
  }

  #read(): Facts {
    for (;;) {
      const turn = Atomics.load(this.#words, WORDS.turn);
      const at = (turn & 1) * FACTS;
      const [beats = 0, answeredMs = 0, sinceMs = 0, lostMs = 0, worstMs = 0] = this.#slots.subarray(at, at + FACTS);
      // The other slot is written meanwhile, at most; this one only after the turn has moved on.
      if (Atomics.load(this.#words, WORDS.turn) === turn) return { beats, answeredMs, sinceMs, lostMs, worstMs };
    }
  }

  #publish({ beats, answeredMs, sinceMs, lostMs, worstMs }: Facts): void {
    const turn = Atomics.load(this.#words, WORDS.turn) + 1;
    this.#slots.set([beats, answeredMs, sinceMs, lostMs, worstMs], (turn & 1) * FACTS);
    Atomics.store(this.#words, WORDS.turn, turn);
  }
}
