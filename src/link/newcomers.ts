/**
 * Processes that made a log for us: met with our end of the link, told that we will not answer, or heard a last time.
 *
 * A process that can't be met for lack of room or descriptors is tried again by the clock, for a while.
 */
import { nowMs } from '../host';
import { StpError } from '../errors';
import { decodeNotifications, type ProcessInfo, type Region } from '../region';
import { canListen } from '../storage';
import { BellReader, BUFFER_BYTES } from './bell';
import { type Ends } from './link-ends';
import { type LinkFiles } from './link-files';

/**
 * How long a process waits for our end of a link, where we have no room or descriptors for it, before it is told to
 * give up.
 */
const UNMET_MS_MAX = 2000;

/** Failures that are none of the peer's, and may pass. */
const MAY_PASS: ReadonlySet<string> = new Set(['EMFILE', 'ENOBUFS', 'EIO', 'ENOSPC', 'EDQUOT']);

/** True where what failed since then may still come right by itself. */
export function mayPass(error: unknown, sinceMs: number): boolean {
  return error instanceof StpError && MAY_PASS.has(error.code) && nowMs() - sinceMs < UNMET_MS_MAX;
}

/** What is asked of the table of links. */
export interface NewcomersTable {
  /** What we hold of links, by process. */
  readonly ends: ReadonlyMap<number, Ends>;
  /** True where there were too many damaged links with a process. */
  isBanned(number: number): boolean;
  /** Makes our end of a link. Throws ENOSPC, EMFILE and the like. */
  make(info: ProcessInfo): Ends;
  /** Opens the peer's log if it is there by now; true where it is open. */
  complete(ends: Ends): boolean;
  peerDied(ends: Ends): void;
}

/** News of processes that call us. */
export interface NewcomerEvents {
  /** These have made a log for us; empty: all names are to be looked at. */
  notified(from: readonly number[]): void;
  /** No notification will come any more. */
  ended(): void;
}

/** Listens at our liveness FIFO; null where there is none, or this process can't wait for one. */
export function listenForNewcomers({ livenessFd }: Region, events: NewcomerEvents): BellReader | null {
  if (livenessFd === undefined || !canListen()) return null;
  const told = (lengthBytes: number, buffer: Buffer): void => {
    // A full buffer: there may have been no room for more.
    events.notified(lengthBytes < BUFFER_BYTES ? decodeNotifications(buffer.subarray(0, lengthBytes)) : []);
  };
  return new BellReader(livenessFd, told, () => {
    events.ended();
  });
}

export class Newcomers {
  readonly #region: Region;
  readonly #files: LinkFiles;
  readonly #table: NewcomersTable;
  /** Since when we can't make our end of a link that another process has begun, by process. */
  readonly #unmet = new Map<number, number>();

  constructor(region: Region, files: LinkFiles, table: NewcomersTable) {
    this.#region = region;
    this.#files = files;
    this.#table = table;
  }

  /** True while some could not be met. */
  get waiting(): boolean {
    return this.#unmet.size > 0;
  }

  /**
   * `notified`: a process has just made a log for us, which may be a known peer's next. By the clock that is looked at
   * with its life.
   */
  meetAll(names: readonly string[], notified: boolean): void {
    const suffix = `-${this.#region.self.number}`;
    // One that gave up waiting may come again, and then has all its time.
    for (const from of this.#unmet.keys()) if (!names.includes(`${from}${suffix}`)) this.#unmet.delete(from);
    for (const name of names) {
      if (!name.endsWith(suffix)) continue;
      const from = Number(name.slice(0, -suffix.length));
      if (Number.isSafeInteger(from) && from > 0 && from !== this.#region.self.number) this.#meet(from, notified);
    }
  }

  /**
   * Processes of this kernel that have told us of a log that they made for us. False: for one of them there is none,
   * and all names are to be looked at.
   */
  meetThese(numbers: readonly number[]): boolean {
    const { self, storage } = this.#region;
    return numbers.every((from) => {
      if (from === self.number || storage.info(this.#files.theirs(from)) === undefined) return false;
      this.#meet(from, true);
      return true;
    });
  }

  #meet(from: number, notified: boolean): void {
    const known = this.#table.ends.get(from);
    if (known !== undefined) {
      if (notified && !known.heard && this.#files.isReplaced(known))
        known.link.fail(new StpError('ECONNRESET', `process ${from} began anew`));
      else this.#table.complete(known);
      return;
    }
    if (this.#table.isBanned(from)) {
      // It learns by this that we will not answer.
      this.#files.removeLog(this.#files.theirs(from));
      return;
    }
    try {
      const info = this.#region.process(from);
      if (info !== undefined && this.#region.isAlive(info) !== 'dead') this.#table.make(info);
      // One that was only taken for dead learns by this that it is no more.
      else if (this.#region.isGone(from)) {
        if (!this.#hearLast(from, info)) this.#files.removeLog(this.#files.theirs(from));
      } else throw new StpError('EIO', `process ${from} can not be read`);
      this.#unmet.delete(from);
    } catch {
      // No room for our end, or no look at its file: the peer waits, and the clock tries again.
      const now = nowMs();
      const since = this.#unmet.get(from) ?? now;
      this.#unmet.set(from, since);
      if (now - since < UNMET_MS_MAX) return;
      this.#unmet.delete(from);
      this.#files.removeLog(this.#files.theirs(from));
    }
  }

  /**
   * A process ended before we had met: what it has published for us is taken in all the same. False: there is nothing.
   */
  #hearLast(from: number, info: ProcessInfo | undefined): boolean {
    const { storage, limits, self } = this.#region;
    const reader = storage.openLog(this.#files.theirs(from), { ring: limits.ringBytes, frames: limits.framesBytes });
    if (reader === undefined) return false;
    const { fromEpoch } = reader.identity;
    try {
      if (reader.poll() === 0) return false;
    } finally {
      reader.close();
    }
    const { bootId } = info ?? self;
    this.#table.peerDied(
      this.#table.make({
        ...self,
        number: from,
        epoch: fromEpoch,
        bootId,
        hasLivenessFifo: false,
        canMap: false,
        state: 'left',
      }),
    );
    return true;
  }
}
