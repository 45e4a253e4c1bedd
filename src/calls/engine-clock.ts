/** When the engine runs by itself: at times that it asks for, and after the turn of the event loop that it is in. */
import { type AsyncResource } from 'node:async_hooks';
import { type Engine, forEach } from '../engine';
import { clearTimeout, nowMs, setImmediate, setTimeout } from '../host';

const TIMER_MAX_MS = 0x7fff_ffff;

export class EngineClock {
  readonly #engine: Engine;
  /** Outside of whatever the program is just doing. */
  readonly #root: AsyncResource;
  #timer: NodeJS.Timeout | null = null;
  #timerAtMs = Infinity;
  #later: (() => void)[] = [];
  #closed = false;

  constructor(engine: Engine, root: AsyncResource) {
    this.#engine = engine;
    this.#root = root;
  }

  /** See EnginePorts.wakeAt. */
  wakeAt(atMs: number): void {
    if (atMs >= this.#timerAtMs || this.#closed) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    const delayMs = Math.min(TIMER_MAX_MS, Math.max(0, Math.ceil(atMs - nowMs())));
    this.#timer = this.#root.runInAsyncScope<undefined, NodeJS.Timeout>(
      setTimeout,
      undefined,
      () => {
        this.#timer = null;
        this.#timerAtMs = Infinity;
        const next = this.#engine.advance();
        if (next !== Infinity) this.wakeAt(next);
      },
      delayMs,
    );
    this.#timer.unref();
  }

  /** See EnginePorts.later. */
  later(run: () => void): void {
    this.#later.push(run);
    if (this.#later.length === 1) this.#root.runInAsyncScope(setImmediate, undefined, runLater, this);
  }

  /** See {@link later}. What one throws must not keep the others from running. */
  runLater(): void {
    const due = this.#later;
    this.#later = [];
    forEach(due, (run) => {
      run();
    });
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}

function runLater(clock: EngineClock): void {
  clock.runLater();
}
