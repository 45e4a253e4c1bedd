/**
 * Whether another process lives: by its liveness FIFO; where that tells nothing, by its pid if it runs on our kernel,
 * or by its heartbeat if it runs on another one.
 *
 * The answer is 'dead' only where that is certain; a process that has left is dead. A process that sees another's lease
 * run out marks that one as dead at once, and what is marked is dead for all processes.
 */
import { nowMs } from '../host';
import { type BlockReader, type Storage } from '../storage';
import { LeaseWatch, readBeat } from './heartbeat';
import { probeLivenessFifo } from './liveness-fifo';
import { type Liveness, type Machine } from './machine';
import { type MutableProcessInfo, type ProcessInfo } from './process-info';
import { markPath } from './process-numbers';

/** A process whose file is open, and what was seen of it. */
export interface WatchedProcess {
  readonly info: MutableProcessInfo;
  readonly reader: BlockReader;
  lease: LeaseWatch | undefined;
  /** When the heartbeat was looked at last, and what it told. */
  lookedAtMs: number;
  verdict: Liveness;
}

/** On a shared storage a look at a heartbeat is good for this part of the lease. */
const LOOK_GOOD_PER_LEASE = 1 / 20;
/** Of a lease: what is seen late, and told after the look that finds it, is to be known when the lease is over. */
const LEASE_SHARE = 0.8;

export class LivenessCheck {
  readonly #storage: Storage;
  readonly #machine: Machine;
  readonly #leaseMs: number;
  /** The clock of leases. */
  readonly #clock: () => number;
  /** Of other kernels, and taken for dead by one process: dead for all processes then. */
  marked = new Set<number>();

  /** `clock`: milliseconds in which another's heartbeat could have been seen to move. */
  constructor(storage: Storage, machine: Machine, leaseMs: number, clock: () => number) {
    this.#storage = storage;
    this.#machine = machine;
    this.#leaseMs = leaseMs;
    this.#clock = clock;
  }

  /** True where its heartbeat was looked at a moment ago, and told that it lives. */
  justSeenAlive({ verdict, lookedAtMs }: WatchedProcess): boolean {
    return verdict === 'alive' && nowMs() - lookedAtMs < this.#leaseMs * LOOK_GOOD_PER_LEASE;
  }

  /**
   * What the liveness FIFO tells. It was open before the identity was written, so a closed one can only mean the end.
   */
  askFifo(info: ProcessInfo): Liveness {
    if (!info.hasLivenessFifo || info.bootId !== this.#machine.bootId) return 'unknown';
    try {
      const fifo = probeLivenessFifo(this.#storage, info.number);
      // A missing liveness FIFO proves nothing by itself: temp directories are swept by others.
      if (fifo === 'closed') return this.#storage.isRemoved() ? 'unknown' : 'dead';
      return fifo === 'open' ? 'alive' : 'unknown';
    } catch {
      return 'unknown';
    }
  }

  /** What is known of a process; `told` is what its liveness FIFO tells. */
  look(entry: WatchedProcess, told: Liveness): Liveness {
    const { info } = entry;
    if (info.state === 'left') return 'dead';
    if (told !== 'unknown') return told;
    if (info.bootId !== this.#machine.bootId) return this.#lookAtOtherKernel(entry);
    return this.#machine.pidLiveness(info.pid, info.startTicks, info.pidNamespace);
  }

  #lookAtOtherKernel(entry: WatchedProcess): Liveness {
    const { number } = entry.info;
    if (this.marked.has(number)) return 'dead';
    let beat: number | undefined;
    // Before the read, which may be held up: only what it could have seen counts.
    const clockMs = this.#clock();
    try {
      beat = readBeat(entry.reader);
    } catch {
      return 'unknown';
    }
    // Another kernel would see our local file system as a shared one, and beat from its first moment: what never beat
    // ran here, before the last boot.
    if (beat === undefined) return this.#storage.shared ? 'unknown' : 'dead';
    entry.lease ??= new LeaseWatch(this.#leaseMs * LEASE_SHARE);
    entry.lookedAtMs = nowMs();
    const liveness = entry.lease.look(beat, clockMs);
    entry.verdict = liveness;
    if (liveness === 'dead') this.#mark(number);
    return liveness;
  }

  /** Before anything of it is used: it may only be stopped, and must learn of this when it goes on. */
  #mark(number: number): void {
    this.marked.add(number);
    try {
      this.#storage.createBlocks(markPath(number))?.close();
    } catch {
      // It learns by its links.
    }
  }
}
