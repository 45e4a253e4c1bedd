/**
 * The heartbeat: how processes of other kernels know that we live. Beaten only where other kernels may look at us; the
 * timer belongs to the caller.
 */
import { Heartbeat, PROCESS_BLOCKS } from '../layout';
import { type BlockReader, type BlockWriter } from '../storage';

/** The writing side: one block, rewritten with a growing number. */
export class HeartbeatWriter {
  readonly #file: BlockWriter;
  readonly #payload = new Uint8Array(Heartbeat.sizeBytes);
  readonly #values = { beat: 0, atMs: 0 };

  constructor(file: BlockWriter) {
    this.#file = file;
  }

  beat(): void {
    this.#values.beat += 1;
    this.#values.atMs = Date.now();
    Heartbeat.encode(this.#values, this.#payload);
    this.#file.write(PROCESS_BLOCKS.heartbeat, this.#payload);
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
 * which we ourselves were stopped (and perhaps the other with us, on the same virtual host) proves nothing more.
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

  /** One look: `beat` as read now, `nowMs` of a clock that only moves forward. */
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
