/**
 * The heartbeat: how processes of other kernels know that we live. Beaten only where other kernels may look at us, by a
 * timer or by a thread (heartbeat-sender.ts).
 */
import { Heartbeat, PROCESS_BLOCKS } from '../layout';
import { type BlockReader, type BlockWriter } from '../storage';
import { type BeatOwnerName, type BeatClock, monotonicMs } from './beat-clock';
import { dateMs } from '../host';

/** Heartbeats are written so often in a lease. */
export const BEATS_PER_LEASE = 5;

/**
 * After so many leases without an answer of the storage our connections end with ECONNRESET, milliseconds of a region
 * of `leaseMs`: other processes could not have told us from a dead process, and a caller that waits must be told.
 */
export function outageMsMax(leaseMs: number): number {
  return leaseMs * OUTAGE_LEASES;
}

const OUTAGE_LEASES = 12;

/** The writing side: one block, rewritten with a growing number. The clock is told of each attempt. */
export class HeartbeatWriter {
  readonly #file: BlockWriter;
  readonly #clock: BeatClock;
  readonly #holder: BeatOwnerName;
  readonly #payload = new Uint8Array(Heartbeat.sizeBytes);
  readonly #values = { beat: 0, atMs: 0 };

  constructor(file: BlockWriter, clock: BeatClock, holder: BeatOwnerName) {
    this.#file = file;
    this.#clock = clock;
    this.#holder = holder;
  }

  /** Beats, unless another thread does. Throws what the storage throws. */
  beat(): boolean {
    if (!this.#clock.take(this.#holder)) return false;
    this.#clock.begin(monotonicMs());
    // The beats of the other thread count too.
    this.#values.beat = this.#clock.beats + 1;
    this.#values.atMs = dateMs();
    Heartbeat.encode(this.#values, this.#payload);
    this.#file.write(PROCESS_BLOCKS.heartbeat, this.#payload, this.#values.beat);
    this.#clock.end(monotonicMs());
    return true;
  }
}

/** The last beat in a process file; undefined where it never beat. ESTPCORRUPT where the block is damaged. */
export function readBeat(reader: BlockReader): number | undefined {
  const block = reader.read(PROCESS_BLOCKS.heartbeat);
  return block === undefined ? undefined : Heartbeat.decode(block.payload).beat;
}

/**
 * Watches one heartbeat by our own clock; clocks of different hosts are never compared.
 *
 * The time of standing still is summed over the gaps between our looks, each counted for half a lease at most: a gap in
 * which we ourselves were stopped (and perhaps the other with us, on the same virtual host) proves nothing more. Where
 * storage is shared the clock is that of our own beats, which stands while the storage does not answer.
 */
export class LeaseWatch {
  readonly #leaseMs: number;
  #beat = -1;
  #stillMs = 0;
  #lookedAtMs = 0;
  #changed = false;

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /** One look: `beat` as read after `nowMs`, of a clock that only moves forward. */
  look(beat: number, nowMs: number): 'alive' | 'dead' | 'unknown' {
    if (beat !== this.#beat) {
      this.#changed = this.#beat !== -1;
      this.#beat = beat;
      this.#stillMs = 0;
    } else {
      this.#stillMs += Math.min(nowMs - this.#lookedAtMs, this.#leaseMs / 2);
    }
    this.#lookedAtMs = nowMs;
    if (this.#stillMs >= this.#leaseMs) return 'dead';
    return this.#changed ? 'alive' : 'unknown';
  }
}
