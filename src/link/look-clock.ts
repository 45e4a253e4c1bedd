/** Looks by the clock while this process sleeps, for what no bell announces: one after each pause, which grows. */
import { type AsyncResource } from 'node:async_hooks';
import { clearTimeout, setTimeout } from '../host';

/**
 * So long after the last event, one after each twentieth of that time. A message waits by so much longer than the pause
 * before it.
 */
const FRACTION = 1 / 20;
const FIRST_MS = 1;
const MAX_MS = 50;
/** Where each look is a trip to a file server, an idle pair of processes makes less than 20 in a second. */
const REMOTE_MAX_MS = 200;

export class LookClock {
  readonly #root: AsyncResource;
  readonly #look: () => void;
  #timer: NodeJS.Timeout | null = null;

  /** `look` runs in the context of `root`. */
  constructor(root: AsyncResource, look: () => void) {
    this.#root = root;
    this.#look = look;
  }

  /** One look, after a pause that fits to `calmMs` without an event. */
  start(calmMs: number, remote: boolean, referenced: boolean): void {
    const paceMs = Math.min(remote ? REMOTE_MAX_MS : MAX_MS, Math.max(FIRST_MS, calmMs * FRACTION));
    this.#timer ??= this.#root.runInAsyncScope<undefined, NodeJS.Timeout>(setTimeout, undefined, this.#tick, paceMs);
    if (!referenced) this.#timer.unref();
  }

  readonly #tick = (): void => {
    this.#timer = null;
    this.#look();
  };

  setReferenced(referenced: boolean): void {
    if (referenced) this.#timer?.ref();
    else this.#timer?.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
