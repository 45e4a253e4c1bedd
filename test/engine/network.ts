/** A small network of simulated processes whose steps a test takes itself. */
import {
  accept,
  close,
  connect,
  type ConnectOptions,
  type EngineSocket,
  give,
  listen,
  receive,
  send,
  sendLater,
  shutdown,
  type SocketOwner,
  take,
} from '../../src/engine';
import { SimulatedDisk } from '../../src/storage/simulated-storage';
import { Random } from './random';
import { SimulatedProcess, type World } from './simulated-process';

const QUIET_ROUNDS = 24;
const ROUNDS_MAX = 20_000;

export interface NetworkOptions {
  readonly processes?: number;
  readonly mechanism: 'ring' | 'frames';
  readonly capacityBytes?: number;
  readonly windowBytes?: number;
  readonly seed?: number;
}

export class Network implements World {
  readonly random: Random;
  readonly disk: SimulatedDisk;
  readonly processes: SimulatedProcess[] = [];
  readonly startPosition = 0;
  readonly skipChance = 0;
  readonly options: NetworkOptions;
  /** Processes whose event loop is held up. */
  readonly stalled = new Set<number>();
  nowMs = 0;
  /** The IP address that connects name; '' none. */
  calledIp = '';
  tick = 0;

  constructor(options: NetworkOptions) {
    this.options = options;
    this.random = new Random(options.seed ?? 1);
    this.disk = new SimulatedDisk({ seed: 1, delayTicksMax: 2 });
    for (let number = 1; number <= (options.processes ?? 2); number++)
      this.processes.push(new SimulatedProcess(this, number, number, 2048));
  }

  mechanismOf(): 'ring' | 'frames' {
    return this.options.mechanism;
  }

  capacityOf(): number {
    return this.options.capacityBytes ?? 65_536;
  }

  askedMore(): void {
    // A test looks at the queues.
  }

  excuse(): void {
    // No faults here.
  }

  process(number: number): SimulatedProcess {
    const process = this.processes[number - 1];
    if (process === undefined) throw new Error(`no process ${number}`);
    return process;
  }

  round(ms = 0): void {
    this.tick++;
    this.nowMs += ms;
    this.disk.tick();
    for (const process of this.processes) if (!process.dead && !this.stalled.has(process.process)) process.runTurn();
  }

  /** Rounds until something is so. */
  until(what: () => boolean): void {
    for (let round = 0; !what(); round++) {
      if (round > ROUNDS_MAX) throw new Error('it does not come to that');
      this.round();
    }
  }

  /** Until nothing moves any more. */
  settle(): void {
    for (const process of this.processes) if (!process.dead) process.flush();
    let quiet = 0;
    for (let round = 0; quiet < QUIET_ROUNDS; round++) {
      if (round > ROUNDS_MAX) throw new Error('the network does not come to rest');
      this.round();
      quiet = this.processes.some((process) => !process.dead && !this.stalled.has(process.process) && process.moved)
        ? 0
        : quiet + 1;
    }
  }

  /** Time goes by. */
  wait(ms: number): void {
    this.nowMs += ms;
    this.settle();
  }

  /** A process dies, or (`orderly`) leaves; the others learn of it. */
  end(number: number, orderly = false): void {
    const process = this.process(number);
    if (orderly) process.leave();
    process.dead = true;
    this.disk.crash(number);
    for (const other of this.processes) if (other !== process) other.deathsToTell.set(number, this.tick + 8);
  }

  listen(number: number, port: number, backlog = 8, reach = ''): Probe {
    const process = this.process(number);
    const probe = this.#open(process);
    probe.socket.local.port = port;
    probe.socket.local.ip = probe.socket.reach = reach;
    process.call(() => {
      listen(process.engine, probe.socket, backlog);
    });
    return probe;
  }

  connect(from: number, to: number, port: number, options: ConnectOptions = {}): Probe {
    const process = this.process(from);
    const probe = this.#open(process);
    probe.socket.local.port = 1000 + probe.socket.index;
    const peer = process.engine.peer(to);
    if (peer === undefined) throw new Error(`process ${to} is gone`);
    const remote = { system: `h${to}`, group: 'STG', port, ip: this.calledIp };
    process.call(() => {
      connect(process.engine, probe.socket, peer, remote, options);
    });
    return probe;
  }

  accept(listener: Probe): Probe {
    const { process } = listener;
    const socket = process.call(() => accept(process.engine, listener.socket));
    if (socket === undefined) throw new Error('no request waits');
    return new Probe(this, process, socket);
  }

  /** A connection from process `from` to process `to`: [client, server]. */
  pair(from: number, to: number): [Probe, Probe] {
    const listener = this.listen(to, 9);
    const client = this.connect(from, to, 9);
    this.settle();
    const server = this.accept(listener);
    this.settle();
    listener.close();
    return [client, server];
  }

  /** Process `number` takes what was given. */
  take(number: number, token: Token): Probe {
    const process = this.process(number);
    const probe = this.#open(process);
    const giver = process.engine.peer(token.process);
    if (giver === undefined) throw new Error('its giver is gone');
    process.call(() => {
      take(process.engine, probe.socket, giver, token);
    });
    return probe;
  }

  #open(process: SimulatedProcess): Probe {
    const socket = process.engine.open();
    socket.wantWindow(this.options.windowBytes ?? 65_536);
    return new Probe(this, process, socket);
  }

  /** Sockets in all living processes. */
  get socketCount(): number {
    return this.processes.reduce((sum, process) => sum + (process.dead ? 0 : process.engine.count), 0);
  }
}

export interface Token {
  readonly process: number;
  readonly socket: number;
  readonly generation: number;
  readonly secret: Uint8Array;
}

/** One socket in the hands of a test: notes what it is told. */
export class Probe implements SocketOwner {
  readonly network: Network;
  readonly process: SimulatedProcess;
  readonly socket: EngineSocket;
  /** All notices but `readable`, in order. */
  readonly told: string[] = [];
  /** Outcomes of the sends that waited. */
  readonly sends: number[] = [];
  /** Runs in each notice. */
  onNotice: (what: string) => void = () => undefined;

  constructor(network: Network, process: SimulatedProcess, socket: EngineSocket) {
    this.network = network;
    this.process = process;
    this.socket = socket;
    socket.owner = this;
  }

  #note(what: string): void {
    if (this.process.calls > 0) throw new Error(`told ${what} from inside a call`);
    if (what !== 'readable') this.told.push(what);
    this.onNotice(what);
  }

  /** Bytes taken at once, -1 none. */
  send(bytes: Buffer | string): number {
    const buffer = Buffer.from(bytes);
    return this.process.call(() => send(this.process.engine, this.socket, buffer, buffer.length, false));
  }

  /** All of it, now or later. */
  sendAll(bytes: Buffer | string): void {
    const buffer = Buffer.from(bytes);
    const sent = Math.max(0, this.send(buffer));
    if (sent === buffer.length) return;
    this.socket.wantsWrite = false;
    this.process.call(() => {
      sendLater(this.process.engine, this.socket, {
        bytes: buffer,
        at: sent,
        end: buffer.length,
        done: (errno) => {
          this.sends.push(errno);
        },
      });
    });
  }

  /** What is there, at most `bytes`. */
  receive(bytes = 1_048_576): Buffer {
    const into = Buffer.alloc(bytes);
    return into.subarray(
      0,
      this.process.call(() => receive(this.socket, into, 0, bytes, false)),
    );
  }

  peek(bytes: number): Buffer {
    const into = Buffer.alloc(bytes);
    return into.subarray(
      0,
      this.process.call(() => receive(this.socket, into, 0, bytes, true)),
    );
  }

  /** Reads until nothing comes any more. */
  receiveAll(): Buffer {
    const parts: Buffer[] = [];
    for (;;) {
      this.network.settle();
      const part = this.receive();
      if (part.length === 0) return Buffer.concat(parts);
      parts.push(Buffer.from(part));
    }
  }

  shutdown(how: 'r' | 'w'): void {
    this.process.call(() => {
      shutdown(this.process.engine, this.socket, how === 'r', how === 'w');
    });
  }

  /** True where it is complete at once. */
  close(lingerMs = -1): boolean {
    return this.process.call(() => close(this.process.engine, this.socket, lingerMs));
  }

  give(client = 0, timeoutMs = 30_000): Token {
    const secret = this.process.call(() => give(this.process.engine, this.socket, client, timeoutMs));
    return { process: this.process.process, socket: this.socket.index, generation: this.socket.generation, secret };
  }

  get atEnd(): boolean {
    return this.socket.received.lengthBytes === 0 && this.socket.finReceived && this.socket.resetErrno === 0;
  }

  readable(): void {
    this.#note('readable');
  }

  writable(): void {
    this.#note('writable');
  }

  acceptable(): void {
    this.#note('acceptable');
  }

  connected(errno: number): void {
    this.#note(`connected ${errno}`);
  }

  reset(): void {
    this.#note('reset');
  }

  closed(errno: number): void {
    this.#note(`closed ${errno}`);
  }

  taken(taken: boolean): void {
    this.#note(`taken ${taken}`);
  }

  took(errno: number): void {
    this.#note(`took ${errno}`);
  }
}
