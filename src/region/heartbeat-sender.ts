/**
 * What writes our heartbeat: a timer of the program's thread, and from the moment processes of other hosts are seen a
 * thread of its own, which goes on while the program's event loop is held up. A stopped process (SIGSTOP) stops both.
 *
 * The program must not notice the thread: it does not keep the process alive, has no stdio, no environment and no
 * preloads. Where the thread can not be had the timer goes on.
 */
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { type BlockWriter } from '../storage';
import { BeatOwner, BeatClock, monotonicMs } from './beat-clock';
import { type BeatOrders } from './beat-thread';
import { BEATS_PER_LEASE, HeartbeatWriter } from './heartbeat';

/** Stable codes of what beats, and why. */
export type HeartbeatReason =
  /** The timer: no other host has been seen. */
  | 'NO_OTHER_HOST'
  /** The thread. */
  | 'BEAT_THREAD'
  /** The timer: the thread could not be started, or ended. */
  | 'NO_BEAT_THREAD';

/** A thread that does next to nothing: what it takes to begin, and room to spare. */
const LIMITS = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 24, stackSizeMb: 1 };

export class HeartbeatSender {
  readonly clock: BeatClock;
  readonly beatMs: number;
  /** Called when the reason changes. */
  onReason: ((reason: HeartbeatReason, detail: string) => void) | undefined;
  readonly #file: BlockWriter;
  readonly #heartbeat: HeartbeatWriter;
  #reason: HeartbeatReason = 'NO_OTHER_HOST';
  #thread: Worker | undefined;
  #closed = false;

  constructor(file: BlockWriter, leaseMs: number) {
    this.beatMs = Math.max(1, leaseMs / BEATS_PER_LEASE);
    this.clock = new BeatClock(this.beatMs);
    this.#file = file;
    this.#heartbeat = new HeartbeatWriter(file, this.clock, BeatOwner.timer);
  }

  get reason(): HeartbeatReason {
    return this.#reason;
  }

  /** The timer's beat: nothing where the thread beats. Throws what the storage throws. */
  beat(): void {
    try {
      this.#heartbeat.beat();
    } finally {
      this.clock.drop(BeatOwner.timer);
    }
  }

  /** Time in which the storage has answered, see BeatClock. */
  ableMs(): number {
    return this.clock.ableMs(monotonicMs());
  }

  /** Starts the thread, unless that was tried before. */
  startThread(): void {
    if (this.#closed || this.#reason !== 'NO_OTHER_HOST') return;
    try {
      // The thread takes a while to begin: a process that died before its first beat would never be known to be dead.
      this.beat();
    } catch {
      // The thread, or the timer, tries again.
    }
    const file = this.#file.same();
    if (file === undefined) {
      this.#fallBack('this storage has no files');
      return;
    }
    try {
      this.#start({ file, beatMs: this.beatMs, clock: this.clock.shared });
      this.#tell('BEAT_THREAD', '');
    } catch (error) {
      this.#fallBack(textOf(error));
    }
  }

  #start(workerData: BeatOrders): void {
    // stdout and stderr: what is not asked for is piped to the program's own, which would be made for it.
    const thread = new Worker(path.join(__dirname, 'beat-thread.js'), {
      workerData,
      env: {},
      execArgv: [],
      argv: [],
      stdin: false,
      stdout: true,
      stderr: true,
      resourceLimits: LIMITS,
      trackUnmanagedFds: true,
      name: 'stp-net heartbeat',
    });
    let why = 'the thread has ended';
    thread.on('error', (error) => {
      why = textOf(error);
    });
    thread.on('exit', () => {
      this.#thread = undefined;
      this.clock.drop(BeatOwner.thread);
      if (!this.#closed) this.#fallBack(why);
    });
    thread.unref();
    this.#thread = thread;
  }

  #fallBack(detail: string): void {
    this.#tell('NO_BEAT_THREAD', detail);
  }

  #tell(reason: HeartbeatReason, detail: string): void {
    this.#reason = reason;
    this.onReason?.(reason, detail);
  }

  /** Ends the thread; it may be in the middle of a write, which then counts for nothing: a number names one life. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    void this.#thread?.terminate();
  }
}

function textOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  return code ?? (error instanceof Error ? error.message : String(error));
}
