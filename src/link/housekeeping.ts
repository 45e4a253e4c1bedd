/**
 * What a process does about its links by the clock, where no bell and no notification tells of it: it completes links,
 * meets processes of other kernels, finds out which peers live, and removes what dead ones left.
 *
 * Nothing here throws: what fails is tried again at the next tick.
 */
import { nowMs } from '../host';
import { StpError } from '../errors';
import { REGION_PATHS } from '../layout';
import { type Region } from '../region';
import { type Ends, willHear } from './link-ends';
import { type LinkFiles } from './link-files';
import { type Newcomers } from './newcomers';

/** How often the life of a peer without a bell is looked at. */
const LIFE_CHECK_MS = 250;
const LIFE_CHECKS_PER_LEASE = 20;
/** The same where each takes trips to a file server. */
const LIFE_CHECKS_PER_SHARED_LEASE = 10;
/** How often the directory is looked at for processes that want a link with us, while no link is being made. */
const LIST_MS = 20;
/** The same where records come and go, and each list is a trip to a file server that they wait behind. */
const LIST_BUSY_MS = 200;
/** How often we look for what dead processes left us, where no process can notify us. */
const REAP_MS = 5000;
/** So long we then go on to clear up after dead processes, where our opening had no time to finish it. */
const CLEAR_MS = 100;
/** A file that is not listed so often is not there. */
const MISSING_MAX = 2;

/** What is asked of the table of links. */
export interface HousekeepingTable {
  /** By process. */
  readonly ends: ReadonlyMap<number, Ends>;
  /** Records come and go. */
  isAwake(): boolean;
  /** Opens the peer's log if it is there by now; true where it is open. */
  complete(ends: Ends): boolean;
  peerDied(ends: Ends): void;
  /** What {@link Housekeeping.isNeeded} depends on may be another now. */
  changed(): void;
}

export class Housekeeping {
  readonly #region: Region;
  readonly #files: LinkFiles;
  readonly #newcomers: Newcomers;
  readonly #table: HousekeepingTable;
  readonly #lifeCheckMs: number;
  #lifeCheckedMs = 0;
  #listedMs = 0;
  #reapedMs = 0;
  #cleared: boolean;

  constructor(region: Region, files: LinkFiles, newcomers: Newcomers, table: HousekeepingTable) {
    this.#region = region;
    this.#files = files;
    this.#newcomers = newcomers;
    this.#table = table;
    this.#cleared = region.recovered.complete;
    const { leaseMs } = region.limits;
    this.#lifeCheckMs = region.storage.shared
      ? leaseMs / LIFE_CHECKS_PER_SHARED_LEASE
      : Math.min(LIFE_CHECK_MS, leaseMs / LIFE_CHECKS_PER_LEASE);
  }

  /** `canBeNotified`: processes of this kernel tell us of their links. */
  isNeeded(canBeNotified: boolean): boolean {
    // Processes of another kernel can't notify us.
    if (!this.#files.abandoned && (!canBeNotified || this.#newcomers.waiting || this.#region.storage.shared))
      return true;
    for (const ends of this.#table.ends.values())
      if (ends.link.in === null || (!willHear(ends) && ends.info !== this.#region.self)) return true;
    return false;
  }

  run(): void {
    const now = nowMs();
    const checkLife = now - this.#lifeCheckedMs >= this.#lifeCheckMs;
    if (!checkLife && now - this.#listedMs < this.#listGoodMs() && !this.#isMeeting()) return;
    this.#listedMs = now;
    if (checkLife) this.#lifeCheckedMs = now;
    try {
      if (this.#files.abandoned) {
        for (const ends of [...this.#table.ends.values()]) this.#checkLife(ends);
        return;
      }
      if (now - this.#reapedMs >= REAP_MS) {
        this.#reapedMs = now;
        this.#files.reap(this.#table.ends);
        if (!this.#cleared) this.#cleared = this.#region.recover(CLEAR_MS).complete;
      }
      const names = this.#region.storage.list(REGION_PATHS.links);
      for (const ends of [...this.#table.ends.values()])
        if (ends.info !== this.#region.self) this.#checkPeer(ends, names, checkLife);
      this.#newcomers.meetAll(names, false);
      this.#table.changed();
    } catch {
      // The clock goes on, and tries again.
    }
  }

  /**
   * While data come and go, the trips of a list to a file server are left to the data: newcomers wait as long as for a
   * process that sleeps.
   */
  #listGoodMs(): number {
    return this.#region.storage.shared && this.#table.isAwake() ? LIST_BUSY_MS : LIST_MS;
  }

  #isMeeting(): boolean {
    if (this.#newcomers.waiting) return true;
    for (const ends of this.#table.ends.values())
      if (ends.link.in === null || ends.hasBells !== willHear(ends)) return true;
    return false;
  }

  /** Of a removed region: there only the life of a peer can be looked at. */
  #checkLife(ends: Ends): void {
    if (ends.info !== this.#region.self && !willHear(ends) && this.#region.isAlive(ends.info) === 'dead')
      this.#table.peerDied(ends);
  }

  #checkPeer(ends: Ends, names: readonly string[], checkLife: boolean): void {
    const { link, info } = ends;
    const self = this.#region.self.number;
    const incomplete = link.in === null && !this.#table.complete(ends);
    // A peer of this kernel from which no bell will be heard is looked at each time: peers of the dead are to know at
    // once.
    if (!incomplete && (willHear(ends) || !(checkLife || ends.hasBells))) return;
    if (this.#region.isAlive(info) === 'dead') {
      this.#table.peerDied(ends);
      return;
    }
    const needed = incomplete ? `${self}-${info.number}` : `${info.number}-${self}`;
    // A list of what others change meanwhile may lack a name that is there.
    const listed =
      names.includes(needed) ||
      (ends.missing > 0 && this.#region.storage.info(`${REGION_PATHS.links}/${needed}`) !== undefined);
    ends.missing = listed ? 0 : ends.missing + 1;
    if (ends.missing >= MISSING_MAX || (!ends.heard && this.#files.isReplaced(ends)))
      link.fail(new StpError('ECONNRESET', `process ${info.number} gave the link up`));
  }
}
