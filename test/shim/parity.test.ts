/**
 * Every scenario over TCP and over STP, between two processes: both ends must see the same, with the hook in either,
 * both or none of them.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { exitPrograms } from './exit-programs';
import { fullDisk, REGISTER, scratch } from './kit';
import { type Difference } from './scenario-kit';
import { Pair, type Seen, type Side, WELL } from './scenario-pair';
import { topics } from './scenario-topics';
import { scenarios } from './scenarios';

const ACTOR = 'scenario-actor.js';
const NATIVE: Side = { env: {}, execArgv: [] };

/**
 * What must be seen over STP: what was seen over TCP but for the differences that the scenario names, each of which
 * must be there.
 */
function overStp(seen: Seen, differences: readonly Difference[] = []): Seen {
  const result = { client: [...seen.client], server: [...seen.server] };
  for (const { end, tcp, stp, reason } of differences) {
    if (!result[end].some((line) => line.includes(tcp)))
      throw new Error(`the ${end} does not see '${tcp}' over TCP: ${reason}`);
    result[end] = result[end].map((line) => line.split(tcp).join(stp));
  }
  return result;
}

void t.test('what a program sees over STP is what it sees over TCP', async (t) => {
  const { directory, region, remove } = scratch();
  const damaged = path.join(directory, 'damaged');
  fs.mkdirSync(damaged);
  fs.writeFileSync(path.join(damaged, 'region'), Buffer.alloc(4096, 0xa5));
  const file = path.join(directory, 'file');
  fs.writeFileSync(file, '');
  const full = fullDisk(directory);
  const hooked = (settings: Record<string, string>): Side => ({
    env: { STP_REGION: region, ...settings },
    execArgv: ['--require', REGISTER],
  });
  const auto = hooked({});
  const tcp = new Pair(ACTOR, NATIVE);
  /** Pairs, and the transport that all connections must have. */
  const ways: Record<string, [Pair, 'stp' | 'tcp']> = {
    'over STP alone': [new Pair(ACTOR, hooked({ STP_NET: 'stp' })), 'stp'],
    'over STP alone, with plain file I/O': [new Pair(ACTOR, hooked({ STP_NET: 'stp', STP_DRIVER: 'direct' })), 'stp'],
    'with auto at both ends': [new Pair(ACTOR, auto), 'stp'],
    'with auto at the server only': [new Pair(ACTOR, auto, NATIVE), 'tcp'],
    'with auto at the client only': [new Pair(ACTOR, NATIVE, auto), 'tcp'],
    'with auto and a region that can not be made': [
      new Pair(ACTOR, hooked({ STP_REGION: path.join(file, 'region') })),
      'tcp',
    ],
    'with auto and a damaged region': [new Pair(ACTOR, hooked({ STP_REGION: damaged })), 'tcp'],
    ...(full === undefined
      ? {}
      : { 'with auto and a full region': [new Pair(ACTOR, hooked({ STP_REGION: path.join(full, 'region') })), 'tcp'] }),
  };
  const pairs = [tcp, ...Object.values(ways).map(([pair]) => pair)];
  t.teardown(() => {
    for (const pair of pairs) pair.kill();
    if (full !== undefined) execFileSync('umount', ['-l', full], { stdio: 'ignore' });
    remove();
  });
  for (const [name, { differences }] of Object.entries(scenarios)) {
    await t.test(name, async (t) => {
      const [native, ...plays] = await Promise.allSettled(pairs.map((pair) => pair.play(name)));
      if (native?.status !== 'fulfilled') throw native?.reason;
      const stp = overStp(native.value, differences);
      for (const [at, [way, [, transport]]] of Object.entries(ways).entries()) {
        const play = plays[at];
        t.same(
          play?.status === 'fulfilled' ? play.value : String(play?.reason),
          transport === 'stp' ? stp : native.value,
          way,
        );
      }
    });
  }
  for (const [way, [pair, transport]] of Object.entries(ways)) t.same([...pair.transports], [transport], way);
  for (const pair of pairs) t.same(await pair.end(), [WELL, WELL], 'both processes end by themselves');
});

void t.test('every topic of net has its scenarios', (t) => {
  for (const [topic, titles] of Object.entries(topics)) {
    t.ok(titles.length > 0, topic);
    for (const title of titles) t.ok(title in scenarios || title in exitPrograms, `${topic}: ${title}`);
  }
  const told = new Set(Object.values(topics).flat());
  t.same(
    Object.keys({ ...scenarios, ...exitPrograms }).filter((title) => !told.has(title)),
    [],
    'each scenario stands under a topic',
  );
  t.end();
});
