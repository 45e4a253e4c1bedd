/**
 * http, https, tls, http2 and fetch see over STP what they see over TCP, and with `auto` whoever is at the other end: every scenario is played
 * by two processes in each of the ways at the same time.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import { fullDisk, REGISTER, scratch } from './kit';
import { Pair, type Side, WELL } from './scenario-pair';
import { webScenarios } from './web-scenarios';

const ACTOR = 'web-actor.js';
/** Where the two ends race, TCP itself shows now this and now that. What is seen must be what TCP shows in one of so many plays, both played anew. */
const PLAYS_MAX = 10;
const NATIVE: Side = { env: {}, execArgv: [] };

void t.test('what stands on net sees over STP what it sees over TCP', async (t) => {
  const place = scratch();
  const broken = path.join(place.directory, 'broken');
  fs.mkdirSync(broken, { recursive: true });
  fs.writeFileSync(path.join(broken, 'region'), Buffer.alloc(4096, 0xa5));
  // What fails before there is a region fails alike; all of it is a step of its own in CI.
  const all = process.env['STP_TEST_WAYS'] === 'all';
  const full = all ? fullDisk(place.directory) : undefined;
  const hooked = (settings: Record<string, string>): Side => ({ env: { STP_REGION: place.region, ...settings }, execArgv: ['--require', REGISTER] });
  const auto = hooked({});
  const tcp = new Pair(ACTOR, NATIVE);
  /** Pairs, and the transports that the client's sockets must have. */
  const ways: Record<string, [Pair, string[]]> = {
    'over STP alone': [new Pair(ACTOR, hooked({ STP_NET: 'stp' })), ['stp']],
    'with auto at both ends': [new Pair(ACTOR, auto), ['stp']],
    'with auto at the server only': [new Pair(ACTOR, auto, NATIVE), ['none']],
    'with auto at the client only': [new Pair(ACTOR, NATIVE, auto), ['tcp']],
    'with auto and a damaged region': [new Pair(ACTOR, hooked({ STP_REGION: broken })), ['tcp']],
    ...(all ? { 'with auto and a region that can not be made': [new Pair(ACTOR, hooked({ STP_REGION: path.join(broken, 'region', 'region') })), ['tcp']] } : {}),
    ...(full === undefined ? {} : { 'with auto and a full region': [new Pair(ACTOR, hooked({ STP_REGION: path.join(full, 'region') })), ['tcp']] }),
  };
  const pairs = [tcp, ...Object.values(ways).map(([pair]) => pair)];
  t.teardown(() => {
    for (const pair of pairs) pair.kill();
    if (full !== undefined) execFileSync('umount', ['-l', full], { stdio: 'ignore' });
    place.remove();
  });
  for (const name of Object.keys(webScenarios)) {
    await t.test(name, async (t) => {
      const [expected, ...seen] = await Promise.all(pairs.map((pair) => pair.play(name)));
      const shown = [expected];
      for (const [at, [way, [pair]]] of Object.entries(ways).entries()) {
        let now = seen[at];
        const alike = (): unknown => shown.find((each) => isDeepStrictEqual(each, now));
        for (let plays = 1; plays < PLAYS_MAX && alike() === undefined; plays += 1) {
          const [again, next] = await Promise.all([tcp.play(name), pair.play(name)]);
          shown.push(again);
          now = next;
        }
        t.same(now, alike() ?? expected, way);
      }
    });
  }
  for (const [way, [pair, transports]] of Object.entries(ways)) t.same(await pair.ask('transports'), transports, way);
  for (const pair of pairs) t.same(await pair.end(), [WELL, WELL], 'both processes end by themselves');
});
