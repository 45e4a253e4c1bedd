/**
 * Tells a process that listens when the region is removed under it (rm -r, a cleaner of temporary files): it then opens
 * the region anew, so that new clients find it. A process that only connects finds out when it does not find a
 * listener.
 *
 * The header is watched: it is written once, and goes with the region. Where it can't be watched (other systems than
 * Linux, all watches taken) one look a second does.
 */
import { type FSWatcher } from 'node:fs';
import { clearInterval, setInterval } from '../host';
import { io } from '../storage';

/** One look, where nothing tells. */
const LOOK_MS = 1000;
/** Looks from the first sign on, while the rest is removed: a process ended with it leaves nothing behind. */
const SOON_MS = 25;
const SOON_COUNT = 80;

export class RemovalWatch {
  readonly #follow: (last: boolean) => boolean;
  #watcher: FSWatcher | null = null;
  #timer: NodeJS.Timeout | null = null;
  #soonLeft = 0;

  /** `follow`: opens the region anew where it was removed; `last`: also where a part of it is still there. */
  constructor(header: string, follow: (last: boolean) => boolean) {
    this.#follow = follow;
    try {
      if (process.platform === 'linux') this.#watch(header);
    } catch {
      // Below.
    }
    if (this.#watcher === null) this.#lookEvery(LOOK_MS);
  }

  #watch(header: string): void {
    const watcher = io.watch(header, { persistent: false });
    this.#watcher = watcher;
    watcher.on('change', () => {
      this.#soonLeft = SOON_COUNT;
      this.#lookEvery(SOON_MS);
    });
    watcher.on('error', () => {
      this.#lookEvery(LOOK_MS);
    });
  }

  #lookEvery(ms: number): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = setInterval(() => {
      this.#look();
    }, ms);
    this.#timer.unref();
  }

  #look(): void {
    if (this.#soonLeft > 0 && --this.#soonLeft === 0) this.#lookEvery(LOOK_MS);
    // The watch is closed by whoever follows, as the region is another then.
    this.#follow(this.#soonLeft === 0);
  }

  close(): void {
    this.#watcher?.close();
    if (this.#timer !== null) clearInterval(this.#timer);
  }
}
