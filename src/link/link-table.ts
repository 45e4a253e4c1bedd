/**
 * The links of this process: making them, joining those that others made (newcomers.ts), and ending them.
 *
 * Order that matters. Each end opens the reading end of its bell before it creates its log, so that the process that
 * sees the log can open the writing end; a log is found by listing the directory (a look-up by name may be answered
 * from a stale cache on another host), after a connect notification where there is a liveness FIFO. The peer's death is
 * the end of its bell and a closed liveness FIFO; before it is taken as final, all that the peer published is
 * delivered.
 *
 * A process that gives a link up, because the peer is dead or what it wrote is damaged, removes the files of both
 * directions before it closes the bells: no process must take an old log for a new one. A living peer learns of it by
 * the end of the bell, with the asleep word or the missing file, or by the missing file alone.
 *
 * Nothing here throws into the event loop: what fails for lack of room or descriptors is tried again by the clock.
 */
import { crashPoint } from '../crash-points';
import { errnoOf, StpError } from '../errors';
import { REGION_PATHS } from '../layout';
import { type ProcessInfo, type Region } from '../region';
import { canListen, closeFifo, loadNative } from '../storage';
import { BellReader, ringQuietly } from './bell';
import { BellFiles } from './bell-files';
import { FailedPeers } from './failed-peers';
import { Housekeeping, type HousekeepingTable } from './housekeeping';
import { type Link, type LinkSink } from './link';
import { closeBells, type Ends, newEnds, portChangesOf } from './link-ends';
import { LinkFiles } from './link-files';
import { type Leftovers, leftoversOf } from './dead-peer';
import { checkRoom, createLink } from './mechanism';
import { listenForNewcomers, Newcomers, mayPass, type NewcomersTable } from './newcomers';
import { Poller, type PollerEvents } from './poller';
import { yieldOf } from './yield';
import { nowMs } from '../host';

export interface LinkTableEvents extends LinkSink {
  /** The peer of a link is gone or the link failed; all it sent has been delivered. */
  peerGone(link: Link, errno: number, left?: Leftovers): void;
  /** The other process has its end of the link now. */
  attached(link: Link): void;
  /** A process called us, and we may not look into the region any more. */
  barred(): void;
}

export class LinkTable implements PollerEvents {
  readonly poller: Poller;
  readonly #region: Region;
  readonly #events: LinkTableEvents;
  readonly #bells: BellFiles;
  readonly #files: LinkFiles;
  readonly #newcomers: Newcomers;
  readonly #ends = new Map<number, Ends>();
  /** Damaged links by process. */
  readonly #failed = new FailedPeers();
  #livenessFifo: BellReader | null = null;
  /** Of our own port table. */
  #portChanges = 0;
  readonly #housekeeping: Housekeeping;
  #closed = false;

  constructor(region: Region, events: LinkTableEvents) {
    this.#region = region;
    this.#events = events;
    this.#bells = new BellFiles(region);
    this.#files = new LinkFiles(region);
    this.poller = new Poller(events, this, yieldOf(loadNative()));
    this.poller.remote = region.storage.shared;
    const table = this.#asTable();
    this.#newcomers = new Newcomers(region, this.#files, table);
    this.#housekeeping = new Housekeeping(region, this.#files, this.#newcomers, table);
    this.#livenessFifo = listenForNewcomers(region, {
      notified: (from) => {
        this.#discover(from);
      },
      ended: () => {
        this.poller.setNeedsClock(true);
      },
    });
    if (this.#livenessFifo === null) {
      this.poller.setNeedsClock(true);
      return;
    }
    this.poller.loopHandle = this.#livenessFifo;
    this.#updateClock();
  }

  /** What the parts of it ask of it. */
  #asTable(): NewcomersTable & HousekeepingTable {
    return {
      ends: this.#ends,
      isAwake: () => !this.poller.asleep,
      isBanned: (number) => this.#failed.isBanned(number),
      make: (info) => this.#make(info),
      complete: (ends) => this.#complete(ends),
      peerDied: (ends) => {
        this.#peerDied(ends);
      },
      changed: () => {
        this.#updateClock();
      },
    };
  }

  /**
   * The link to a live process, made if there is none; undefined where the process is gone. Throws ENOSPC, EMFILE and
   * the like.
   */
  to(number: number, epoch?: number): Link | undefined {
    const known = this.#ends.get(number);
    if (known !== undefined) return epoch === undefined || known.info.epoch === epoch ? known.link : undefined;
    const info = number === this.#region.self.number ? this.#region.self : this.#region.process(number);
    if (info === undefined || (epoch !== undefined && info.epoch !== epoch) || this.#failed.isBanned(number))
      return undefined;
    if (info !== this.#region.self && this.#region.isAlive(info) === 'dead') return undefined;
    checkRoom(this.#region, info);
    const ends = this.#make(info);
    let heard = false;
    try {
      heard = info === this.#region.self || this.#notify(ends);
    } finally {
      if (!heard) this.#drop(ends);
    }
    return heard ? ends.link : undefined;
  }

  /** False where the process has given up the link that we still have with it: it ends with the next turn. */
  holds(number: number): boolean {
    const ends = this.#ends.get(number);
    if (ends === undefined) return true;
    if (!ends.link.peerGone && ends.link.failure === null && !this.#files.isLeft(ends)) return true;
    this.#peerDied(ends);
    return false;
  }

  /** Our port table has changed, so often by now: peers look at it again. */
  showPortChanges(count: number): void {
    this.#portChanges = count;
    for (const { link } of this.#ends.values()) link.out.showPortChanges(count);
  }

  /**
   * How often the port table of a process has changed that certainly lives; undefined where that must be found out in
   * the region.
   */
  portChangesOf(number: number, epoch: number): number | undefined {
    const ends = this.#ends.get(number);
    return ends?.info.epoch === epoch ? portChangesOf(ends) : undefined;
  }

  /** See FailedPeers. */
  hasNotAnswered(number: number): boolean {
    return this.#failed.hasNotAnswered(number);
  }

  /** No process finds us any more. */
  closeLivenessFifo(): void {
    this.#livenessFifo?.close();
    this.#livenessFifo = null;
    this.poller.loopHandle = null;
  }

  /**
   * The region was removed: links that are whole go on as long as their ends live, others end. What has a name now is
   * not of this region.
   */
  abandon(): void {
    if (this.#files.abandoned || this.#closed) return;
    this.#files.abandoned = true;
    this.closeLivenessFifo();
    for (const { link } of this.#ends.values())
      if (link.in === null) link.fail(new StpError('ECONNRESET', 'the region was removed'));
    this.#updateClock();
    this.poller.wake();
  }

  #make(info: ProcessInfo): Ends {
    const { self } = this.#region;
    const sameKernel = info.bootId === self.bootId;
    const hasBells = info !== self && sameKernel && self.hasLivenessFifo && info.hasLivenessFifo;
    if (hasBells) this.#bells.make(info.number);
    crashPoint('link.bells');
    const bellFd = hasBells ? this.#bells.openReader(info.number) : undefined;
    crashPoint('link.bell-open');
    let link: Link;
    try {
      link = createLink(this.#region, this.poller, this.#files.ours(info.number), info);
    } catch (error) {
      if (bellFd !== undefined) closeFifo(bellFd);
      throw error;
    }
    link.out.showPortChanges(this.#portChanges);
    link.unheard = info !== self && !hasBells;
    crashPoint('link.log');
    const listens = canListen();
    const heldFd = listens ? undefined : bellFd;
    const ends = newEnds({ info, link, hasBells, heldFd, ownFile: this.#files.ownId(info.number) });
    if (bellFd !== undefined && listens) this.#listen(ends, bellFd);
    this.#ends.set(info.number, ends);
    this.poller.links.add(link);
    this.poller.wake();
    this.#complete(ends);
    this.#updateClock();
    return ends;
  }

  #listen(ends: Ends, bellFd: number): void {
    const rung = (): void => {
      this.#rung(ends);
    };
    const ended = this.#bellEnded.bind(this, ends);
    ends.bell = this.poller.inOwnContext(() => new BellReader(bellFd, rung, ended));
  }

  /** Tells the peer that there is a new link. False: that process is gone. */
  #notify(ends: Ends): boolean {
    if (!ends.hasBells) return true;
    const heard = this.#bells.notify(ends.info.number);
    crashPoint('link.notified');
    return heard;
  }

  /** Opens the peer's log if it is there by now. */
  #complete(ends: Ends): boolean {
    const { link, info } = ends;
    if (link.in !== null) return true;
    if (this.#files.abandoned) return false;
    try {
      const reader = this.#files.openTheirs(ends);
      if (reader === undefined) return false;
      link.in = reader;
      crashPoint('link.opened');
      if (this.#files.isSuperseded(ends)) {
        ends.superseded = true;
        throw new StpError('ECONNRESET', `process ${info.number} began anew`);
      }
      if (ends.hasBells) this.#openBell(ends);
      ends.unopenedSinceMs = 0;
      // Last: what fails before it is tried again, and opens the log again.
      reader.detach();
      crashPoint('link.detached');
    } catch (error) {
      this.#notOpened(ends, error);
      return false;
    }
    this.#failed.answered(info.number);
    link.ringIfAsleep();
    this.poller.wake();
    this.#events.attached(link);
    return true;
  }

  /** What fails for lack of descriptors or memory, or by the disk, is tried again by the clock for a while. */
  #notOpened(ends: Ends, error: unknown): void {
    const { link } = ends;
    link.in?.close();
    link.in = null;
    if (ends.unopenedSinceMs === 0) ends.unopenedSinceMs = nowMs();
    if (!mayPass(error, ends.unopenedSinceMs) || link.peerGone) link.fail(error);
  }

  #openBell(ends: Ends): void {
    const fd = this.#bells.openWriter(ends.info.number);
    if (fd === undefined) {
      // The peer opened it before it created the log that we just saw, so it is gone.
      this.#peerDied(ends);
      return;
    }
    ends.bellWriter = fd;
    ends.link.ringPeer = () => ringQuietly(fd);
    // The peer may wait for our log: this is how it learns that we are here.
    ringQuietly(fd);
    crashPoint('link.joined');
  }

  #rung(ends: Ends): void {
    if (!ends.heard || ends.link.in === null) {
      ends.heard = true;
      this.#complete(ends);
      this.#updateClock();
    }
    this.poller.rung(ends.link);
  }

  /**
   * The last writer of the peer's bell is gone: the peer died or gave the link up, or what it closed was still its end
   * of the link before this one.
   */
  #bellEnded(ends: Ends): void {
    if (this.#closed || ends.link.peerGone) return;
    const isOver =
      this.#files.abandoned || ends.link.isGivenUp || this.#files.isDead(ends) || this.#files.isGivenUp(ends);
    if (isOver) this.#peerDied(ends);
    else this.#listenAgain(ends);
  }

  /** Until the bell rings, the clock looks after the peer. */
  #listenAgain(ends: Ends): void {
    const ended = ends.bell;
    ends.bell = null;
    ends.heard = false;
    try {
      // Before the other is closed: a bell without a reader can't be rung.
      const bellFd = this.#bells.openReader(ends.info.number);
      if (bellFd !== undefined) this.#listen(ends, bellFd);
    } catch {
      // It goes by the clock alone.
    }
    ended?.close();
    this.#updateClock();
  }

  #peerDied(ends: Ends): void {
    if (this.#closed || ends.link.peerGone) return;
    ends.link.peerGone = true;
    crashPoint('death.noticed');
    if (ends.link.in === null) this.#complete(ends);
    this.poller.wake();
  }

  /**
   * Looks for logs that others made for us, and else for what dead processes left between them and us. `from`: those
   * that notified us; where there are many processes, a list of all names costs more than to meet one.
   */
  #discover(from: readonly number[] = []): void {
    if (this.#closed || this.#files.abandoned) return;
    try {
      if (from.length === 0 || !this.#newcomers.meetThese(from)) this.#lookAtAll();
      this.#updateClock();
    } catch (error) {
      if (error instanceof StpError && error.code === 'EACCES') this.#events.barred();
      else this.poller.setNeedsClock(true);
    }
    this.poller.wake();
  }

  #lookAtAll(): void {
    const known = this.#ends.size;
    this.#newcomers.meetAll(this.#region.storage.list(REGION_PATHS.links), true);
    if (this.#ends.size === known) this.#files.reap(this.#ends);
  }

  #updateClock(): void {
    this.poller.setNeedsClock(this.#housekeeping.isNeeded(this.#livenessFifo !== null));
  }

  housekeep(): void {
    if (!this.#closed) this.#housekeeping.run();
  }

  linkOver(link: Link): void {
    const ends = this.#ends.get(link.process);
    if (ends?.link !== link) return;
    const errno = link.failure === null ? errnoOf('ECONNRESET') : -link.failure.errno;
    this.#failed.count(link);
    const left =
      link.peerGone && link.failure === null && ends.info.bootId === this.#region.self.bootId
        ? leftoversOf(link, this.#files.abandoned ? undefined : this.#region)
        : undefined;
    this.#drop(ends);
    if (link.peerGone) crashPoint('death.dropped');
    this.#events.peerGone(link, errno, left);
    if (link.peerGone) crashPoint('death.told');
    // A peer that lives may have notified for its next link already, while we still had this one.
    this.#discover();
  }

  #drop(ends: Ends): void {
    const peer = ends.info.number;
    const { link } = ends;
    this.#ends.delete(peer);
    this.poller.links.delete(link);
    if (!link.peerGone) link.tellGivenUp();
    this.#files.removeLogs(ends);
    // A dead process does not clean up. A peer that lives uses them for its next link.
    if (link.peerGone && this.#files.isDead(ends)) for (const name of this.#bells.names(peer)) this.#files.remove(name);
    closeBells(ends);
    link.ringPeer = null;
    link.close();
  }

  /** Before the end: sockets for which bytes have come that will not be looked at, by index. */
  takeUnseen(): Set<number> {
    return new Set([...this.#ends.values()].flatMap(({ link }) => [...link.takeUnseen()]));
  }

  /** Publishes what is left and lets go of everything; peers see the end of their bells. */
  close(): void {
    if (this.#closed) return;
    this.poller.flush(true);
    this.#closed = true;
    // First: a process that sees the end of a bell looks here whether we live.
    this.#livenessFifo?.close();
    for (const ends of [...this.#ends.values()]) {
      closeBells(ends);
      ends.link.close();
    }
    this.#ends.clear();
    this.poller.close();
  }
}
