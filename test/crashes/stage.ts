/**
 * Where processes die at crash points: one region with a peer that serves, a bystander that must notice nothing, and
 * victims.
 *
 * After each death the stage checks what every death has to leave behind: connections that the living had among
 * themselves carry every byte, nobody holds a socket of the dead, and who opens the region next finds no file of
 * theirs.
 */
import fs from 'node:fs';
import path from 'node:path';
import { type CrashPoint } from '../../src/crash-points';
import { inspectRegion, Region, type RegionOptions } from '../../src/region';
import { Actor, type ActorEnd, freshRegion } from '../calls/actor';
import { type Kit } from '../calls/kit';
import { type Variant } from '../calls/variants';
import { type LastWords, lastWords } from './crash-control';

export interface Teardown {
  teardown(handler: () => unknown): void;
}

/** How a connection of the peer ended. */
export interface Ending {
  readonly to: number;
  readonly why: string;
  readonly atMs: number;
}

/** ECONNRESET in a peer, so long after a death. */
export interface Notice {
  readonly point: CrashPoint;
  readonly afterMs: number;
}

/** Longest wait for what must come, milliseconds; far above what anything here takes, also on a busy machine. */
const WAIT_MS = 20_000;
const LOOK_MS = 5;
const SWAP_BYTES = 40_000;
const SPARE_VICTIMS = 2;

export function assert(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

export class Stage {
  readonly variant: Variant;
  readonly region: string;
  readonly notices: Notice[] = [];
  deaths = 0;
  readonly #test: Teardown;
  #peer!: Actor;
  #other!: Actor;
  #echoPort = 0;
  #sinkPort = 0;
  #deafPort = 0;
  #spare: Promise<Actor>[] = [];
  #socketsAtRest = 0;
  #kept = 0;

  private constructor(test: Teardown, variant: Variant) {
    this.variant = variant;
    this.#test = test;
    this.region = freshRegion(test, variant.under);
  }

  static async open(test: Teardown, variant: Variant): Promise<Stage> {
    const stage = new Stage(test, variant);
    await stage.#begin();
    return stage;
  }

  get peer(): Actor {
    return this.#peer;
  }

  get other(): Actor {
    return this.#other;
  }

  /** Serves connections: sends back what it gets. */
  get echoPort(): number {
    return this.#echoPort;
  }

  /** Serves connections: takes what it gets. */
  get sinkPort(): number {
    return this.#sinkPort;
  }

  /** Accepts nothing. */
  get deafPort(): number {
    return this.#deafPort;
  }

  options(): RegionOptions {
    return { directory: this.region, system: 'alpha', group: 'STG', driver: this.variant.options.driver ?? 'auto' };
  }

  start(name: string, region = this.region): Promise<Actor> {
    return Actor.start(this.#test, {
      region,
      ...this.variant.options,
      name,
      execArgv: ['--require', path.join(__dirname, 'crash-preload.js')],
    });
  }

  /** A process that can be told where to die. */
  async victim(): Promise<Actor> {
    this.#breed();
    const victim = this.#spare.shift() ?? this.start('victim');
    this.#breed();
    return victim;
  }

  #breed(): void {
    while (this.#spare.length < SPARE_VICTIMS) {
      const born = this.start('victim');
      born.catch(() => undefined);
      this.#spare.push(born);
    }
  }

  async #begin(): Promise<void> {
    [this.#peer, this.#other] = await Promise.all([this.start('peer'), this.start('other')]);
    const ports = await this.#peer.run(servePeer);
    [this.#echoPort, this.#sinkPort, this.#deafPort] = [ports.echo, ports.sink, ports.deaf];
    await this.#other.run(async (kit, port) => {
      kit.fds['kept'] = await kit.connect(port);
    }, this.#echoPort);
    await this.#swap();
    this.#socketsAtRest = this.#sockets();
  }

  /** The victim has died where it was told to. */
  async died(victim: Actor, point: CrashPoint): Promise<LastWords> {
    const end = await this.within(victim.ended, () => `${point}: the victim lives`);
    const words = lastWords(end.stderr);
    assert(
      end.signal === 'SIGKILL' && words?.point === point,
      `${point} was not reached: the victim ended with ${describeEnd(end)}`,
    );
    this.deaths += 1;
    return words;
  }

  noticed(words: LastWords, atMs: number): void {
    this.notices.push({ point: words.point, afterMs: atMs - words.atMs });
  }

  /** How the next connection of the peer ends. */
  async ending(): Promise<Ending> {
    return this.peer.run(async (kit) => {
      const endings = kit.notes.get('endings') as Ending[];
      while (endings.length === 0)
        await new Promise<void>((resolve) => {
          kit.notes.set('told', resolve);
        });
      const [first] = endings.splice(0, 1);
      if (first === undefined) throw new Error('no ending');
      return first;
    });
  }

  /** Endings that have come and nobody asked for. */
  async endings(): Promise<Ending[]> {
    return this.peer.run((kit) => (kit.notes.get('endings') as Ending[]).splice(0));
  }

  /** What every death must leave behind. */
  async check(dead: readonly number[] = []): Promise<void> {
    await this.#swap();
    await this.clean(dead);
    await this.until(
      () => this.#sockets() === this.#socketsAtRest,
      () => `${this.#sockets()} sockets, ${this.#socketsAtRest} at rest`,
    );
  }

  /** No file of the dead is left. */
  async clean(dead: readonly number[] = []): Promise<void> {
    this.#reopen();
    await this.until(
      () => this.#litter(dead).length === 0,
      () => `left behind: ${this.#litter(dead).join(', ')}`,
    );
  }

  /** Somebody opens the region, and leaves. */
  #reopen(): void {
    const region = Region.open(this.options());
    try {
      // A process file without an identity is taken for one that is just being opened, until it is old.
      for (const name of fs.readdirSync(path.join(this.region, 'processes'))) {
        fs.utimesSync(path.join(this.region, 'processes', name), new Date(0), new Date(0));
      }
      const { complete } = region.recover(60_000);
      assert(complete, 'recovery did not finish');
    } finally {
      region.close();
    }
  }

  /** Files that belong to no living process. */
  #litter(dead: readonly number[]): string[] {
    const { processes } = inspectRegion(this.region);
    const living = new Set(processes.filter(({ alive }) => alive === 'alive').map(({ info }) => info.number));
    const numbers = fs.readdirSync(path.join(this.region, 'processes')).map(Number);
    const top = Math.max(...numbers);
    const ours = (name: string): boolean => name.split(/[-.]/u, 2).every((number) => living.has(Number(number)));
    const pairs = ['links', 'bells'].flatMap((folder) =>
      fs
        .readdirSync(path.join(this.region, folder))
        .filter((name) => !ours(name))
        .map((name) => `${folder}/${name}`),
    );
    const files = numbers
      .filter((number) => !living.has(number) && number !== top)
      .map((number) => `processes/${number}`);
    const temporary = fs
      .readdirSync(this.region)
      .filter((name) => !['region', 'processes', 'links', 'bells'].includes(name));
    return [
      ...pairs.filter((name) => name !== `bells/${top}`),
      ...files,
      ...temporary,
      ...dead.filter((number) => living.has(number)).map((number) => `process ${number} lives`),
    ];
  }

  #sockets(): number {
    return inspectRegion(this.region).sockets.length;
  }

  /** The bystanders exchange bytes over a connection that was there before. */
  async #swap(): Promise<void> {
    await this.#other.run(
      async (kit, from, to) => {
        const s = kit.fds['kept'] ?? -1;
        const [read] = await Promise.all([kit.drain(s, 1, from, to), kit.feed(s, 1, from, to)]);
        if (read.why !== 'enough') throw new Error(`the kept connection ended: ${read.why}`);
      },
      this.#kept,
      this.#kept + SWAP_BYTES,
    );
    this.#kept += SWAP_BYTES;
  }

  async until(holds: () => boolean, what: () => string): Promise<void> {
    const deadlineMs = performance.now() + WAIT_MS;
    while (!holds()) {
      assert(performance.now() < deadlineMs, what());
      await new Promise((resolve) => {
        setTimeout(resolve, LOOK_MS);
      });
    }
  }

  async within<T>(promise: Promise<T>, what: () => string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(new Error(what()));
      }, WAIT_MS);
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    const spare = await Promise.all(this.#spare.splice(0));
    await Promise.all([this.#peer, this.#other, ...spare].map((actor) => actor.kill()));
  }
}

function describeEnd({ code, signal, stderr }: ActorEnd): string {
  return `${signal ?? String(code)}${stderr === '' ? '' : `: ${stderr}`}`;
}

/** In the peer: three listeners, and the endings of the connections that come. */
function servePeer(kit: Kit): { echo: number; sink: number; deaf: number } {
  const { stp } = kit;
  const endings: Ending[] = [];
  kit.notes.set('endings', endings);
  const serve = async (c: number, echoes: boolean): Promise<void> => {
    const into = Buffer.alloc(65_536);
    let to = 0;
    let why = 'end';
    try {
      for (let n = await stp.STPrecv(c, into); n > 0; n = await stp.STPrecv(c, into)) {
        kit.check(1, to, into.subarray(0, n));
        to += n;
        // Where that fails there may still be something to read.
        if (echoes) await kit.code(() => stp.STPsend(c, into, n));
      }
    } catch (error) {
      why = (error as { code?: string }).code ?? String(error);
    }
    endings.push({ to, why, atMs: kit.nowMs() });
    (kit.notes.get('told') as (() => void) | undefined)?.();
    await kit.code(() => stp.STPclose(c));
  };
  const listen = (echoes: boolean): number => {
    const { s, port } = kit.listen();
    const accept = (): void => {
      for (
        let c = stp.STPaccept(s, stp.MSG_DONTWAIT) as number;
        c >= 0;
        c = stp.STPaccept(s, stp.MSG_DONTWAIT) as number
      )
        void serve(c, echoes);
    };
    stp.STPsetopt(s, stp.STP_WATCHER, { acceptable: accept });
    return port;
  };
  return { echo: listen(true), sink: listen(false), deaf: kit.listen().port };
}
