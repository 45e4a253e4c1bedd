/**
 * http, https, tls, http2 and fetch see over STP what they see over TCP, and with `auto` whoever is at the other end:
 * every scenario is played once, by two processes in each of the ways at the same time. What is seen must be what TCP
 * shows in that play, or what was recorded of TCP (tcp-traces.json).
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import { fullDisk, REGISTER, scratch } from './kit';
import { Pair, type Side, WELL } from './scenario-pair';
import { LINE, readTraces } from './tcp-traces';
import { webScenarios } from './web-scenarios';

const ACTOR = 'web-actor.js';
const NATIVE: Side = { env: {}, execArgv: [] };

void t.test('what stands on net sees over STP what it sees over TCP', async (t) => {
  const place = scratch();
  const broken = path.join(place.directory, 'broken');
  fs.mkdirSync(broken, { recursive: true });
  fs.writeFileSync(path.join(broken, 'region'), Buffer.alloc(4096, 0xa5));
  // What fails before there is a region fails alike; all of it is a step of its own in CI.
  const all = process.env['STP_TEST_WAYS'] === 'all';
  const full = all ? fullDisk(place.directory) : undefined;
  const hooked = (settings: Record<string, string>): Side => ({
    env: { STP_REGION: place.region, ...settings },
    execArgv: ['--require', REGISTER],
  });
  const auto = hooked({});
  const tcp = new Pair(ACTOR, NATIVE);
  /** Pairs, and the transports that the client's sockets must have. */
  const ways: Record<string, [Pair, string[]]> = {
    'over STP alone': [new Pair(ACTOR, hooked({ STP_NET: 'stp' })), ['stp']],
    'with auto at both ends': [new Pair(ACTOR, auto), ['stp']],
    'with auto at the server only': [new Pair(ACTOR, auto, NATIVE), ['none']],
    'with auto at the client only': [new Pair(ACTOR, NATIVE, auto), ['tcp']],
    'with auto and a damaged region': [new Pair(ACTOR, hooked({ STP_REGION: broken })), ['tcp']],
    ...(all
      ? {
          'with auto and a region that can not be made': [
            new Pair(ACTOR, hooked({ STP_REGION: path.join(broken, 'region', 'region') })),
            ['tcp'],
          ],
        }
      : {}),
    ...(full === undefined
      ? {}
      : {
          'with auto and a full region': [new Pair(ACTOR, hooked({ STP_REGION: path.join(full, 'region') })), ['tcp']],
        }),
  };
  const pairs = [tcp, ...Object.values(ways).map(([pair]) => pair)];
  t.teardown(() => {
    for (const pair of pairs) pair.kill();
    if (full !== undefined) execFileSync('umount', ['-l', full], { stdio: 'ignore' });
    place.remove();
  });
  const recorded = readTraces()[LINE] ?? {};
  for (const name of Object.keys(webScenarios)) {
    await t.test(name, async (t) => {
      // All of them come to their end before the next: a play that fails ends its two processes.
      const [native, ...plays] = await Promise.allSettled(pairs.map((pair) => pair.play(name)));
      if (native?.status !== 'fulfilled') throw native?.reason;
      // Where the two ends race, TCP itself shows now this and now that.
      const shown = [native.value, ...(recorded[name] ?? [])];
      for (const [at, way] of Object.keys(ways).entries()) {
        const play = plays[at];
        const seen = play?.status === 'fulfilled' ? play.value : String(play?.reason);
        t.same(seen, shown.find((each) => isDeepStrictEqual(each, seen)) ?? native.value, way);
      }
    });
  }
  for (const [way, [pair, transports]] of Object.entries(ways)) t.same(await pair.ask('transports'), transports, way);
  for (const pair of pairs) t.same(await pair.end(), [WELL, WELL], 'both processes end by themselves');
});
