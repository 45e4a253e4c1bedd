/**
 * One simulated process: an engine and real links over simulated storage, put together as the runtime of the calls and
 * the poller do it in a program, without a region, bells or a clock of its own.
 */
import {
  askingCost,
  dispatch,
  endAtExit,
  Engine,
  type EnginePorts,
  type EngineSocket,
  type IncomingRecord,
  linkAttached,
  Peer,
  peerGone,
  type PeerPort,
  type Remains,
  roomMade,
} from '../../src/engine';
import { errnoOf, StpError } from '../../src/errors';
import { SocketState } from '../../src/layout';
import { Link, type LinkSink } from '../../src/link';
import { type LinkOwner } from '../../src/link/link';
import { type SimulatedDisk, SimulatedStorage } from '../../src/storage/simulated-storage';
import { type LogIdentity } from '../../src/storage';
import { fail } from './connection-model';
import { type Random } from './random';

/** What the owner of a socket throws out of a notice. */
export class SimulatedThrow extends Error {}

/** What a simulated process lives in. */
export interface World {
  readonly random: Random;
  readonly disk: SimulatedDisk;
  /** Process 1 first. */
  readonly processes: readonly SimulatedProcess[];
  readonly startPosition: number;
  readonly nowMs: number;
  /** Rounds so far. */
  readonly tick: number;
  /** How likely a link is not looked at in a turn. */
  readonly skipChance: number;
  mechanismOf(one: number, other: number): 'ring' | 'frames';
  capacityOf(mechanism: 'ring' | 'frames'): number;
  /** A fault of the storage may cost any connection. */
  excuse(why: string): void;
  /** A client that had no answer asks another listener. */
  askedMore(): void;
}

const REGION_ID = 7;
const GARBAGE = 0xee;

export class SimulatedProcess implements EnginePorts, LinkOwner, LinkSink {
  readonly world: World;
  readonly process: number;
  readonly epoch: number;
  readonly host: number;
  readonly storage: SimulatedStorage;
  readonly engine: Engine;
  readonly links = new Map<number, Link>();
  /** Processes that this one knows to be gone. */
  readonly gone = new Set<number>();
  /** Ticks at which it learns of deaths. */
  readonly deathsToTell = new Map<number, number>();
  dead = false;
  /** How often a full log got room again. */
  roomsMade = 0;
  /** Calls of the owner under way. */
  calls = 0;
  /** Something came or went in the last turn. */
  moved = false;
  /** A link or a control block can't be stored, now and then. */
  faults = false;
  wakeAtMs = Infinity;

  readonly sink: LinkSink = this;
  turn = 0;
  records = 0;
  moreAtHand = false;
  quick = false;
  readonly lastTurns: Int32Array;
  readonly socketsMax: number;
  readonly #dirty: Link[] = [];
  #later: (() => void)[] = [];
  polling = false;

  constructor(world: World, process: number, host: number, socketsMax: number) {
    this.world = world;
    this.process = process;
    this.epoch = 1000 + process;
    this.host = host;
    this.socketsMax = socketsMax;
    this.lastTurns = new Int32Array(socketsMax);
    this.storage = new SimulatedStorage(world.disk, { process, host, startPosition: world.startPosition });
    this.engine = new Engine(this);
  }

  // --- EnginePorts ---

  get system(): string {
    return `h${this.host}`;
  }

  get group(): string {
    return 'STG';
  }

  nowMs(): number {
    return this.world.nowMs;
  }

  secret(bytes: number): Uint8Array {
    return this.world.random.bytes(bytes);
  }

  another(socket: EngineSocket): PeerPort | undefined {
    const { group, port, ip } = socket.remote;
    const cost = ({ process }: SimulatedProcess): number => askingCost(this.engine, socket, process);
    const listening = this.world.processes.filter(
      (other) => !other.dead && other.engine.listeners.find(group, port, ip) !== undefined && cost(other) !== Infinity,
    );
    if (socket.asked.length > 0 && listening.length > 0) this.world.askedMore();
    const [found] = listening.sort((a, b) => cost(a) - cost(b));
    return found === undefined ? undefined : this.peer(found.process, found.epoch);
  }

  peer(process: number, epoch?: number): PeerPort | undefined {
    const known = this.links.get(process);
    if (known !== undefined) return epoch === undefined || known.epoch === epoch ? known : undefined;
    const other = this.world.processes[process - 1];
    if (other === undefined || (epoch !== undefined && other.epoch !== epoch) || this.gone.has(process))
      return undefined;
    // On one host the bell tells at once that nobody is there.
    if (other.dead && other.host === this.host) return undefined;
    if (this.faults && this.world.random.chance(0.1)) {
      this.world.excuse('no link could be made');
      throw new StpError('ENOSPC');
    }
    return this.#makeLink(other);
  }

  holds(): boolean {
    return true;
  }

  changed(socket: EngineSocket, begins: boolean): void {
    if (begins && this.faults && this.world.random.chance(0.1)) throw new StpError('ENOSPC');
    if (socket.state === SocketState.free && this.engine.sockets[socket.index] === socket)
      fail('a free socket is in the table');
  }

  counted(): void {
    // Nothing keeps the table of a simulated process.
  }

  unreadChanged(): void {
    // Nothing keeps the table of a simulated process.
  }

  later(run: () => void): void {
    this.#later.push(run);
  }

  wakeAt(atMs: number): void {
    this.wakeAtMs = Math.min(this.wakeAtMs, atMs);
  }

  released(socket: EngineSocket): void {
    if (socket.unsent !== null && socket.unsent.length > 0)
      fail(`p${this.process} s${socket.index} is released with ${socket.unsent.length} sends that wait`);
  }

  // --- LinkOwner and LinkSink ---

  publishLater(link: Link): void {
    if (!this.#dirty.includes(link)) this.#dirty.push(link);
  }

  record(link: Link, record: IncomingRecord): void {
    const { bytes, at, lengthBytes } = record;
    try {
      dispatch(this.engine, this.#peerOf(link), record);
    } finally {
      // The place in the log is the writer's again soon: nobody may look at it any longer.
      bytes.fill(GARBAGE, at, at + lengthBytes);
    }
  }

  roomMade(link: Link): void {
    this.roomsMade++;
    roomMade(this.engine, this.#peerOf(link));
  }

  #peerOf(link: Link): Peer {
    if (link.tag instanceof Peer) return link.tag;
    const peer = this.engine.attachPeer(link);
    link.tag = peer;
    return peer;
  }

  // --- links ---

  #path(from: number, to: number): string {
    return `links/${from}-${to}`;
  }

  #makeLink(other: SimulatedProcess): Link {
    const mechanism = this.world.mechanismOf(this.process, other.process);
    const capacityBytes = this.world.capacityOf(mechanism);
    const out = this.storage.createLog(
      this.#path(this.process, other.process),
      this.#identity(other),
      mechanism,
      capacityBytes,
    );
    const link = new Link(this, other.process, other.epoch, out);
    this.links.set(other.process, link);
    if (other === this) link.in = this.#openLog(other);
    return link;
  }

  #identity(other: SimulatedProcess): LogIdentity {
    return { from: this.process, to: other.process, fromEpoch: this.epoch, toEpoch: other.epoch, regionId: REGION_ID };
  }

  #openLog(other: SimulatedProcess): Link['in'] {
    return this.storage.openLog(this.#path(other.process, this.process)) ?? null;
  }

  /** Looks for logs that others made for this process. */
  #discover(): void {
    for (const other of this.world.processes) {
      if (other === this || this.gone.has(other.process) || !other.links.has(this.process)) continue;
      let link = this.links.get(other.process);
      if ((link !== undefined && link.in !== null) || this.world.random.chance(this.world.skipChance)) continue;
      const reader = this.#openLog(other);
      if (reader === null) continue;
      link ??= this.#makeLink(other);
      link.in = reader;
      this.moved = true;
      linkAttached(this.engine, this.#peerOf(link));
    }
  }

  #learnOfDeaths(): void {
    for (const [process, tick] of this.deathsToTell) {
      if (tick > this.world.tick) continue;
      this.deathsToTell.delete(process);
      this.moved = true;
      const link = this.links.get(process);
      if (link === undefined) this.gone.add(process);
      else link.peerGone = true;
    }
  }

  #linkOver(link: Link): void {
    if (link.failure !== null) fail(`the link ${this.process}-${link.process} failed: ${link.failure.message}`);
    this.moved = true;
    this.links.delete(link.process);
    this.gone.add(link.process);
    const remains = this.#remainsOf(link);
    link.close();
    this.storage.remove(this.#path(this.process, link.process));
    const peer = this.engine.peers.get(link.process);
    if (peer?.port === link) peerGone(this.engine, peer, errnoOf('ECONNRESET'), remains);
  }

  /** What its control blocks would tell is looked up in its engine. */
  #remainsOf(link: Link): Remains | undefined {
    const unread = link.unread();
    const { engine } = this.world.processes[link.process - 1] ?? this;
    return {
      hasUnread: (socket) =>
        unread?.has(socket.index) === true || (engine.sockets[socket.remoteSocket]?.received.lengthBytes ?? 0) > 0,
    };
  }

  // --- turns ---

  /** One look at everything, as the poller takes it. */
  runTurn(): void {
    this.moved = false;
    this.#discover();
    this.#learnOfDeaths();
    this.survive(() => {
      this.#advance();
    });
    for (const run of this.#later.splice(0)) {
      this.moved = true;
      this.survive(run);
    }
    this.turn++;
    this.polling = true;
    this.survive(() => {
      this.#poll();
    });
    this.polling = false;
    this.flush();
  }

  #poll(): void {
    const { random } = this.world;
    for (const link of random.shuffle([...this.links.values()])) {
      if (random.chance(this.world.skipChance)) continue;
      const came = link.poll();
      if (came || (link.needsRoom && link.checkRoom())) this.moved = true;
      if (link.failure !== null || (link.peerGone && !came)) this.#linkOver(link);
    }
  }

  #advance(): void {
    const next = this.engine.timers.nextMs;
    if (next < this.wakeAtMs) fail(`p${this.process}: a timer is due at ${next}, and nobody was told`);
    if (next > this.world.nowMs) return;
    this.moved = true;
    this.wakeAtMs = Infinity;
    const after = this.engine.advance();
    if (after !== Infinity) this.wakeAt(after);
  }

  /** What owners throw ends a turn of the event loop, not the process. */
  protected survive(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.calls = 0;
      if (!isThrown(error)) throw error;
      this.moved = true;
    }
  }

  flush(): void {
    for (let i = 0; i < this.#dirty.length; i++) this.#dirty[i]?.publish();
    // Setting the length costs even where it is 0.
    if (this.#dirty.length > 0) this.#dirty.length = 0;
    if (!this.polling) this.turn++;
  }

  /** A call of an owner: nobody may be told anything while it runs. */
  call<T>(run: () => T): T {
    this.calls++;
    try {
      return run();
    } finally {
      this.calls--;
    }
  }

  /** Ends in good order, as a program that exits. */
  leave(): void {
    this.calls++;
    for (const socket of this.engine.sockets) if (socket !== undefined) endAtExit(this.engine, socket);
    this.calls--;
    this.flush();
    this.dead = true;
  }
}

function isThrown(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isThrown);
  return error instanceof SimulatedThrow;
}
