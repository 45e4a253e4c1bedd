/**
 * Tells a process that listens when the region is removed under it (rm -r, a cleaner of temporary files): it then opens
 * the region anew, so that new clients find it. A process that only connects finds out when it does not find a
 * listener.
 *
 * The header is watched: it is written once, and goes with the region. Where it can't be watched (other systems than
 * Linux, all watches taken) one look a second does.
 */
import { type FSWatcher } from 'node:fs';
import { clearInterval, clearTimeout, setInterval, setTimeout } from '../host';
import { io } from '../storage';

/** To begin takes a millisecond, which the first listen of a program is not held up by, nor a short-lived program. */
const BEGIN_MS = 100;
/** One look, where nothing tells. */
const LOOK_MS = 1000;
/** Looks from the first sign on, while the rest is removed: a process ended with it leaves nothing behind. */
const SOON_MS = 25;
const SOON_COUNT = 80;

export class RemovalWatch {
  readonly #follow: (last: boolean) => boolean;
  #watcher: FSWatcher | null = null;
  #timer: NodeJS.Timeout | null = null;
  readonly #begin: NodeJS.Timeout;
  #soonLeft = 0;

  /** `follow`: opens the region anew where it was removed; `last`: also where a part of it is still there. */
  constructor(header: string, follow: (last: boolean) => boolean) {
    this.#follow = follow;
    this.#begin = setTimeout(() => {
      this.#start(header);
    }, BEGIN_MS);
    this.#begin.unref();
  }

  #start(header: string): void {
    // What has happened meanwhile no watch would tell.
    if (this.#follow(false)) return;
    try {
      if (process.platform === 'linux') this.#watch(header);
    } catch {
      // It is gone already, or can't be watched.
      this.#soonLeft = SOON_COUNT;
    }
    if (this.#watcher === null) this.#lookEvery(this.#soonLeft > 0 ? SOON_MS : LOOK_MS);
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
    // Where that opens the region anew, this watch is closed, and another begins.
    this.#follow(this.#soonLeft === 0);
  }

  close(): void {
    clearTimeout(this.#begin);
    this.#watcher?.close();
    if (this.#timer !== null) clearInterval(this.#timer);
  }
}
