/** Deaths between containers, and the death of two processes with ten thousand sockets. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { inspectRegion, Region } from '../../src/region';
import { Actor, freshRegion } from '../calls/actor';
import { connectedPair } from '../calls/connected-pair';
import { type Kit } from '../calls/kit';
import { assert, type Teardown } from './stage';

export interface OtherPlay {
  readonly title: string;
  /** Why it can't run here, if it can't. */
  skip(): string | undefined;
  /** What was measured, in words. */
  run(test: Teardown): Promise<string>;
}

const CONTAINER = ['unshare', '--pid', '--mount', '--fork', '--mount-proc', '--kill-child'];
const CONTAINER_DEATHS = 6;
const CONNECTIONS = 5000;
const LOOKS_MAX = 1000;

const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

function needsContainers(): string | undefined {
  try {
    execFileSync('unshare', [...CONTAINER.slice(1), 'true'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'pid namespaces can not be made here (unshare, root)';
  }
}

const untilReset = (kit: Kit): Promise<{ code: string; atMs: number }> =>
  kit.code(() => kit.stp.STPrecv(kit.fds['s'] ?? -1, Buffer.alloc(1))).then((code) => ({ code, atMs: kit.nowMs() }));

/** Each has a pid namespace of its own, and one of them is killed. */
async function deathInContainer(test: Teardown, region: string, survivor: Actor, serves: boolean): Promise<number> {
  const doomed = await Actor.start(test, { region, name: 'doomed', prefix: CONTAINER });
  assert((await doomed.run(() => process.pid)) === 1, 'it is the first process of its namespace');
  await (serves ? connectedPair(doomed, survivor) : connectedPair(survivor, doomed));
  const reset = survivor.run(untilReset);
  const killedMs = nowMs();
  await doomed.kill();
  const { code, atMs } = await reset;
  assert(code === 'ECONNRESET', `the survivor got ${code}`);
  await survivor.run((kit) => kit.stp.STPclose(kit.fds['s'] ?? -1));
  return atMs - killedMs;
}

const containers: OtherPlay = {
  title: 'between containers',
  skip: needsContainers,
  async run(test) {
    const region = freshRegion(test);
    const survivor = await Actor.start(test, { region, name: 'survivor', prefix: CONTAINER });
    const knownMs: number[] = [];
    for (let i = 0; i < CONTAINER_DEATHS; i++)
      knownMs.push(await deathInContainer(test, region, survivor, i % 2 === 0));
    knownMs.sort((a, b) => a - b);
    return (
      `${CONTAINER_DEATHS} deaths, half of them known within ${(knownMs[knownMs.length >> 1] ?? 0).toFixed(1)} ms, ` +
      `all within ${(knownMs.at(-1) ?? 0).toFixed(1)} ms`
    );
  },
};

const tenThousand: OtherPlay = {
  title: 'ten thousand dead sockets',
  skip: () => undefined,
  async run(test) {
    const region = freshRegion(test);
    const [server, client] = await Promise.all([
      Actor.start(test, { region, name: 'server' }),
      Actor.start(test, { region, name: 'client' }),
    ]);
    const port = await server.run((kit) => {
      const { s, port: chosen } = kit.listen();
      const accept = (): void => {
        while ((kit.stp.STPaccept(s, kit.stp.MSG_DONTWAIT) as number) >= 0);
      };
      kit.stp.STPsetopt(s, kit.stp.STP_WATCHER, { acceptable: accept });
      return chosen;
    });
    await client.run(
      async (kit, to, count) => {
        for (let made = 0; made < count; made += 100)
          await Promise.all(Array.from({ length: 100 }, () => kit.connect(to)));
      },
      port,
      CONNECTIONS,
    );
    // Control blocks are written a moment after what they tell.
    for (let i = 0; i < LOOKS_MAX && inspectRegion(region).sockets.length < 2 * CONNECTIONS; i++)
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
    await Promise.all([server.kill(), client.kill()]);
    const dead = inspectRegion(region).sockets.length;
    assert(dead >= 2 * CONNECTIONS, `${dead} sockets are in the table`);
    const beganMs = performance.now();
    const next = Region.open({ directory: region, system: 'alpha', group: 'STG', driver: 'auto' });
    const openedMs = performance.now() - beganMs;
    try {
      assert(next.recovered.complete && next.recovered.processes === 2, `recovered ${JSON.stringify(next.recovered)}`);
      const left = ['links', 'processes'].flatMap((folder) => fs.readdirSync(path.join(region, folder)));
      assert(left.length === 1, `left behind: ${left.join(', ')}`);
    } finally {
      next.close();
    }
    return `${dead} dead sockets, clean when the next had opened the region, after ${openedMs.toFixed(1)} ms`;
  },
};

export const OTHER_PLAYS: readonly OtherPlay[] = [containers, tenThousand];
