/** What the cases of two hosts have in common: a scene to play in, and transfers between two processes. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { type Duplex } from '../calls/duplex';
import { type Host, type HostProcess, type Stand } from './host';
import { HostActor, type HostActorOptions } from './host-actor';

/** What a case has to work with; all it starts is ended with it. */
export class Scene {
  readonly #started: (HostActor | HostProcess)[] = [];

  constructor(
    readonly stand: Stand,
    /** Name of the region's directory, fresh for each case. */
    readonly region: string,
    /** How much of the work is done: 1 for all of it. */
    readonly scale: number,
  ) {}

  get a(): Host {
    return this.stand.hosts[0];
  }

  get b(): Host {
    return this.stand.hosts[1];
  }

  async actor(host: Host, options: Partial<HostActorOptions> = {}): Promise<HostActor> {
    const actor = await HostActor.start(host, {
      region: this.region,
      system: host.name === 'A' ? 'alpha' : 'beta',
      leaseMs: this.stand.leaseMs,
      ...options,
    });
    this.#started.push(actor);
    return actor;
  }

  actors(): Promise<[HostActor, HostActor]> {
    return Promise.all([this.actor(this.a), this.actor(this.b)]);
  }

  /** Starts a program as its user would; resolves with its lines when it has ended, by `end`. */
  program(
    host: Host,
    args: readonly string[],
    system: string,
  ): { process: HostProcess; lines: string[]; line(pattern: RegExp): Promise<string> } {
    const started = host.start(args, {
      STP_REGION: path.posix.join(host.directory, this.region),
      STP_SYSTEM: system,
      STP_NET: 'stp',
      STP_LEASE_MS: String(this.stand.leaseMs),
    });
    this.#started.push(started);
    const lines: string[] = [];
    const looks: (() => void)[] = [];
    started.onLine = (line) => {
      lines.push(line);
      for (const look of looks) look();
    };
    return {
      process: started,
      lines,
      line: (pattern) =>
        new Promise((resolve, reject) => {
          const look = (): void => {
            const found = lines.find((line) => pattern.test(line));
            if (found !== undefined) resolve(found);
          };
          looks.push(look);
          look();
          void started.ended.then(() => {
            reject(new Error(`no line ${String(pattern)} in:\n${lines.join('\n')}`));
          });
        }),
    };
  }

  async close(): Promise<void> {
    for (const one of this.#started) {
      if (one instanceof HostActor) one.process.signal('SIGCONT');
      else one.signal('SIGCONT');
      if (one instanceof HostActor) await one.kill();
      else {
        one.signal('SIGKILL');
        await one.ended;
      }
    }
  }
}

/** Connects `fds.s` of both; `a` listens. */
export async function joinActors(a: HostActor, b: HostActor): Promise<void> {
  const port = await a.run((kit) => {
    const { s, port: chosen } = kit.listen();
    kit.notes.set(
      'accepted',
      kit.stp.STPaccept(s).then((c) => {
        kit.fds['s'] = c;
      }),
    );
    return chosen;
  });
  await b.run(
    async (kit, to, system) => {
      kit.fds['s'] = await kit.connect(to, system);
    },
    port,
    a.name,
  );
  await a.run((kit) => kit.notes.get('accepted'));
}

export function startDuplex(actor: HostActor, reads: number, writes: number): Promise<void> {
  return actor.run(
    (kit, into, out) => {
      kit.notes.set(
        'duplex',
        kit.duplex(kit.fds['s'] ?? -1, { reads: { stream: into, at: 0 }, writes: { stream: out, at: 0 } }),
      );
    },
    reads,
    writes,
  );
}

export function more(actor: HostActor, bytes: number): Promise<{ over: string; at: number }> {
  return actor.run(async (kit, least) => {
    const duplex = kit.notes.get('duplex') as Duplex;
    await duplex.more(least);
    return { over: duplex.over, at: duplex.reads.at };
  }, bytes);
}

export async function finishBoth(a: HostActor, b: HostActor): Promise<number> {
  const finish = (actor: HostActor): Promise<{ why: string; reads: number; writes: number }> =>
    actor.run(async (kit) => {
      const duplex = kit.notes.get('duplex') as Duplex;
      const why = await duplex.finish();
      return { why, reads: duplex.reads.at, writes: duplex.writes.at };
    });
  const [one, other] = await Promise.all([finish(a), finish(b)]);
  assert.deepEqual([one.why, other.why], ['end', 'end']);
  assert.equal(one.reads, other.writes);
  assert.equal(other.reads, one.writes);
  return one.reads + other.reads;
}
