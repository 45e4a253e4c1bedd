/**
 * Processes of one region for the walk: a server that echoes, a client, a bystander whose connection must notice
 * nothing, and fresh ones.
 */
import fs from 'node:fs';
import path from 'node:path';
import { Actor, freshRegion } from '../calls/actor';
import { type Duplex } from '../calls/duplex';
import { type Another } from '../calls/kit';
import { type Party } from './phases';
import { type Variant } from '../calls/variants';

const PRELOAD = path.join(__dirname, 'fault-preload.js');

interface Teardown {
  teardown(handler: () => unknown): void;
}

interface File {
  readonly name: string;
  readonly bytes: Buffer;
}

export class Scene {
  readonly region: string;
  readonly variant: Variant;
  server!: Actor;
  client!: Actor;
  other!: Actor;
  port = 0;
  #hasFresh = false;
  #dead: readonly File[] = [];

  private constructor(region: string, variant: Variant) {
    this.region = region;
    this.variant = variant;
  }

  static async open(test: Teardown, variant: Variant): Promise<Scene> {
    const scene = new Scene(freshRegion(test, variant.under), variant);
    const start = (name: string): Promise<Actor> =>
      Actor.start(test, { region: scene.region, ...variant.options, name, execArgv: ['--require', PRELOAD] });
    const dead = await start('dead');
    await dead.run((kit) => {
      kit.listen();
    });
    const names = fs.readdirSync(path.join(scene.region, 'processes')).map((name) => `processes/${name}`);
    await dead.kill();
    scene.#dead = [...names].map((name) => ({ name, bytes: fs.readFileSync(path.join(scene.region, name)) }));
    [scene.server, scene.client, scene.other] = await Promise.all([start('server'), start('client'), start('other')]);
    scene.port = await scene.server.run(serve);
    await scene.other.run(async (kit, to) => {
      kit.notes.set(
        'duplex',
        kit.duplex(await kit.connect(to), { reads: { stream: 1, at: 0 }, writes: { stream: 1, at: 0 } }),
      );
    }, scene.port);
    await scene.client.run((kit, to) => kit.connect(to), scene.port);
    const bystander = await scene.other.run((kit) => kit.stp.STPgetclientid().process);
    for (const actor of [scene.server, scene.client])
      await actor.run((kit, number) => {
        kit.faults.spare(number);
      }, bystander);
    return scene;
  }

  /** A process of the region in the thread of the client, which is in no region yet. */
  readonly fresh: Party = {
    run: async (step, ...args) => {
      if (!this.#hasFresh)
        await this.client.run((kit) => {
          kit.notes.set('fresh', kit.another());
        });
      this.#hasFresh = true;
      return this.client.run(
        (kit, source, given) => {
          type Act = (fresh: unknown, ...rest: unknown[]) => unknown;
          // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the source is a function of the test itself.
          const make = new Function(`return (${source});`) as () => Act;
          return make()((kit.notes.get('fresh') as Another).kit, ...given);
        },
        step.toString(),
        args,
      ) as never;
    },
  };

  /** Ends the fresh one as a program ends. */
  async leave(): Promise<void> {
    if (!this.#hasFresh) return;
    this.#hasFresh = false;
    await this.client.run((kit) => {
      (kit.notes.get('fresh') as Another).leave();
    });
  }

  /** Puts back what a process left that died long ago. */
  bringDead(): Promise<void> {
    for (const { name, bytes } of this.#dead) fs.writeFileSync(path.join(this.region, name), bytes, { mode: 0o600 });
    const own = path.basename(this.#dead[0]?.name ?? '1');
    fs.writeFileSync(path.join(this.region, 'links', `${own}-${own}`), '', { mode: 0o600 });
    return Promise.resolve();
  }

  /** '' where the connection of the bystander carries on. */
  bystander(): Promise<string> {
    return this.other.run(async (kit) => {
      const duplex = kit.notes.get('duplex') as Duplex;
      await duplex.more(20_000);
      return duplex.over;
    });
  }

  /** Open descriptors of the processes that stay. */
  async descriptors(): Promise<number> {
    let all = 0;
    for (const actor of [this.server, this.client, this.other]) {
      all += await actor.run(() => process.getBuiltinModule('node:fs').readdirSync('/proc/self/fd').length);
    }
    return all;
  }
}

/** Echoes what comes; its port. */
function serve(kit: Parameters<Parameters<Actor['run']>[0]>[0]): number {
  const { stp } = kit;
  const { s, port } = kit.listen();
  const echo = (c: number): void => {
    const into = Buffer.alloc(65_536);
    const next = (): Promise<void> =>
      stp
        .STPrecv(c, into)
        .then((n) =>
          n === 0 ? stp.STPclose(c).then(() => undefined) : stp.STPsend(c, into.subarray(0, n)).then(next),
        );
    next()
      .catch(() => stp.STPclose(c))
      .catch(() => undefined);
  };
  const accept = (): void => {
    void stp.STPaccept(s).then(
      (c) => {
        echo(c);
        accept();
      },
      () => {
        setTimeout(accept, 20);
      },
    );
  };
  accept();
  return port;
}
