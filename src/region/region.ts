/**
 * A region, opened: this thread is a process in it, with a number, a file of its own and (where there are FIFOs) a
 * liveness FIFO.
 *
 * Steps of opening, each safe against processes that open, reset or recover at the same time and against our death
 * between any two: directory, header, number (an empty process file), liveness FIFO, identity `starting`, a look
 * whether header and file are still there, tables, identity `live`, recovery of what dead processes left.
 */
import path from 'node:path';
import { crashPoint } from '../crash-points';
import { StpError } from '../errors';
import { PROCESS_BLOCKS, REGION_PATHS } from '../layout';
import { type BlockWriter, type Storage } from '../storage';
import { Bindings } from './bindings';
import { type LivenessFifo } from './liveness-fifo';
import { monotonicMs } from './beat-clock';
import { checkLimits, defaultLimits, type RegionLimits } from './header';
import { outageMsMax } from './heartbeat';
import { Hosts } from './hosts';
import { type Liveness } from './machine';
import { OtherHostWatch } from './other-hosts';
import { checkRegionOptions, type RegionOptions } from './options';
import { HeartbeatSender } from './heartbeat-sender';
import { encodeIdentity, type MutableProcessInfo, type ProcessInfo } from './process-info';
import { Processes } from './processes';
import { dropPair, recover, type RecoverySummary } from './recovery';
import {
  giveUpMembership,
  giveUpPlace,
  isReplaceable,
  isStillThere,
  quietly,
  type RegionSetup,
  type Membership,
  takeMembership,
} from './membership';
import { readSockets } from './read-sockets';
import { type ScbValues, SocketTable } from './socket-table';
import { nowMs } from '../host';

export { type RegionSetup } from './membership';

/** Openings that a reset or a removal by hand may spoil before we give up. */
const OPEN_TRIES = 5;
/** Longest recovery at opening, milliseconds; the next opener goes on where it ended. */
const RECOVERY_MS = 250;

export class Region {
  readonly storage: Storage;
  /** Random number that tells this region from one made later in its place. */
  readonly id: number;
  readonly createdAtMs: number;
  readonly limits: RegionLimits;
  readonly self: ProcessInfo;
  /** Why this driver, in words. */
  readonly driverDetail: string;
  readonly bindings: Bindings;
  readonly sockets: SocketTable;
  readonly hosts: Hosts;
  /** What writes our heartbeat, and how long the storage has answered. */
  readonly heartbeat: HeartbeatSender;
  /** What recovery did when this process opened the region. */
  readonly recovered: RecoverySummary;
  readonly #self: MutableProcessInfo;
  readonly #processes: Processes;
  readonly #file: BlockWriter;
  readonly #watch: OtherHostWatch | undefined;
  #livenessFifo: LivenessFifo | undefined;
  #closed = false;

  /**
   * Opens the region, making it where there is none, and joins it. Synchronous. Throws StpError: ESTPCONFIG (an
   * option), ESTPREGION (not a directory, not a region), ESTPVERSION, ESTPCORRUPT (names the file), EACCES, EROFS,
   * ENOSPC, EDQUOT, EMFILE, ESTPDRIVER.
   */
  static open(options: RegionOptions, setup: RegionSetup = {}): Region {
    const checked = checkRegionOptions(options);
    const limits = { ...(checked.leaseMs === undefined ? {} : { leaseMs: checked.leaseMs }), ...setup.limits };
    checkLimits({ ...defaultLimits(undefined), ...limits }, (field) => {
      throw new StpError('EINVAL', `limit ${field} is out of range`);
    });
    let failure: unknown;
    for (let tries = 0; tries < OPEN_TRIES; tries += 1) {
      const membership = takeMembership(checked, limits, setup);
      if (membership === undefined) continue;
      try {
        return new Region(membership);
      } catch (error) {
        giveUpMembership(membership);
        // Another process removes the region while we open it. Anything else is told at once.
        if (!(error instanceof StpError) || error.code !== 'ENOENT') throw error;
        failure = error;
      }
    }
    throw new StpError('ESTPREGION', `${checked.directory} was removed each time while it was opened`, 'open', {
      cause: failure,
    });
  }

  /** Use {@link Region.open}. */
  constructor(membership: Membership) {
    const { storage, facts, self } = membership;
    this.storage = storage;
    this.id = facts.id;
    this.createdAtMs = facts.createdAtMs;
    this.limits = facts.limits;
    this.driverDetail = membership.driverDetail;
    this.self = self;
    this.#self = self;
    this.#file = membership.file;
    this.#livenessFifo = membership.livenessFifo;
    this.heartbeat = new HeartbeatSender(membership.file, facts.limits.leaseMs);
    // Where there can be no process of another host, no process beats, and our own clock is as good.
    const clock = storage.shared ? (): number => this.heartbeat.ableMs() : (): number => nowMs();
    this.#processes = new Processes(storage, membership.machine, self, facts.limits.leaseMs, clock);
    // Before the first identity: a process of a shared storage that never beat must be one of another time.
    if (storage.shared) this.beat();
    this.bindings = new Bindings(membership.file, this.#processes, self);
    this.sockets = new SocketTable(membership.file, facts.limits.socketsMax);
    this.hosts = new Hosts(this.#processes, this.bindings, self);
    crashPoint('open.tables');
    this.#publish('starting');
    crashPoint('open.starting');
    if (!isStillThere(storage, facts, self.number)) throw new StpError('ENOENT', `${storage.root} is being removed`);
    this.#publish('live');
    crashPoint('open.live');
    this.recovered = recover(storage, this.#processes, RECOVERY_MS);
    // Recovery has looked at all that were there.
    if (membership.mayBeServed)
      this.#watch = new OtherHostWatch(storage, self.bootId, (this.#processes.lowestUnannounced ?? self.number) - 1);
  }

  /** Path of our liveness FIFO; undefined where FIFOs are impossible. */
  get livenessFifoPath(): string | undefined {
    return this.#livenessFifo?.path;
  }

  /**
   * The open liveness FIFO, readable and non-blocking; undefined where FIFOs are impossible. Its reader may close it,
   * just before close(): a process whose liveness FIFO is closed is dead. What is still open is closed by close().
   */
  get livenessFd(): number | undefined {
    return this.#livenessFifo?.fd;
  }

  /** All processes but those known to be dead, this one included. */
  processes(): ProcessInfo[] {
    return this.#processes.list();
  }

  /** The process of a number; undefined where there is none any more. */
  process(number: number): ProcessInfo | undefined {
    return this.#processes.get(number);
  }

  /** 'dead' only where that is certain; 'unknown' where only time can tell. */
  isAlive(info: ProcessInfo): Liveness {
    return this.#processes.isAlive(info);
  }

  /** See {@link Processes.hasItsRights}. */
  hasItsRights(info: ProcessInfo): boolean {
    return this.#processes.hasItsRights(info);
  }

  /**
   * True where others took us for dead, because they saw no heartbeat for a lease. Nothing that we hold in the region
   * can be relied on then.
   */
  get takenForDead(): boolean {
    return this.#processes.takenForDead();
  }

  /** True where process `number` is dead beyond doubt, or left. */
  isGone(number: number): boolean {
    const info = this.#processes.get(number);
    return info === undefined ? this.#processes.isGone(number) : this.#processes.isAlive(info) === 'dead';
  }

  /** Called once, as soon as a process of another host is seen; at once where one has been. */
  set onOtherHost(told: () => void) {
    this.#processes.onOtherHost = told;
  }

  /**
   * True where the directory is local to us, and may be served to other hosts: then the owner of this object must call
   * lookForOtherHosts() now and then.
   */
  get mayBeServed(): boolean {
    return this.#watch !== undefined;
  }

  get otherHostSeen(): boolean {
    return this.#processes.otherHostSeen;
  }

  /** Looks whether a process of another host has come, and tells `onOtherHost`. Throws what the storage throws. */
  lookForOtherHosts(): void {
    const number = this.otherHostSeen ? undefined : this.#watch?.look();
    if (number !== undefined) this.#processes.get(number);
  }

  /**
   * The socket control blocks of a process, by index, as they lie in its file; undefined where it has no file any more.
   */
  socketsOf(process: number): ((index: number) => ScbValues | undefined) | undefined {
    return readSockets(this.storage, process);
  }

  /** Writes the heartbeat, unless the thread of `sender` does. */
  beat(): void {
    this.heartbeat.beat();
  }

  /** True where the storage has not answered for so long that our connections are to end, see outageMsMax. */
  get outOfReach(): boolean {
    return this.storage.shared && this.heartbeat.clock.outageMs(monotonicMs()) > outageMsMax(this.limits.leaseMs);
  }

  /** True where the region was removed, or moved away, under us; another may lie in its place. */
  get removed(): boolean {
    return this.storage.isRemoved();
  }

  /** True where a removed region can be opened anew: nothing is at work there to remove the rest of it. */
  get replaceable(): boolean {
    return isReplaceable(this.storage);
  }

  /**
   * The region was removed, and we open it anew: processes that have not noticed are to find no listener of ours here.
   * Never throws.
   */
  withdraw(): void {
    quietly(() => {
      this.bindings.withdraw();
    });
  }

  /** Tells others that no process is here that they could call. Never throws. Our liveness FIFO must be closed. */
  signOff(): void {
    this.withdraw();
    quietly(() => {
      this.#publish('left');
    });
  }

  /** Path of the file that goes with the region, and which is never written while the region is there. */
  get headerPath(): string {
    return path.join(this.storage.root, REGION_PATHS.header);
  }

  /** Removes what the dead left behind, for at most about `budgetMs` milliseconds. */
  recover(budgetMs = RECOVERY_MS): RecoverySummary {
    return recover(this.storage, this.#processes, budgetMs);
  }

  /** Removes the links and bells between us and a process that is dead; ours must be closed. */
  dropPair(gone: number): void {
    dropPair(this.storage, this.#self.number, gone);
  }

  /**
   * Leaves the region in good order: state `left`, liveness FIFO closed, own files removed where no process needs them.
   * Sockets must have been closed. Never throws: what can't be written any more is left to recovery.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.heartbeat.close();
    const { number } = this.#self;
    quietly(() => {
      this.#publish('left');
    });
    crashPoint('leave.left');
    this.#processes.close();
    quietly(() => {
      dropPair(this.storage, number, number);
    });
    // After the state: a process that finds the liveness FIFO closed finds that we have left.
    giveUpPlace(this.storage, number, this.#file, this.#livenessFifo);
    this.#livenessFifo = undefined;
  }

  #publish(state: ProcessInfo['state']): void {
    const before = this.#self.state;
    this.#self.state = state;
    try {
      this.#file.write(PROCESS_BLOCKS.identity, encodeIdentity(this.#self));
    } catch (error) {
      this.#self.state = before;
      throw error;
    }
  }
}
