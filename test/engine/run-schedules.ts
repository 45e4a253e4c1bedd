/** Runs a share of the schedules of `npm test`. */
import t from 'tap';
import { failureOf } from './simulation';
import { newTally, type Tally } from './tally';

/** Of one file; there are two, for what runs two at a time: each has to be compiled anew. */
const SCHEDULES = 5000;
const FAILURES_MAX = 3;

/** The first seed of all, from STP_SEED: a number, or `random`. */
function baseSeed(): number {
  const text = process.env['STP_SEED'] ?? '1';
  const seed = text === 'random' ? Math.floor(Math.random() * 0x4000_0000) : Number(text);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new Error(`STP_SEED=${text}: must be a whole number or 'random'`);
  return seed;
}

/** Everything that can happen did, often: a simulation that has become tame proves nothing. */
function tooRare(tally: Tally): string[] {
  return Object.entries(tally)
    .filter(([, count]) => count < 5)
    .map(([name, count]) => `${name}: ${count}`);
}

/** `part` 0 or 1. */
export function runSchedules(part: number): void {
  void t.test(
    `${SCHEDULES} schedules of random actors deliver every byte once and in order, or reset, and leave nothing behind`,
    (tt) => {
      const first = baseSeed() + part * SCHEDULES;
      tt.comment(`seeds ${first} to ${first + SCHEDULES - 1}`);
      const tally = newTally();
      let failures = 0;
      for (let seed = first; seed < first + SCHEDULES && failures < FAILURES_MAX; seed++) {
        const failure = failureOf(seed, tally);
        if (failure === undefined) continue;
        failures++;
        tt.fail(`seed ${seed}; again with: npm run fuzz -- --seed ${seed} --schedules 1\n${failure}`);
      }
      tt.comment(JSON.stringify(tally));
      tt.same(tooRare(tally), []);
      tt.end();
    },
  );
}
