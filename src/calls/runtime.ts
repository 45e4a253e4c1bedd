/**
 * The process's part of the region, made at the first call: region, links and engine put together, and the table of
 * descriptors.
 *
 * There is one runtime per thread. A descriptor is the index of its socket in the engine.
 */
import { AsyncResource } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { crashPoint } from '../crash-points';
import { environment, nowMs } from '../host';
import { StpError } from '../errors';
import {
  askingCost,
  dispatch,
  endAtExit,
  Engine,
  type EngineAddress,
  type EnginePorts,
  type EngineSocket,
  type IncomingRecord,
  linkAttached,
  Peer,
  peerGone,
  type PeerPort,
  roomMade,
} from '../engine';
import { type Leftovers, Link, LinkTable, type LinkTableEvents } from '../link';
import { type FoundListener, Region, regionOptions, type RegionOptions } from '../region';
import { KnownListeners } from './known-listeners';
import { RemovalWatch } from './removal-watch';
import { RemovedRegions } from './removed-regions';
import { resetConnections, restoreSockets } from './restore-sockets';
import { EngineClock } from './engine-clock';
import { type DutiesOwner, PeriodicDuties } from './periodic-duties';
import { TableUpdates } from './table-updates';
import { traceComment } from './trace';
import { DeadProcess } from './dead-process';
import { Endpoint } from './endpoint';

/** Least time between two looks of a caller that asks often. */
const REMOVAL_LOOK_MS = 100;

export class Runtime implements EnginePorts, LinkTableEvents, DutiesOwner {
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
  #left = false;
  readonly #root = new AsyncResource('STPRUNTIME');
  readonly #duties = new PeriodicDuties(this, this.#root);
  readonly #options: RegionOptions;
  readonly #clock: EngineClock;
  /** The place in the region is lost, and no new one was to be had yet. */
  detached = false;
  /** See {@link barred}. */
  #barred = false;

  constructor(options: RegionOptions) {
    this.#options = options;
    this.engine = new Engine(this);
    this.#clock = new EngineClock(this.engine, this.#root);
    [this.region, this.links] = this.#join();
    this.#updates = new TableUpdates(this.region, this.engine, this.#root);
    this.#duties.begin();
    // What the kernel does for TCP at exit: the other ends learn that this is an orderly end.
    process.once('exit', this.leave);
  }

  #join(): [Region, LinkTable] {
    const region = Region.open(this.#options);
    region.heartbeat.onReason = (reason, detail) => {
      traceComment(`heartbeat: ${reason}${detail === '' ? '' : ` (${detail})`}`);
    };
    region.onOtherHost = () => {
      this.#duties.meetOtherHost(region);
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
    if (this.detached) throw new StpError('EIO', 'the region is out of reach');
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
    this.#clock.later(run);
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
    this.#clock.wakeAt(atMs);
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

  /**
   * Others took us for dead: our ports may be theirs, our files removed. Or the storage did not answer for so long that
   * no process can tell us from a dead one. We come back as a new process of the region; connections are reset, at once
   * also where the region can't be had yet, and what is bound or listens goes on under the new number where no other
   * process has taken the port.
   */
  rejoin(): void {
    const { maxUs: spinUs } = this.links.poller.spin;
    if (!this.detached) {
      this.links.close();
      this.region.close();
    }
    const first = !this.detached;
    this.detached = true;
    try {
      [this.region, this.links] = this.#join();
    } catch (error) {
      if (first) resetConnections(this);
      throw error;
    }
    this.detached = false;
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
    if (this.#left || this.detached) return false;
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
    this.#renewed(links.poller.spin.maxUs);
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
    this.links.poller.spin.maxUs = spinUs;
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
    this.#clock.close();
    this.#updates.close();
    this.#removalWatch?.close();
    this.#duties.close();
    this.links.close();
    this.#removed.close();
    crashPoint('leave.published');
    this.region.close();
  };
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
