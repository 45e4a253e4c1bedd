/** A few deaths of the many that `npm run test:crashes` walks. */
import t from 'tap';
import { CRASH_POINTS, type CrashPoint } from '../../src/crash-points';
import { DIRECT, MAPPED } from '../calls/variants';
import { PLAYS, unwalked } from './plays';
import { Stage } from './stage';

void t.test('every crash point is walked by some play, and every play walks points that are declared', (t) => {
  t.same(unwalked(), []);
  t.same(
    PLAYS.flatMap(({ points }) => points).filter((point) => !Object.hasOwn(CRASH_POINTS, point)),
    [],
  );
  t.end();
});

const FEW: readonly (readonly [typeof MAPPED, readonly (readonly [string, CrashPoint])[]])[] = [
  [
    MAPPED,
    [
      ['client', 'link.bells'],
      ['client, bytes under way', 'publish.done'],
      ['taker', 'take.ready'],
    ],
  ],
  [DIRECT, [['giver', 'take.state']]],
];

for (const [variant, deaths] of FEW) {
  void t.test(
    `what dies in the middle of it leaves the others whole and the region clean: ${variant.title}`,
    variant.skip,
    async (t) => {
      const stage = await Stage.open(t, variant);
      for (const [title, point] of deaths) {
        await PLAYS.find((play) => play.title === title)?.run(stage, point, 0);
        t.pass(`${title}, ${point}`);
      }
      t.equal(stage.deaths, deaths.length);
      await stage.close();
    },
  );
}
