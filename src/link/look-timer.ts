/** One look that is due after a while, in our own context. */
import { type AsyncResource } from 'node:async_hooks';
import { clearTimeout, setTimeout } from '../host';

export class LookTimer {
  readonly #root: AsyncResource;
  readonly #look: () => void;
  #timer: NodeJS.Timeout | null = null;

  /** `look` runs in the context of `root`. */
  constructor(root: AsyncResource, look: () => void) {
    this.#root = root;
    this.#look = look;
  }

  /** Where one is due already, that one stays. `referenced`: it keeps the process alive. */
  start(delayMs: number, referenced: boolean): void {
    if (this.#timer !== null) return;
    this.#timer = this.#root.runInAsyncScope<undefined, NodeJS.Timeout>(setTimeout, undefined, this.#tick, delayMs);
    this.setReferenced(referenced);
  }

  get isDue(): boolean {
    return this.#timer !== null;
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
