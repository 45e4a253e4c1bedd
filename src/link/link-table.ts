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
import { decodeNotifications, type ProcessInfo, type Region } from '../region';
import { canListen, closeFifo, loadNative } from '../storage';
import { BellReader, BUFFER_BYTES, ringQuietly } from './bell';
import { BellFiles } from './bell-files';
import { FailedPeers } from './failed-peers';
import { Link, type LinkSink } from './link';
import { closeBells, type Ends, newEnds, portChangesOf, willHear } from './link-ends';
import { LinkFiles } from './link-files';
import { type Leftovers, leftoversOf } from './dead-peer';
import { checkRoom, identityOf, mechanismOf } from './mechanism';
import { Newcomers, UNMET_MS_MAX } from './newcomers';
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
/** Failures that are none of the peer's, and may pass. */
const MAY_PASS: ReadonlySet<string> = new Set(['EMFILE', 'ENOBUFS', 'EIO', 'ENOSPC', 'EDQUOT']);
/** A file that is not listed so often is not there. */
const MISSING_MAX = 2;

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
  #lifeCheckedMs = 0;
  #listedMs = 0;
  readonly #lifeCheckMs: number;
  #reapedMs = 0;
  #cleared: boolean;
  #closed = false;

  constructor(region: Region, events: LinkTableEvents) {
    this.#region = region;
    this.#events = events;
    this.#bells = new BellFiles(region);
    this.#files = new LinkFiles(region);
    this.#newcomers = new Newcomers(region, this.#files, {
      find: (number) => this.#ends.get(number),
      isBanned: (number) => this.#failed.isBanned(number),
      make: (info) => this.#make(info),
      complete: (ends) => {
        this.#complete(ends);
      },
      peerDied: (ends) => {
        this.#peerDied(ends);
      },
    });
    this.#cleared = region.recovered.complete;
    this.poller = new Poller(events, this, yieldOf(loadNative()));
    const { shared } = region.storage;
    const { leaseMs } = region.limits;
    this.#lifeCheckMs = shared
      ? leaseMs / LIFE_CHECKS_PER_SHARED_LEASE
      : Math.min(LIFE_CHECK_MS, leaseMs / LIFE_CHECKS_PER_LEASE);
    this.poller.remote = shared;
    if (region.livenessFd === undefined || !canListen()) {
      this.poller.setNeedsClock(true);
      return;
    }
    this.#livenessFifo = new BellReader(
      region.livenessFd,
      (bytes) => {
        // A full buffer: there may have been no room for more.
        this.#discover(bytes.length < BUFFER_BYTES ? decodeNotifications(bytes) : []);
      },
      () => {
        this.poller.setNeedsClock(true);
      },
    );
    this.poller.loopHandle = this.#livenessFifo;
    this.#updateClock();
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

  /** No process is to find us at home any more. */
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
    const { storage, self } = this.#region;
    const sameKernel = info.bootId === self.bootId;
    const hasBells = info !== self && sameKernel && self.hasLivenessFifo && info.hasLivenessFifo;
    if (hasBells) this.#bells.make(info.number);
    crashPoint('link.bells');
    const bellFd = hasBells ? this.#bells.openReader(info.number) : undefined;
    crashPoint('link.bell-open');
    const mechanism = mechanismOf(this.#region, info);
    const capacityBytes = mechanism === 'ring' ? this.#region.limits.ringBytes : this.#region.limits.framesBytes;
    let link: Link;
    try {
      const out = storage.createLog(
        this.#files.ours(info.number),
        identityOf(this.#region, info),
        mechanism,
        capacityBytes,
      );
      out.showPortChanges(this.#portChanges);
      link = new Link(this.poller, info.number, info.epoch, out, mechanism === 'ring');
      link.unheard = info !== self && !hasBells;
      link.remote = storage.shared;
      crashPoint('link.log');
    } catch (error) {
      if (bellFd !== undefined) closeFifo(bellFd);
      throw error;
    }
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
    ends.bell = new BellReader(
      bellFd,
      () => {
        this.#rung(ends);
      },
      () => {
        this.#bellEnded(ends);
      },
    );
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
    const { self, storage, limits } = this.#region;
    if (link.in !== null) return true;
    if (this.#files.abandoned) return false;
    const place = this.#files.theirs(info.number);
    try {
      // Before it is opened: should it be replaced in between, we know the one that is no more, and find that out.
      const file = storage.info(place);
      // One that is put there in this moment could not be told from its next: the process that puts it there tells us
      // then.
      if (file === undefined) return false;
      ends.peerFile = file.id;
      const reader = storage.openLog(place, { ring: limits.ringBytes, frames: limits.framesBytes });
      if (reader === undefined) return false;
      const { from, to, fromEpoch, toEpoch, regionId } = reader.identity;
      const right =
        from === info.number &&
        to === self.number &&
        fromEpoch === info.epoch &&
        toEpoch === self.epoch &&
        regionId === this.#region.id;
      if (!right) {
        reader.close();
        throw new StpError('ESTPCORRUPT', `link ${info.number}-${self.number} names other processes`);
      }
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
    const now = nowMs();
    if (ends.unopenedSinceMs === 0) ends.unopenedSinceMs = now;
    const passes = error instanceof StpError && MAY_PASS.has(error.code) && now - ends.unopenedSinceMs < UNMET_MS_MAX;
    if (!passes || link.peerGone) link.fail(error);
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
    this.poller.rung();
  }

  /**
   * The last writer of the peer's bell is gone: the peer died or gave the link up, or what it closed was still its end
   * of the link before this one.
   */
  #bellEnded(ends: Ends): void {
    if (this.#closed || ends.link.peerGone) return;
    const isOver = this.#files.abandoned || ends.link.isGivenUp || this.#hasDied(ends) || this.#files.isGivenUp(ends);
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
    // Processes of another kernel can't notify us.
    let needs =
      !this.#files.abandoned && (this.#livenessFifo === null || this.#newcomers.waiting || this.#region.storage.shared);
    for (const ends of this.#ends.values()) {
      if (ends.link.in === null || (!willHear(ends) && ends.info !== this.#region.self)) needs = true;
    }
    this.poller.setNeedsClock(needs);
  }

  housekeep(): void {
    if (this.#closed) return;
    const now = nowMs();
    const checkLife = now - this.#lifeCheckedMs >= this.#lifeCheckMs;
    if (!checkLife && now - this.#listedMs < this.#listGoodMs() && !this.#isMeeting()) return;
    this.#listedMs = now;
    if (checkLife) this.#lifeCheckedMs = now;
    try {
      if (this.#files.abandoned) {
        for (const ends of [...this.#ends.values()]) this.#checkLife(ends);
        return;
      }
      if (now - this.#reapedMs >= REAP_MS) {
        this.#reapedMs = now;
        this.#files.reap(this.#ends);
        if (!this.#cleared) this.#cleared = this.#region.recover(CLEAR_MS).complete;
      }
      const names = this.#region.storage.list(REGION_PATHS.links);
      for (const ends of [...this.#ends.values()])
        if (ends.info !== this.#region.self) this.#checkPeer(ends, names, checkLife);
      this.#newcomers.meetAll(names, false);
      this.#updateClock();
    } catch {
      // The clock goes on, and tries again.
    }
  }

  /**
   * While data come and go, the trips of a list to a file server are left to the data: newcomers wait as long as for a
   * process that sleeps.
   */
  #listGoodMs(): number {
    return this.poller.remote && !this.poller.asleep ? LIST_BUSY_MS : LIST_MS;
  }

  #isMeeting(): boolean {
    if (this.#newcomers.waiting) return true;
    for (const ends of this.#ends.values()) if (ends.link.in === null || ends.hasBells !== willHear(ends)) return true;
    return false;
  }

  /** Of a removed region: there only the life of a peer can be looked at. */
  #checkLife(ends: Ends): void {
    if (ends.info !== this.#region.self && !willHear(ends) && this.#region.isAlive(ends.info) === 'dead')
      this.#peerDied(ends);
  }

  #checkPeer(ends: Ends, names: readonly string[], checkLife: boolean): void {
    const { link, info } = ends;
    const self = this.#region.self.number;
    const incomplete = link.in === null && !this.#complete(ends);
    // A peer of this kernel from which no bell will be heard is looked at each time: peers of the dead are to know at
    // once.
    if (!incomplete && (willHear(ends) || !(checkLife || ends.hasBells))) return;
    if (this.#region.isAlive(info) === 'dead') {
      this.#peerDied(ends);
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
    this.#files.removeLog(this.#files.ours(peer));
    if (link.peerGone) crashPoint('death.log-removed');
    if (link.peerGone || link.failure !== null) this.#files.removeTheirs(ends);
    if (link.peerGone && this.#hasDied(ends)) {
      // A dead process does not clean up; the process that comes first does. A peer that lives uses them for its next
      // link.
      for (const name of this.#bells.names(peer)) this.#files.remove(name);
    }
    closeBells(ends);
    link.ringPeer = null;
    link.close();
  }

  #hasDied({ info }: Ends): boolean {
    try {
      return this.#region.isAlive(info) === 'dead';
    } catch {
      return true;
    }
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
