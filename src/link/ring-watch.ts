/**
 * A look some time after the last ring, against wake-ups that got lost, which only a damaged region should do. Idle, it
 * runs out once and is not started again.
 */
import { type AsyncResource } from 'node:async_hooks';
import { clearTimeout, setTimeout } from '../host';

/** How long published records may lie unread before their reader is rung again. */
const WATCH_MS = 1000;

export class RingWatch {
  readonly #root: AsyncResource;
  readonly #look: () => void;
  #timer: NodeJS.Timeout | null = null;

  /** `look` runs in the context of `root`. */
  constructor(root: AsyncResource, look: () => void) {
    this.#root = root;
    this.#look = look;
  }

  start(): void {
    if (this.#timer !== null) return;
    this.#timer = this.#root.runInAsyncScope<undefined, NodeJS.Timeout>(setTimeout, undefined, this.#tick, WATCH_MS);
    this.#timer.unref();
  }

  readonly #tick = (): void => {
    this.#timer = null;
    this.#look();
  };

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
