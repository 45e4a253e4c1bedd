/** Every scenario over TCP and over STP, between two processes: both ends must see the same. */
import t from 'tap';
import { REGISTER, scratch } from './kit';
import { Pair, WELL } from './scenario-pair';
import { scenarios } from './scenarios';

const ACTOR = 'scenario-actor.js';

void t.test('what a program sees over STP is what it sees over TCP', async (t) => {
  const place = scratch();
  const hooked = (settings: Record<string, string>): Pair => new Pair(ACTOR, { env: { STP_REGION: place.region, ...settings }, execArgv: ['--require', REGISTER] });
  const tcp = new Pair(ACTOR, { env: {}, execArgv: [] });
  const ways: Record<string, Pair> = {
    'over STP alone': hooked({ STP_NET: 'stp' }),
    'over STP alone, with plain file I/O': hooked({ STP_NET: 'stp', STP_DRIVER: 'direct' }),
    'over STP with TCP beside it': hooked({}),
  };
  const pairs = [tcp, ...Object.values(ways)];
  t.teardown(() => {
    for (const pair of pairs) pair.kill();
    place.remove();
  });
  for (const name of Object.keys(scenarios)) {
    await t.test(name, async (t) => {
      const expected = await tcp.play(name);
      for (const [way, pair] of Object.entries(ways)) t.same(await pair.play(name), expected, way);
    });
  }
  for (const pair of pairs) t.same(await pair.end(), [WELL, WELL], 'both processes end by themselves');
});
