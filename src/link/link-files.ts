/**
 * The names of the logs between this process and others, and which files lie under them.
 *
 * A link that is given up and begun again between two that live has the same names. What tells the two apart is the
 * file: each end knows which one it made, and which one of the peer it opened. Only the peer, or a process that knows
 * that we are dead, takes away the name of our own log.
 */
import { crashPoint } from '../crash-points';
import { StpError } from '../errors';
import { REGION_PATHS } from '../layout';
import { pairOfName, type ProcessInfo, type Region } from '../region';
import { type LogReader } from '../storage';
import { type Ends } from './link-ends';

export class LinkFiles {
  readonly #region: Region;

  /** Set once the region was removed: its names tell nothing any more. */
  abandoned = false;

  constructor(region: Region) {
    this.#region = region;
  }

  /** Path of the log that we write and `peer` reads. */
  ours(peer: number): string {
    return `${REGION_PATHS.links}/${this.#region.self.number}-${peer}`;
  }

  /** Path of the log that `peer` writes and we read. */
  theirs(peer: number): string {
    return `${REGION_PATHS.links}/${peer}-${this.#region.self.number}`;
  }

  /**
   * Opens the peer's log, and notes in `ends` which file it is; undefined where it is not there yet. ESTPCORRUPT where
   * it is another's.
   */
  openTheirs(ends: Ends): LogReader | undefined {
    const { info } = ends;
    const { storage, limits } = this.#region;
    const place = this.theirs(info.number);
    // Before it is opened: should it be replaced in between, we know the one that is no more, and find that out.
    const file = storage.info(place);
    // One that is put there in this moment could not be told from its next: the process that puts it there tells us
    // then.
    if (file === undefined) return undefined;
    ends.peerFile = file.id;
    const reader = storage.openLog(place, { ring: limits.ringBytes, frames: limits.framesBytes });
    if (reader === undefined || this.#isOf(info, reader)) return reader;
    reader.close();
    throw new StpError('ESTPCORRUPT', `link ${info.number}-${this.#region.self.number} names other processes`);
  }

  /** True where a log is from that process to us, of this region and these lives of both. */
  #isOf(info: ProcessInfo, { identity }: LogReader): boolean {
    const { self, id } = this.#region;
    const { from, to, fromEpoch, toEpoch, regionId } = identity;
    const processes = from === info.number && to === self.number;
    return processes && fromEpoch === info.epoch && toEpoch === self.epoch && regionId === id;
  }

  /** Which file lies there; 0 where there is none. */
  id(name: string): number {
    return this.#region.storage.info(name)?.id ?? 0;
  }

  /** Which file our log is; undefined where that can't be told. */
  ownId(peer: number): number | undefined {
    try {
      return this.id(this.ours(peer));
    } catch {
      return undefined;
    }
  }

  /** True where the peer has given the link up and begun another under the same name. */
  isReplaced({ link, info, peerFile }: Ends): boolean {
    if (this.abandoned || link.in === null || peerFile === 0) return false;
    const now = this.id(this.theirs(info.number));
    return now !== 0 && now !== peerFile;
  }

  /**
   * True where our log lost its name, which only the peer takes away: it will never read what we write there, though
   * its own log is in place.
   */
  isSuperseded({ info, ownFile }: Ends): boolean {
    if (this.abandoned || info === this.#region.self || ownFile === undefined) return false;
    return ownFile === 0 || this.id(this.ours(info.number)) !== ownFile;
  }

  /** True where the peer has given this link up, as far as can be told. */
  isGivenUp(ends: Ends): boolean {
    try {
      return (
        this.isSuperseded(ends) || (ends.link.in !== null && this.id(this.theirs(ends.info.number)) !== ends.peerFile)
      );
    } catch {
      return true;
    }
  }

  /** True where the peer is known to have given this link up; false where that can't be told. */
  isLeft(ends: Ends): boolean {
    try {
      return this.isSuperseded(ends) || this.isReplaced(ends);
    } catch {
      return false;
    }
  }

  /** True where what lies, or is about to lie, under the peer's name is for our next link. */
  #hasBegunAnew({ superseded, link, info, peerFile }: Ends): boolean {
    if (superseded || link.in === null || peerFile === 0) return superseded;
    try {
      // Where nothing lies there now, the peer may be putting its next log there while we go on.
      return this.id(this.theirs(info.number)) !== peerFile;
    } catch {
      return false;
    }
  }

  /** True where the peer's process is dead, or that can't be found out. */
  isDead({ info }: Ends): boolean {
    try {
      return this.#region.isAlive(info) === 'dead';
    } catch {
      return true;
    }
  }

  /** Removes the logs of a link that is over: the peer's only where it does not read or write there any more. */
  removeLogs(ends: Ends): void {
    const { info, link } = ends;
    this.removeLog(this.ours(info.number));
    if (link.peerGone) crashPoint('death.log-removed');
    if (link.peerGone || link.failure !== null) this.#removeTheirs(ends);
  }

  /** So that no process takes it for that of the next link. */
  #removeTheirs(ends: Ends): void {
    if (!this.#hasBegunAnew(ends)) this.removeLog(this.theirs(ends.info.number));
  }

  /** Removes a log; what can't be removed now is left to recovery. */
  removeLog(name: string): void {
    try {
      this.#region.storage.removeLog(name);
    } catch {
      // See above.
    }
  }

  /** Removes a file of the region; what can't be removed now is left to recovery. */
  remove(name: string): void {
    try {
      this.#region.storage.remove(name);
    } catch {
      // See above.
    }
  }

  /**
   * Removes links and bells of dead processes that we have no link with: they died before we met. Recovery knows only
   * that we live, so it leaves them to us, and notifies us. `met`: those that we have a link with.
   */
  reap(met: ReadonlyMap<number, unknown>): void {
    const { storage, self } = this.#region;
    for (const directory of [REGION_PATHS.links, REGION_PATHS.bells]) {
      for (const name of storage.list(directory)) {
        const pair = pairOfName(name);
        if (pair === undefined || !pair.includes(self.number)) continue;
        const other = pair[0] === self.number ? pair[1] : pair[0];
        if (other !== self.number && !met.has(other) && this.#region.isGone(other)) this.remove(`${directory}/${name}`);
      }
    }
  }
}
