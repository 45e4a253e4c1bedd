/**
 * A network of simulated processes, run from a seed: random actors on real engines and links over an unfriendly disk.
 *
 * A schedule is some dozen rounds of anything that may happen, then an end in which all finish what they began. What
 * must hold is checked on the way (see simulated-socket.ts) and at the end: nothing hangs and nothing is left.
 */
import { watchCrashPoints } from './crash-moments';
import { StpError } from '../../src/errors';
import { SimulatedDisk } from '../../src/storage/simulated-storage';
import { type Moment, momentOf, weightOf } from './death-moment';
import { Connection, fail, type Gift, SimulationFailure } from './connection-model';
import { Random } from './random';
import { ActorProcess } from './actor-process';
import { startConnect, startListener, startTake } from './simulated-calls';
import { type World } from './simulated-process';
import { newTally, type Tally } from './tally';
import { chooseTheme, type Theme } from './theme';

const ROUNDS_MAX = 6000;
const STATE_LINES = 40;
/** Rounds without any news after which nothing will come any more: longer than any delay of the disk. */
const IDLE_ROUNDS = 80;

export class Simulation implements World {
  readonly seed: number;
  readonly random: Random;
  readonly theme: Theme;
  readonly disk: SimulatedDisk;
  readonly processes: ActorProcess[] = [];
  readonly connections = new Map<number, Connection>();
  readonly gifts: Gift[] = [];
  readonly tally: Tally;
  readonly startPosition: number;
  nowMs = 0;
  tick = 0;
  draining = false;
  readonly skipChance: number;
  #nextConnection = 100;
  #idleRounds = 0;
  readonly #lines: string[] | null;

  constructor(seed: number, options: { tally?: Tally; trace?: boolean } = {}) {
    this.seed = seed;
    this.random = new Random(seed);
    this.theme = chooseTheme(this.random);
    this.tally = options.tally ?? newTally();
    this.#lines = options.trace === true ? [] : null;
    const { theme, random } = this;
    this.skipChance = random.pick([0, 0.25, 0.5]);
    this.startPosition = random.pick([0, 0, 0xffff_c000]);
    this.disk = new SimulatedDisk({
      seed,
      delayTicksMax: theme.delayTicksMax,
      ringDelayTicksMax: theme.ringDelayTicksMax,
    });
    const count = random.between(2, 4);
    for (let number = 1; number <= count; number++) {
      const host = random.chance(theme.sameHostChance) ? 1 : number + 1;
      this.processes.push(new ActorProcess(this, number, host, theme.socketsMax));
    }
  }

  /** Runs the whole schedule; throws what went wrong. */
  run(): void {
    for (let round = 0; round < this.theme.rounds; round++) this.#round();
    this.draining = true;
    for (const process of this.processes) {
      process.faults = false;
      process.stalledUntil = 0;
    }
    for (let round = 0; !this.#finished(); round++) {
      if (round > ROUNDS_MAX) fail(`still not at the end after ${round} rounds\n${this.#state()}`);
      this.#round();
    }
    this.#closeListeners();
    for (let round = 0; round < 40; round++) this.#round();
    while (!this.#finished()) this.#round();
    this.#checkEmpty();
    for (const process of this.processes) this.tally.roomMade += process.roomsMade;
  }

  #round(): void {
    const { random, theme } = this;
    this.tick++;
    this.disk.tick();
    this.nowMs += random.chance(0.02) ? random.between(5, 100) : random.below(3);
    let moved = false;
    for (const process of random.shuffle([...this.processes])) {
      if (process.dead || this.#stalled(process) || random.chance(theme.pauseChance)) continue;
      if (theme.faults && !this.draining) process.faults = true;
      if (!this.draining && random.chance(this.#deathChance(process))) this.#lastTurnOf(process);
      else this.#turnOf(process);
      moved ||= process.moved;
      if (!this.draining && random.chance(this.#deathChance(process) / 2)) this.#kill(process);
    }
    this.#watchIdle(moved);
  }

  #stalled(process: ActorProcess): boolean {
    const { random, theme } = this;
    if (!this.draining && theme.stallChance > 0 && random.chance(theme.stallChance))
      process.stalledUntil = this.tick + random.between(10, 60);
    return this.tick < process.stalledUntil;
  }

  #turnOf(process: ActorProcess): void {
    const { random, theme } = this;
    if (random.chance(0.9)) process.runTurn();
    process.act();
    if (!this.draining) {
      if (random.chance(theme.listenChance)) startListener(process);
      if (random.chance(theme.connectChance)) startConnect(process);
    }
    if (random.chance(theme.takeChance)) startTake(process);
    // A death between two turns finds all that was appended published; one in a turn does not.
    if (!this.draining && random.chance(this.#deathChance(process) / 2)) this.#kill(process);
    if (!process.dead) process.flush();
  }

  /** Death comes where it hurts. */
  #deathChance(process: ActorProcess): number {
    const handsOver = process.sockets.some((socket) => socket.phase === 'given' || socket.phase === 'taking');
    return this.theme.deathChance * (handsOver ? 6 : 1);
  }

  /** Nothing has moved for long: time goes on to the next timer, or this is a hang. */
  #watchIdle(moved: boolean): void {
    // Until then processes are held up, by chance all that could move.
    this.#idleRounds = moved || !this.draining ? 0 : this.#idleRounds + 1;
    if (this.#idleRounds < IDLE_ROUNDS || !this.draining || this.#finished()) return;
    this.#idleRounds = 0;
    const next = Math.min(
      ...this.processes.filter((process) => !process.dead).map((process) => process.engine.timers.nextMs),
    );
    if (next === Infinity) fail(`nothing moves any more\n${this.#state()}`);
    this.nowMs = Math.max(this.nowMs, next);
  }

  // --- what happens to processes ---

  /** A connection that nobody has asked for yet. */
  newConnection(): Connection {
    const connection = new Connection(this.#nextConnection++);
    this.connections.set(connection.id, connection);
    return connection;
  }

  /** A death, or (half of them) an orderly end. Others learn of it later. */
  #kill(process: ActorProcess): void {
    const { random } = this;
    if (process.dead || this.processes.filter((other) => !other.dead).length < 2) return;
    const orderly = random.chance(0.4);
    const torn = !orderly && random.chance(0.5);
    this.trace(() => `p${process.process} ${orderly ? 'leaves' : `dies${torn ? ', torn' : ''}`}`);
    this.tally.deaths++;
    this.#excuseDeathOf(process, torn);
    if (orderly) process.leave();
    this.#reap(process, torn);
  }

  /**
   * Dies at a moment drawn from all of its turn; what it did after that is taken back, as far as others could see it.
   */
  #lastTurnOf(process: ActorProcess): void {
    const { disk, random } = this;
    if (this.processes.filter((other) => !other.dead).length < 2) return;
    const torn = random.chance(0.5);
    this.#excuseDeathOf(process, torn);
    let count = 0;
    let weight = 0;
    let last: Moment | undefined;
    // Each in turn takes the place of the one before it with such a chance that in the end all were as likely as they
    // weigh.
    const pass = (name: string): void => {
      count++;
      weight += weightOf(name);
      if (random.below(weight) < weightOf(name)) last = momentOf(name, disk.imageOf(process.process));
    };
    disk.onOperation = () => {
      pass('file');
    };
    try {
      watchCrashPoints(pass, () => {
        this.#turnOf(process);
      });
    } finally {
      disk.onOperation = null;
    }
    if (process.dead) return;
    this.#excuseDeathOf(process, torn);
    this.tally.deaths++;
    if (last !== undefined) {
      this.tally[last.kind]++;
      disk.restore(process.process, last.image);
    }
    this.trace(
      () =>
        `p${process.process} dies in its turn at ${last?.name ?? 'its end'}, ` +
        `of ${count} moments${torn ? ', torn' : ''}`,
    );
    this.#reap(process, torn);
  }

  #reap(process: ActorProcess, torn: boolean): void {
    const { random, theme } = this;
    process.dead = true;
    this.disk.crash(process.process, { torn });
    for (const other of this.processes) {
      if (other === process || other.dead) continue;
      const hidden = Math.max(theme.delayTicksMax, theme.ringDelayTicksMax) + 2;
      other.deathsToTell.set(process.process, this.tick + hidden + random.below(30));
    }
  }

  /** All connections that the dead process held may be reset, and those that were just on their way to or from it. */
  #excuseDeathOf(process: ActorProcess, torn: boolean): void {
    for (const socket of process.sockets) {
      const { gift, end } = socket;
      if (end !== null && gift?.committed !== true) end.connection.causes.add('a process died');
      if (socket.phase === 'taking' && gift?.committed === true && socket.rightTake)
        gift.end.connection.causes.add('its taker died');
    }
    for (const connection of this.connections.values()) {
      if (connection.accepted || (connection.server !== process.process && !connection.shared)) continue;
      if (!connection.shared || connection.queued) connection.causes.add('its server died');
    }
    const recent = this.tick - (torn ? this.theme.delayTicksMax + 2 : 0);
    for (const gift of this.gifts) {
      if (gift.process !== process.process) continue;
      gift.offered = false;
      if (gift.committed && gift.committedTick >= recent) gift.end.connection.causes.add('its giver died');
    }
  }

  /** A gift is committed: where its taker is dead, nobody has it. */
  checkTakers(gift: Gift): void {
    for (const process of this.processes) {
      if (process.dead && process.sockets.some((socket) => socket.gift === gift && socket.phase === 'taking'))
        gift.end.connection.causes.add('its taker died');
    }
  }

  /** A fault of the storage may cost any connection. */
  excuse(why: string): void {
    for (const connection of this.connections.values()) connection.causes.add(why);
  }

  expect(error: unknown, ...codes: string[]): void {
    if (!(error instanceof StpError) || !codes.includes(error.code)) throw error;
  }

  // --- the end ---

  #finished(): boolean {
    return this.processes.every(
      (process) => process.dead || process.sockets.every((socket) => socket.phase === 'done'),
    );
  }

  #closeListeners(): void {
    for (const process of this.processes) {
      if (process.dead) continue;
      for (const listener of [...process.listeners]) if (listener.phase === 'listening') listener.close();
      process.flush();
    }
  }

  #checkEmpty(): void {
    for (const process of this.processes) {
      if (process.dead) continue;
      const { engine } = process;
      const left = engine.sockets.filter((socket) => socket !== undefined);
      if (left.length > 0 || engine.count !== 0 || engine.listeners.size > 0)
        fail(`p${process.process} has ${left.length} sockets left\n${this.#state()}`);
      if (engine.timers.nextMs !== Infinity) fail(`p${process.process} has a timer left`);
      for (const peer of engine.peers.values()) {
        const { sockets, hands } = peer;
        if (sockets.size > 0 || hands.size > 0)
          fail(
            `p${process.process} has ${sockets.size} sockets and ${hands.size} hand-overs left with p${peer.process}`,
          );
        if (!peer.drainControl()) fail(`p${process.process} has records left for p${peer.process}`);
      }
    }
  }

  // --- choices and reports ---

  /** Both logs between two processes are of one kind. */
  mechanismOf(one: number, other: number): 'ring' | 'frames' {
    return (this.theme.mechanisms >> (Math.min(one, other) * 5 + Math.max(one, other))) & 1 ? 'ring' : 'frames';
  }

  capacityOf(mechanism: 'ring' | 'frames'): number {
    return mechanism === 'ring' ? this.theme.ringBytes : this.theme.framesBytes;
  }

  askedMore(): void {
    this.tally.askedMore++;
  }

  trace(line: () => string): void {
    if (this.#lines === null) return;
    this.#lines.push(`${this.tick} ${line()}`);
  }

  get lines(): readonly string[] {
    return this.#lines ?? [];
  }

  #state(): string {
    const lines: string[] = [];
    for (const process of this.processes) {
      if (process.dead) continue;
      for (const socket of process.sockets) {
        const { socket: own } = socket;
        const hand = own.hand === null ? '' : ` ${own.hand.role} ${own.hand.phase}`;
        lines.push(
          `${socket.name}: state ${own.state}${hand} peer p${own.peer?.process ?? 0} ` +
            `s${own.remoteSocket}.${own.remoteGeneration} sent ${own.bytesSent}/${own.sendLimitBytes} ` +
            `unsent ${own.unsentBytes} received ${own.bytesReceived}/${own.receiveLimitBytes} ` +
            `queued ${own.received.lengthBytes} ` +
            `fin ${own.finWanted}/${own.finSent}/${own.finAcked}/${own.finReceived} ` +
            `frozen ${own.frozen} mayRead ${socket.mayRead} waitsWritable ${socket.waitsWritable} ` +
            `toSend ${socket.toSend}`,
        );
      }
      for (const link of process.links.values())
        lines.push(
          `link ${process.process}-${link.process}: free ${link.out.freeBytes}, needs room ${link.needsRoom}, ` +
            `reads ${link.in !== null}`,
        );
    }
    return lines.slice(0, STATE_LINES).join('\n');
  }
}

/** Runs one seed; where it fails, again with a trace. Undefined: all is well. */
export function failureOf(seed: number, tally?: Tally, traceLines = 60): string | undefined {
  try {
    new Simulation(seed, tally === undefined ? {} : { tally }).run();
    return undefined;
  } catch (error) {
    return `${describe(error)}\n${traceOf(seed, describe(error), traceLines)}`;
  }
}

function describe(error: unknown): string {
  if (error instanceof SimulationFailure)
    return `${error.message}\n${(error.stack ?? '')
      .split('\n')
      .filter((line) => line.includes('/src/'))
      .slice(0, 4)
      .join('\n')}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function traceOf(seed: number, expected: string, lines: number): string {
  const again = new Simulation(seed, { trace: true });
  let second = 'nothing';
  try {
    again.run();
  } catch (error) {
    second = describe(error);
  }
  const same = second.split('\n', 1)[0] === expected.split('\n', 1)[0];
  return `${same ? '' : `NOT DETERMINISTIC, the second run found: ${second}\n`}${again.lines.slice(-lines).join('\n')}`;
}
