/**
 * The process's part of the region, made at the first call: region, links and engine put together, and the table of
 * descriptors.
 *
 * There is one runtime per thread. A descriptor is the index of its socket in the engine.
 */
import { AsyncResource } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { crashPoint } from '../crash-points';
import { clearInterval, clearTimeout, environment, nowMs, setImmediate, setInterval, setTimeout } from '../host';
import { errnoOf, StpError } from '../errors';
import {
  askingCost,
  dispatch,
  endAtExit,
  Engine,
  type EngineAddress,
  type EnginePorts,
  type EngineSocket,
  forEach,
  type IncomingRecord,
  linkAttached,
  Peer,
  peerGone,
  type PeerPort,
  roomMade,
} from '../engine';
import { type Leftovers, Link, LinkTable, type LinkTableEvents } from '../link';
import { type FoundListener, Region, regionOptions, type RegionOptions } from '../region';
import { MSG_DONTWAIT } from './constants';
import { KnownListeners } from './known-listeners';
import { RemovalWatch } from './removal-watch';
import { RemovedRegions } from './removed-regions';
import { resetConnections, restoreSockets } from './restore-sockets';
import { TableUpdates } from './table-updates';
import { traceComment } from './trace';
import { DeadProcess } from './dead-process';
import { Endpoint } from './endpoint';

/** Every so many beats we look whether another process took us for dead. */
const BEATS_PER_LOOK = 5;
/** How often a process to which the directory is local looks for those of other hosts, milliseconds. */
const LOOK_OUT_MS = 1000;
/** Least time between two looks of a caller that asks often. */
const REMOVAL_LOOK_MS = 100;
const TIMER_MAX_MS = 0x7fff_ffff;

export class Runtime implements EnginePorts, LinkTableEvents {
  /** Both are others after we were taken for dead, see {@link rejoin}, or the region was removed. */
  region: Region;
  links: LinkTable;
  readonly engine: Engine;
  readonly endpoints: (Endpoint | undefined)[] = [];
  lastErrno = 0;
  #updates: TableUpdates;
  readonly #removed = new RemovedRegions();
  readonly #known = new KnownListeners();
  #removalWatch: RemovalWatch | null = null;
  #removalLookedMs = -Infinity;
  #holds = 0;
  #timer: NodeJS.Timeout | null = null;
  #timerAtMs = Infinity;
  #beatTimer: NodeJS.Timeout | null = null;
  #lookOutTimer: NodeJS.Timeout | null = null;
  #later: (() => void)[] = [];
  #left = false;
  readonly #root = new AsyncResource('STPRUNTIME');
  readonly #options: RegionOptions;
  #beats = 0;
  #beatAtMs = 0;
  /** The place in the region is lost, and no new one was to be had yet. */
  #detached = false;
  /** See {@link barred}. */
  #barred = false;

  constructor(options: RegionOptions) {
    this.#options = options;
    this.engine = new Engine(this);
    [this.region, this.links] = this.#join();
    this.#updates = new TableUpdates(this.region, this.engine, this.#root);
    if (this.region.storage.shared) this.#startBeating(this.region);
    if (this.region.mayBeServed) this.#startLookingOut();
    // What the kernel does for TCP at exit: the other ends learn that this is an orderly end.
    process.once('exit', this.leave);
  }

  #join(): [Region, LinkTable] {
    const region = Region.open(this.#options);
    region.heartbeat.onReason = (reason, detail) => {
      traceComment(`heartbeat: ${reason}${detail === '' ? '' : ` (${detail})`}`);
    };
    // Outside of whatever the program is just doing: the thread is not its own.
    region.onOtherHost = () => {
      this.#root.runInAsyncScope(() => {
        this.#meetOtherHost(region);
      });
    };
    const links = new LinkTable(region, this);
    region.bindings.onChange = (changes) => {
      links.showPortChanges(changes);
    };
    links.poller.count(this.engine.sockets.length - 1);
    return [region, links];
  }

  // --- descriptors ---

  adopt(socket: EngineSocket): Endpoint {
    const endpoint = new Endpoint(this, socket);
    this.endpoints[socket.index] = endpoint;
    return endpoint;
  }

  forget(endpoint: Endpoint): void {
    if (this.endpoints[endpoint.socket.index] === endpoint) this.endpoints[endpoint.socket.index] = undefined;
  }

  /** The endpoint of a descriptor; EBADF for anything else. */
  endpoint(call: string, s: unknown): Endpoint {
    const endpoint = typeof s === 'number' ? this.endpoints[s] : undefined;
    if (endpoint === undefined) throw new StpError('EBADF', `descriptor ${typeof s === 'number' ? s : typeof s}`, call);
    return endpoint;
  }

  hold(change: 1 | -1): void {
    this.#holds += change;
    this.links.poller.setReferenced(this.#holds > 0);
    this.#removed.setReferenced(this.#holds > 0);
  }

  /** See {@link Link.settle}, for what a socket has sent. */
  settle(socket: EngineSocket): Promise<StpError | null> | undefined {
    const port = socket.peer?.port;
    return port instanceof Link ? port.settle() : undefined;
  }

  // --- EnginePorts ---

  get system(): string {
    return this.region.self.system;
  }

  get group(): string {
    return this.region.self.group;
  }

  get socketsMax(): number {
    return this.region.limits.socketsMax;
  }

  nowMs(): number {
    return nowMs();
  }

  peer(process: number, epoch?: number): PeerPort | undefined {
    this.#checkReach();
    return this.links.to(process, epoch);
  }

  holds(process: number): boolean {
    return this.links.holds(process);
  }

  another(socket: EngineSocket): PeerPort | undefined {
    const found = this.findListener(socket, socket.remote);
    return found === undefined ? undefined : this.links.to(found.process.number, found.process.epoch);
  }

  /**
   * The listener at an address; of several that share it the next that `socket` has not asked, or one that is known to
   * be slow.
   */
  findListener(socket: EngineSocket, { system, group, port, ip }: EngineAddress): FoundListener | undefined {
    this.#checkReach();
    const query = { ip, cost: (process: number): number => askingCost(this.engine, socket, process) };
    const found = this.region.bindings.findListener(system, group, port, query);
    if (found !== undefined || !this.followRemoval()) return found;
    return this.region.bindings.findListener(system, group, port, query);
  }

  /** The same for a socket that has asked none yet. */
  firstListener(socket: EngineSocket, address: EngineAddress): FoundListener | undefined {
    this.#checkReach();
    return this.#known.find(address, this.#portChanges, () => this.findListener(socket, address));
  }

  /** Whether a process listens at an address, and is in our network namespace where that is asked for. */
  seeListener(address: EngineAddress, sameNetwork: boolean): boolean {
    const { system, group, port, ip } = address;
    const { bindings } = this.region;
    const found = this.#known.find(address, this.#portChanges, () =>
      bindings.seeListener(system, group, port, { ip, sameNetwork }),
    );
    return found !== undefined && (!sameNetwork || bindings.inNetwork(found.process));
  }

  readonly #portChanges = (process: number, epoch: number): number | undefined =>
    this.links.portChangesOf(process, epoch);

  #checkReach(): void {
    if (this.#detached) throw new StpError('EIO', 'the region is out of reach');
  }

  secret(bytes: number): Uint8Array {
    return randomBytes(bytes);
  }

  changed(socket: EngineSocket, begins: boolean): void {
    this.#updates.changed(socket, begins);
    if (begins) {
      this.links.poller.count(socket.index);
      this.#removed.count(socket.index);
    }
    const { owner } = socket;
    if (owner instanceof Endpoint) owner.updateHold();
  }

  later(run: () => void): void {
    this.#later.push(run);
    if (this.#later.length === 1) this.#root.runInAsyncScope(setImmediate, undefined, runLater, this);
  }

  /** See {@link later}. What one throws must not keep the others from running. */
  runLater(): void {
    const due = this.#later;
    this.#later = [];
    forEach(due, (run) => {
      run();
    });
  }

  counted(socket: EngineSocket): void {
    this.#updates.counted(socket);
  }

  unreadChanged(socket: EngineSocket): void {
    this.#updates.unreadChanged(socket);
  }

  /** Writes the control blocks that changed. */
  flushSockets(): void {
    this.#updates.flush();
  }

  wakeAt(atMs: number): void {
    if (atMs >= this.#timerAtMs || this.#left) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    const delayMs = Math.min(TIMER_MAX_MS, Math.max(0, Math.ceil(atMs - nowMs())));
    this.#timer = this.#root.runInAsyncScope<undefined, NodeJS.Timeout>(
      setTimeout,
      undefined,
      () => {
        this.#timer = null;
        this.#timerAtMs = Infinity;
        const next = this.engine.advance();
        if (next !== Infinity) this.wakeAt(next);
      },
      delayMs,
    );
    this.#timer.unref();
  }

  released(socket: EngineSocket): void {
    const { owner } = socket;
    if (this.#removed.size > 0)
      this.later(() => {
        this.#removed.closeUnused();
      });
    if (!(owner instanceof Endpoint)) return;
    owner.releaseHold();
    const { group, port } = socket.local;
    if (owner.portKind === 'bound') this.region.bindings.unbind(port, group, socket.reach);
    else if (owner.portKind === 'ephemeral' && !socket.portForeign) this.region.bindings.releaseEphemeral(port, group);
    owner.portKind = 'none';
  }

  // --- LinkTableEvents ---

  record(link: Link, record: IncomingRecord): void {
    dispatch(this.engine, link.tag instanceof Peer ? link.tag : this.#peerOf(link), record);
  }

  #peerOf(link: Link): Peer {
    const peer = this.engine.attachPeer(link);
    link.tag = peer;
    return peer;
  }

  attached(link: Link): void {
    const peer = this.#knownPeerOf(link);
    if (peer !== undefined) linkAttached(this.engine, peer);
  }

  #knownPeerOf(link: Link): Peer | undefined {
    const peer = link.tag instanceof Peer ? link.tag : this.engine.peers.get(link.process);
    return peer?.port === link ? peer : undefined;
  }

  roomMade(link: Link): void {
    roomMade(this.engine, this.#peerOf(link));
  }

  peerGone(link: Link, errno: number, left?: Leftovers): void {
    const peer = this.#knownPeerOf(link);
    if (peer !== undefined) peerGone(this.engine, peer, errno, left === undefined ? undefined : new DeadProcess(left));
  }

  /**
   * The program has dropped the privileges that it opened the region with. What is connected goes on; a process that
   * calls us is refused at once, as it would wait for ever.
   */
  barred(): void {
    if (this.#barred || this.#left) return;
    this.#barred = true;
    traceComment('this process may not use the region any more: it is not called from now on');
    this.links.closeLivenessFifo();
    this.region.signOff();
  }

  // --- life ---

  /** Also where the storage is our own: this may be the host that serves it to others. */
  #meetOtherHost(region: Region): void {
    this.#startBeating(region);
    region.heartbeat.startThread();
  }

  #startBeating(region: Region): void {
    if (this.#beatTimer !== null || this.#left) return;
    this.#beatAtMs = nowMs();
    this.#beatTimer = setInterval(() => {
      this.#beat();
    }, region.heartbeat.beatMs);
    this.#beatTimer.unref();
  }

  /**
   * The host that serves the directory hears no notification from elsewhere: it looks which processes of other hosts
   * are there, and once there are any, which links they have made.
   */
  #startLookingOut(): void {
    this.#lookOutTimer = this.#root.runInAsyncScope<undefined, NodeJS.Timeout>(
      setInterval,
      undefined,
      () => {
        if (this.#detached) return;
        try {
          this.region.lookForOtherHosts();
        } catch (error) {
          // The next look tries again.
          if (!(error instanceof StpError)) throw error;
        }
        if (this.region.otherHostSeen) this.links.poller.setNeedsClock(true);
      },
      LOOK_OUT_MS,
    );
    this.#lookOutTimer.unref();
  }

  #beat(): void {
    const stoodStill = nowMs() - this.#beatAtMs >= this.region.limits.leaseMs;
    this.#beats += 1;
    try {
      // Where we stood still it is the first question, else one now and then: the clock of another host may have run
      // faster than ours.
      const lost =
        this.#detached ||
        this.region.outOfReach ||
        ((stoodStill || this.#beats % BEATS_PER_LOOK === 0) && this.region.takenForDead);
      if (lost) this.#rejoin();
      this.region.beat();
      this.#beatAtMs = nowMs();
    } catch (error) {
      // The next beat tries again; a lease that runs out meanwhile is what the others must see. What the program throws
      // is not ours to keep.
      if (!(error instanceof StpError)) throw error;
    }
  }

  /**
   * Others took us for dead: our ports may be theirs, our files removed. Or the storage did not answer for so long that
   * no process can tell us from a dead one. We come back as a new process of the region; connections are reset, at once
   * also where the region can't be had yet, and what is bound or listens goes on under the new number where no other
   * process has taken the port.
   */
  #rejoin(): void {
    const { spinUs } = this.links.poller;
    if (!this.#detached) {
      this.links.close();
      this.region.close();
    }
    const first = !this.#detached;
    this.#detached = true;
    try {
      [this.region, this.links] = this.#join();
    } catch (error) {
      if (first) resetConnections(this);
      throw error;
    }
    this.#detached = false;
    this.#renewed(spinUs);
    restoreSockets(this, [...this.engine.peers.values()]);
  }

  /**
   * Where the region was removed under us, or we lost access to it: opens it anew, takes our ports there, and leaves
   * connections to the links they have. False: neither is so, or it can't be opened now. `anyhow`: also where a part of
   * it is still there.
   */
  followRemoval(anyhow = false): boolean {
    const { region, links } = this;
    if (this.#left || this.#detached) return false;
    if (!this.#barred && !(region.removed && (anyhow || region.replaceable))) return false;
    try {
      [this.region, this.links] = this.#join();
    } catch (error) {
      // The next look tries again, and a caller does not find what it looks for.
      if (!(error instanceof StpError)) throw error;
      traceComment(`the region can't be opened anew: ${error.message}`);
      return false;
    }
    this.#barred = false;
    this.#removed.add(this.engine, region, links);
    this.#renewed(links.poller.spinUs);
    restoreSockets(this, []);
    if (this.#removalWatch !== null) this.#watchRemoval();
    this.#removed.closeUnused();
    return true;
  }

  /** The same for a caller that asks often. */
  followRemovalNowAndThen(): boolean {
    const now = nowMs();
    if (now - this.#removalLookedMs < REMOVAL_LOOK_MS) return false;
    this.#removalLookedMs = now;
    return this.followRemoval();
  }

  /** From the first listener on, see RemovalWatch. On a shared storage the heartbeat finds out. */
  watchRemoval(): void {
    if (this.#removalWatch === null && !this.region.storage.shared) this.#watchRemoval();
  }

  #watchRemoval(): void {
    this.#removalWatch?.close();
    this.#removalWatch = this.#root.runInAsyncScope(
      () => new RemovalWatch(this.region.headerPath, (last) => this.followRemoval(last)),
    );
  }

  /** Region and links are others. */
  #renewed(spinUs: number): void {
    this.#known.clear();
    this.#updates.close();
    this.#updates = new TableUpdates(this.region, this.engine, this.#root);
    this.links.poller.spinUs = spinUs;
    this.links.poller.setReferenced(this.#holds > 0);
  }

  /** Ends every connection as the kernel would at exit, and leaves the region. */
  readonly leave = (): void => {
    if (this.#left) return;
    const unseen = new Set([...this.links.takeUnseen(), ...this.#removed.takeUnseen()]);
    for (const socket of this.engine.sockets)
      if (socket !== undefined) endAtExit(this.engine, socket, unseen.has(socket.index));
    crashPoint('leave.told');
    this.flushSockets();
    this.#left = true;
    process.removeListener('exit', this.leave);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#updates.close();
    this.#removalWatch?.close();
    for (const timer of [this.#beatTimer, this.#lookOutTimer]) if (timer !== null) clearInterval(timer);
    this.links.close();
    this.#removed.close();
    crashPoint('leave.published');
    this.region.close();
  };
}

function runLater(runtime: Runtime): void {
  runtime.runLater();
}

let current: Runtime | undefined;

/** The runtime of this thread, made from the environment on the first call. Throws what opening the region throws. */
export function runtime(): Runtime {
  current ??= new Runtime(regionOptions(environment()));
  return current;
}

/** The runtime if there is one already. */
export function runtimeIfOpen(): Runtime | undefined {
  return current;
}

/** What a layer below threw, as a failure of the call: the caller made that call and no other. */
export function inCall(call: string, error: unknown): unknown {
  if (!(error instanceof StpError) || error.syscall === call) return error;
  const detail = [error.syscall, error.detail].filter((part) => part !== undefined).join(': ');
  return new StpError(error.code, detail === '' ? undefined : detail, call, { cause: error });
}

/** Makes a failure what STPerror(s) and STPstrerror() tell, and passes it on. */
export function remember<T>(error: T, s?: unknown): T {
  const errno = error instanceof StpError ? -error.errno : errnoOf('EIO');
  if (current !== undefined) {
    current.lastErrno = errno;
    const endpoint = typeof s === 'number' ? current.endpoints[s] : undefined;
    if (endpoint !== undefined) endpoint.lastErrno = errno;
  }
  return error;
}

/** How a call that may wait fails: with MSG_DONTWAIT it throws, else its promise rejects. */
export function failed(call: string, error: unknown, s: unknown, flags: unknown): Promise<never> {
  const noted = remember(inCall(call, error), s);
  if (typeof flags === 'number' && (flags & MSG_DONTWAIT) !== 0) throw noted;
  return Promise.reject(noted instanceof Error ? noted : new StpError('EIO', String(noted)));
}
