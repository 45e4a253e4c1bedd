/**
 * Damage to the files of a region that processes use: the damaged pair gets an error or goes on, in time; a third
 * process never notices; nobody ends.
 */
import fs from 'node:fs';
import path from 'node:path';
import { StpError } from '../../src/errors';
import { inspectRegion } from '../../src/region';
import { Actor } from '../calls/actor';
import { type Duplex } from '../calls/duplex';
import { Random } from '../engine/random';
import { damageFile, type Next } from './file-damage';

export interface LiveReport {
  readonly damages: number;
  /** How often each outcome was seen. */
  readonly outcomes: ReadonlyMap<string, number>;
  readonly slowestMs: number;
  /** Most that the memory of a server grew by while things were damaged around it, bytes. */
  readonly grownBytes: number;
  readonly findings: readonly string[];
}

export interface LiveRun {
  readonly seed: number;
  readonly damages: number;
  readonly driver: 'mapped' | 'direct';
  /** Directory for regions. */
  readonly under: string;
  readonly progress?: (done: number) => void;
}

/** The promise: an error, or things go on, within this time, milliseconds. Connecting may take all of it. */
const HANG_MS = 5000;
const FINDINGS_MAX = 10;
/** A process that writes nonsense so often is talked to no more: then another takes its place. */
const DAMAGES_PER_CLIENT = 6;
const PROGRESS_DAMAGES = 100;
const ERRORS: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ESTPCORRUPT',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ECONNABORTED',
  'EACCES',
  'ENOTCONN',
  'EIO',
  // Its own file is not in its place any more: for that process the region was removed.
  'ENOENT',
]);

interface Scene {
  readonly region: string;
  readonly server: Actor;
  readonly honest: Actor;
  readonly port: number;
  readonly serverNumber: number;
}

interface Client {
  readonly actor: Actor;
  readonly number: number;
}

class LiveFuzz {
  readonly #run: LiveRun;
  readonly #random: Random;
  readonly #teardowns: (() => unknown)[] = [];
  readonly outcomes = new Map<string, number>();
  readonly findings: string[] = [];
  slowestMs = 0;
  grownBytes = 0;
  done = 0;

  constructor(run: LiveRun) {
    this.#run = run;
    this.#random = new Random(run.seed);
  }

  async go(): Promise<void> {
    try {
      while (this.done < this.#run.damages && this.findings.length < FINDINGS_MAX) await this.#oneRegion();
    } finally {
      await this.#clear();
    }
  }

  async #clear(): Promise<void> {
    for (const teardown of this.#teardowns.splice(0).reverse()) await teardown();
  }

  #start(region: string, name: string): Promise<Actor> {
    return Actor.start(
      {
        teardown: (act: () => unknown) => {
          this.#teardowns.push(act);
        },
      },
      { region, driver: this.#run.driver, name, execArgv: ['--expose-gc'] },
    );
  }

  async #stage(): Promise<Scene> {
    const directory = fs.mkdtempSync(path.join(this.#run.under, 'stp-hostile-'));
    this.#teardowns.push(() => {
      fs.rmSync(directory, { recursive: true, force: true });
    });
    const region = path.join(directory, 'region');
    const [server, honest] = await Promise.all([this.#start(region, 'server'), this.#start(region, 'honest')]);
    const port = await server.run((kit) => {
      const { stp } = kit;
      const { s, port: chosen } = kit.listen();
      // A loop: promises that each wait for the next would never be let go.
      const echo = async (c: number): Promise<void> => {
        const into = Buffer.alloc(65_536);
        try {
          for (let n = await stp.STPrecv(c, into); n > 0; n = await stp.STPrecv(c, into))
            await stp.STPsend(c, into.subarray(0, n));
        } finally {
          await stp.STPclose(c);
        }
      };
      stp.STPsetopt(s, stp.STP_WATCHER, {
        acceptable: () => {
          stp
            .STPaccept(s)
            .then(echo)
            .catch(() => undefined);
        },
      });
      return chosen;
    });
    await honest.run(async (kit, to) => {
      kit.notes.set(
        'duplex',
        kit.duplex(await kit.connect(to), { reads: { stream: 1, at: 0 }, writes: { stream: 1, at: 0 } }),
      );
    }, port);
    const serverNumber = await server.run((kit) => kit.stp.STPgetclientid().process);
    return { region, server, honest, port, serverNumber };
  }

  async #client(scene: Scene): Promise<Client> {
    const actor = await this.#start(scene.region, 'client');
    const number = await actor.run((kit) => kit.stp.STPgetclientid().process);
    return { actor, number };
  }

  async #oneRegion(): Promise<void> {
    const scene = await this.#stage();
    let settledBytes = 0;
    for (
      let clients = 0;
      clients < 20 && this.done < this.#run.damages && this.findings.length < FINDINGS_MAX;
      clients++
    ) {
      const client = await this.#client(scene);
      let next: Next = 'same';
      for (let i = 0; i < DAMAGES_PER_CLIENT && next === 'same' && this.done < this.#run.damages; i++)
        next = await this.#damage(scene, client);
      if (next === 'region') return;
      await client.actor.kill();
      if (clients === 1) settledBytes = await memoryOf(scene.server);
    }
    this.grownBytes = Math.max(this.grownBytes, settledBytes === 0 ? 0 : (await memoryOf(scene.server)) - settledBytes);
    await this.#clear();
  }

  /** One damage and what comes of it, and what the next one needs: a new client, a new region, or neither. */
  async #damage(scene: Scene, client: Client): Promise<Next> {
    const seed = this.#run.seed;
    const before = await this.#exchange(scene, client, true);
    const { region, server, serverNumber } = scene;
    const place = { region, client: client.number, server: serverNumber, serverPid: server.child.pid };
    const what = damageFile(place, this.#random);
    if (what.inMemory) this.#count('memory written over');
    this.done++;
    const began = performance.now();
    const old = await this.#exchange(scene, client, false);
    const fresh = await this.#exchange(scene, client, true);
    this.slowestMs = Math.max(this.slowestMs, performance.now() - began);
    this.#look(scene.region);
    const text = `damage ${this.done} of seed ${seed}, ${this.#run.driver}, ${what.title}`;
    this.#count(`open ${old === '' ? 'goes on' : old}`);
    this.#count(`new ${fresh === '' ? 'works' : fresh}`);
    what.undo();
    const ended = await this.#ended(scene, client);
    if (ended !== undefined) {
      this.findings.push(`${text}: ${ended}`);
      await this.#clear();
      return 'region';
    }
    for (const outcome of [before, old, fresh])
      if (!this.#isPromised(outcome)) this.findings.push(`${text}: ${outcome}`);
    const harmed = await scene.honest.run(async (kit, hangMs) => {
      const duplex = kit.notes.get('duplex') as Duplex;
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<string>((resolve) => {
        timer = setTimeout(() => {
          resolve('hangs');
        }, hangMs);
      });
      const outcome = await Promise.race([duplex.more(20_000).then(() => duplex.over), late]);
      clearTimeout(timer);
      return outcome;
    }, HANG_MS);
    if (harmed !== '') {
      this.findings.push(`${text}: a connection that was not touched: ${harmed}`);
      await this.#clear();
      return 'region';
    }
    if (this.done % PROGRESS_DAMAGES === 0) this.#run.progress?.(this.done);
    if (what.next === 'region') await this.#clear();
    return what.next;
  }

  #isPromised(outcome: string): boolean {
    return outcome === '' || ERRORS.has(outcome) || (outcome === 'garbled' && this.#run.driver === 'mapped');
  }

  #count(outcome: string): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
  }

  /** '' where bytes come back as they were sent, over the connection that there is or a new one. */
  #exchange({ port }: Scene, { actor }: Client, fresh: boolean): Promise<string> {
    return actor
      .run(
        async (kit, to, anew, hangMs) => {
          const { stp, fds } = kit;
          const talk = (async (): Promise<string> => {
            try {
              if (anew) {
                fds['s'] = kit.socket();
                stp.STPsetopt(fds['s'], stp.STP_CONNECT_TIMEOUT, hangMs - 500);
                await stp.STPconnect(fds['s'], { port: to });
              }
              const s = fds['s'] ?? -1;
              await kit.sendText(s, 'ping');
              return (await kit.text(s, 4)) === 'ping' ? '' : 'garbled';
            } catch (error) {
              return error instanceof stp.StpError ? error.code : String(error);
            }
          })();
          let timer: NodeJS.Timeout | undefined;
          const late = new Promise<string>((resolve) => {
            timer = setTimeout(() => {
              resolve('hangs');
            }, hangMs);
          });
          const outcome = await Promise.race([talk, late]);
          clearTimeout(timer);
          return outcome;
        },
        port,
        fresh,
        HANG_MS,
      )
      .catch(() => 'ECONNRESET');
  }

  async #ended(scene: Scene, client: Client): Promise<string | undefined> {
    for (const actor of [scene.server, scene.honest, client.actor]) {
      const alive = await actor.run(() => true).catch(() => false);
      if (alive) continue;
      const { code, signal, stderr } = await actor.ended;
      return `${stderr.slice(-600)} the ${actor.name} ended with ${String(signal ?? code)}`;
    }
    return undefined;
  }

  #look(region: string): void {
    try {
      inspectRegion(region);
    } catch (error) {
      if (!(error instanceof StpError)) this.findings.push(`inspection: ${String(error)}`);
    }
  }
}

/** What a process holds in its heap and buffers, bytes; garbage is collected first where that can be asked for. */
function memoryOf(actor: Actor): Promise<number> {
  return actor.run(() => {
    globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  });
}

export async function fuzzLive(run: LiveRun): Promise<LiveReport> {
  const fuzz = new LiveFuzz(run);
  await fuzz.go();
  const { done, outcomes, slowestMs, grownBytes, findings } = fuzz;
  return { damages: done, outcomes, slowestMs, grownBytes, findings };
}
