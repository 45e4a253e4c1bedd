/** Runs the processes of a soak of bridges, kills one of them now and then, and starts it again. */
import { Random } from '../../engine/random';
import { trendOf } from '../../soak/flat';
import { sizeOf } from '../../soak/soak';
import { Books } from './books';
import { endOf, MORTALS, type Place, type ProcessSize, routesOf, type Running, sizeOfProcess, start } from './cast';
import { type ToMember } from './messages';

export interface SoakOptions {
  readonly place: Place;
  readonly seconds: number;
  /** On average. */
  readonly killEveryMs: number;
}

interface Sample {
  readonly regionBytes: number;
  readonly regionFiles: number;
  readonly bridges: readonly ProcessSize[];
}

const MIB = 1 << 20;
const SAMPLE_MS = 2000;
const STOP_MS_MAX = 200_000;
/** Of a bridge that has nothing to do: sockets that close take a moment. */
const SETTLE_MS_MAX = 20_000;
const SURVIVORS = ['near0', 'far0'] as const;

export class BridgeSoak {
  readonly #options: SoakOptions;
  readonly #random: Random;
  readonly #running = new Map<string, Running>();
  readonly #killed = new Set<Running>();
  readonly #samples: Sample[] = [];
  readonly books: Books;
  /** Sockets of the survivors before the first connection. */
  readonly #atFirst = new Map<string, number>();
  readonly verdicts: string[] = [];
  kills = 0;
  #stopping = false;

  constructor(options: SoakOptions) {
    this.#options = options;
    this.#random = new Random(options.place.seed);
    this.books = new Books(routesOf(options.place));
  }

  async run(): Promise<void> {
    for (const name of ['server0', 'server1', 'far0', 'far1', 'near0', 'near1']) await this.#start(name);
    for (const name of SURVIVORS) this.#atFirst.set(name, this.#sizeOf(name).sockets);
    for (const name of ['client0', 'client1']) await this.#start(name);
    const endMs = performance.now() + this.#options.seconds * 1000;
    const sampling = setInterval(() => {
      this.#sample();
    }, SAMPLE_MS);
    try {
      while (performance.now() < endMs) {
        const pauseMs = this.#random.between(1, 2 * this.#options.killEveryMs);
        await new Promise((resolve) => setTimeout(resolve, Math.min(pauseMs, endMs - performance.now())));
        await this.#killOne();
      }
    } finally {
      clearInterval(sampling);
    }
    await this.#stop();
    this.books.judge();
    this.#judgeGrowth();
  }

  /** Ends what is left, whatever has happened. */
  abort(): void {
    for (const { child } of this.#running.values()) child.kill('SIGKILL');
  }

  /** Resolves once it serves. */
  async #start(name: string): Promise<void> {
    const life = (this.#running.get(name)?.life ?? 0) + 1;
    await new Promise<void>((resolve) => {
      const running = start(this.#options.place, name, life, {
        ready: () => {
          this.books.ready(name);
          resolve();
        },
        message: (message) => {
          if (message.kind === 'report') this.books.enter(name, message);
        },
      });
      this.#running.set(name, running);
      void endOf(running.child).then((end) => {
        if (!this.#killed.has(running) && (!this.#stopping || end !== '0'))
          this.books.fail(`${name}, life ${life}, ended by itself with ${end}: ${running.stderr}`);
        if (running.stderr !== '') this.books.fail(`${name}, life ${life}, said ${running.stderr}`);
        resolve();
      });
    });
  }

  async #killOne(): Promise<void> {
    const name = this.#random.pick(MORTALS);
    const running = this.#running.get(name);
    if (running === undefined) return;
    this.#killed.add(running);
    this.books.gone(name);
    running.child.kill('SIGKILL');
    await endOf(running.child);
    this.kills += 1;
    await this.#start(name);
  }

  #sizeOf(name: string): ProcessSize {
    return sizeOfProcess(this.#running.get(name)?.child.pid ?? 0);
  }

  #sample(): void {
    this.#tell({ kind: 'report' });
    const { bytes, files } = sizeOf(this.#options.place.region);
    const bridges = SURVIVORS.map((name) => this.#sizeOf(name));
    this.#samples.push({ regionBytes: bytes, regionFiles: files, bridges });
  }

  #tell(message: ToMember, role = ''): void {
    for (const { name, child, isBridge } of this.#running.values())
      if (!isBridge && name.startsWith(role) && child.connected) child.send(message);
  }

  /** Clients first, so that each connection comes to its end; then what stands on nothing. */
  async #stop(): Promise<void> {
    this.#stopping = true;
    this.books.stop();
    const late = setTimeout(() => {
      for (const [name, running] of this.#running) {
        if (running.child.exitCode !== null || running.child.signalCode !== null) continue;
        this.books.fail(`${name} does not come to its end`);
        running.child.kill('SIGKILL');
      }
    }, STOP_MS_MAX);
    this.#tell({ kind: 'stop' }, 'client');
    await this.#ended('client');
    this.#tell({ kind: 'stop' }, 'server');
    await this.#ended('server');
    await this.#settle();
    for (const { isBridge, child } of this.#running.values()) if (isBridge) child.kill('SIGTERM');
    await this.#ended('near');
    await this.#ended('far');
    clearTimeout(late);
  }

  async #ended(role: string): Promise<void> {
    for (const { name, child } of this.#running.values()) if (name.startsWith(role)) await endOf(child);
  }

  /** A bridge without connections has as many sockets as before the first one. */
  async #settle(): Promise<void> {
    for (const name of SURVIVORS) {
      const before = this.#atFirst.get(name) ?? 0;
      const endMs = performance.now() + SETTLE_MS_MAX;
      while (this.#sizeOf(name).sockets > before && performance.now() < endMs)
        await new Promise((resolve) => setTimeout(resolve, 200));
      const { sockets, residentBytes } = this.#sizeOf(name);
      this.verdicts.push(
        `${name}: ${sockets} sockets at the end, ${before} before the first connection; ` +
          `${Math.round(residentBytes / MIB)} MiB`,
      );
      if (sockets > before) this.books.fail(`${name} has ${sockets - before} sockets too many`);
    }
  }

  #judgeGrowth(): void {
    const trend = (name: string, of: (sample: Sample) => number, slack: number): void => {
      const { middle, end, flat } = trendOf(name, this.#samples.map(of), slack);
      this.verdicts.push(`${flat ? 'flat' : 'GROWS'}: ${name}: ${middle} in the second quarter, ${end} in the last`);
      if (!flat) this.books.fail(`${name} grow`);
    };
    trend('bytes of the region', ({ regionBytes }) => regionBytes, 32 * MIB);
    trend('files of the region', ({ regionFiles }) => regionFiles, 40);
    for (const [at, name] of SURVIVORS.entries()) {
      trend(`resident bytes of ${name}`, ({ bridges }) => bridges[at]?.residentBytes ?? 0, 24 * MIB);
      trend(`descriptors of ${name}`, ({ bridges }) => bridges[at]?.descriptors ?? 0, 12);
    }
  }
}
