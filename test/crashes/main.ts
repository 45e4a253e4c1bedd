/**
 * Kills real processes at every crash point, with both drivers: `npm run test:crashes`. `--driver mapped` or `direct`,
 * `--play NAME` and `--point NAME` walk a part; else deaths between containers, ten thousand dead sockets and leases of
 * other hosts are tried as well (`--play lease`). Says how long after a death its peers knew of it. Ends with `N
 * deaths, N failed`.
 */
import { commandLine } from '../../scripts/command-line';
import { CRASH_POINTS, type CrashPoint } from '../../src/crash-points';
import { DRIVERS, type Variant } from '../calls/variants';
import { LEASE_MS, LEASE_PLAYS } from './lease-plays';
import { OTHER_PLAYS } from './other-plays';
import { type Play, PLAYS, unwalked } from './plays';
import { type Notice, Stage } from './stage';

/**
 * On one host, half of all peers know of a death within this time unless the machine has much else to do. The aim is
 * 10. `--strict` fails where they don't.
 */
const NOTICE_MS = 100;

const LEASE = 'lease';

interface Options {
  readonly play: string | undefined;
  readonly point: string | undefined;
}

const cleanups: (() => unknown)[] = [];
const test = {
  teardown: (handler: () => unknown): void => {
    cleanups.unshift(handler);
  },
};

async function cleanUp(): Promise<void> {
  for (const handler of cleanups.splice(0)) await handler();
}

/** A stage for as long as nothing fails on it. */
class Walk {
  readonly #variant: Variant;
  #stage: Stage | undefined;
  deaths = 0;
  failed = 0;
  readonly notices: Notice[] = [];

  constructor(variant: Variant) {
    this.#variant = variant;
  }

  async one(play: Play, point: CrashPoint, spare: number): Promise<void> {
    this.#stage ??= await Stage.open(test, this.#variant);
    const stage = this.#stage;
    try {
      await play.run(stage, point, spare);
    } catch (error) {
      this.failed += 1;
      console.log(
        `FAILED ${this.#variant.title}, ${play.title}, ${point}${spare > 0 ? `, the ${spare + 1}th time` : ''}: ` +
          (error instanceof Error ? (error.stack ?? error.message) : String(error)),
      );
      console.log(
        `  again with: npm run test:crashes -- --driver ${this.#variant.title} --play '${play.title}' --point ${point}`,
      );
      await this.close();
    }
  }

  async close(): Promise<void> {
    const stage = this.#stage;
    this.#stage = undefined;
    if (stage === undefined) return;
    this.deaths += stage.deaths;
    this.notices.push(...stage.notices);
    await stage.close();
  }
}

async function walk(variant: Variant, { play: only, point: just }: Options): Promise<Walk> {
  const walking = new Walk(variant);
  for (const play of PLAYS) {
    if (only !== undefined && play.title !== only) continue;
    const points = play.points.filter((point) => just === undefined || point === just);
    if (points.length === 0) continue;
    const beganMs = performance.now();
    for (const spare of play.spares ?? [0]) for (const point of points) await walking.one(play, point, spare);
    console.log(
      `${variant.title}: ${play.title}, ${points.length * (play.spares?.length ?? 1)} deaths, ` +
        `${((performance.now() - beganMs) / 1000).toFixed(1)} s`,
    );
  }
  await walking.close();
  return walking;
}

/** Deaths, and what looks like deaths, between hosts; all at once, for most of it is waiting. */
async function walkLease(): Promise<number> {
  const beganMs = performance.now();
  const ends = await Promise.allSettled(LEASE_PLAYS.map((play) => play.run(test)));
  let failed = 0;
  ends.forEach((end, i) => {
    if (end.status === 'fulfilled') return;
    failed += 1;
    console.log(
      `FAILED lease, ${LEASE_PLAYS[i]?.title ?? ''}: ` +
        (end.reason instanceof Error ? (end.reason.stack ?? end.reason.message) : String(end.reason)),
    );
  });
  const knownMs = ends.flatMap((end) => (end.status === 'fulfilled' && end.value !== undefined ? [end.value] : []));
  console.log(
    `lease: ${ends.length} of other hosts killed, stopped or held up, ` +
      `deaths known within ${Math.max(0, ...knownMs).toFixed(0)} ms with a lease of ${LEASE_MS} ms, ` +
      `${((performance.now() - beganMs) / 1000).toFixed(1)} s`,
  );
  return failed;
}

async function walkOthers(only: string | undefined): Promise<number> {
  let failed = 0;
  for (const play of OTHER_PLAYS) {
    if (only !== undefined && play.title !== only) continue;
    const skipped = play.skip();
    try {
      console.log(`${play.title}: ${skipped === undefined ? await play.run(test) : `LEFT OUT, ${skipped}`}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED ${play.title}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
  }
  return failed;
}

/** Says how soon peers knew. */
function toldInTime(variant: Variant, notices: readonly Notice[], strict: boolean): boolean {
  const sorted = [...notices].sort((a, b) => a.afterMs - b.afterMs);
  const median = sorted[sorted.length >> 1];
  const last = sorted.at(-1);
  if (median === undefined || last === undefined) return true;
  console.log(
    `${variant.title}: ${sorted.length} peers learned of a death, ` +
      `half of them within ${median.afterMs.toFixed(1)} ms, all within ${last.afterMs.toFixed(1)} ms ` +
      `(${last.point})`,
  );
  if (median.afterMs <= NOTICE_MS) return true;
  console.log(`${strict ? 'FAILED' : 'LATE'}: half of them are to know within ${NOTICE_MS} ms`);
  return !strict;
}

function known(name: string, value: string | undefined, values: readonly string[]): string | undefined {
  if (value !== undefined && !values.includes(value))
    throw new Error(`--${name} ${value}: must be one of ${values.join(', ')}`);
  return value;
}

const USAGE = `usage: npm run test:crashes -- [options]
  --driver NAME   only this driver: mapped, direct
  --play NAME     only this play
  --point NAME    only this point of src/crash-points.ts
  --strict        fail where a death becomes known later than promised`;

async function main(): Promise<void> {
  const { strict, driver, options } = commandLine(
    USAGE,
    {
      driver: { type: 'string' },
      play: { type: 'string' },
      point: { type: 'string' },
      strict: { type: 'boolean', default: false },
    },
    (values) => ({
      strict: values.strict,
      driver: known(
        'driver',
        values.driver,
        DRIVERS.map(({ title }) => title),
      ),
      options: {
        play: known('play', values.play, [...PLAYS, ...OTHER_PLAYS].map(({ title }) => title).concat(LEASE)),
        point: known('point', values.point, Object.keys(CRASH_POINTS)),
      },
    }),
  );
  let failed = 0;
  let deaths = 0;
  const missing = unwalked();
  if (missing.length > 0) console.log(`FAILED: no play comes to ${missing.join(', ')}`);
  failed += missing.length;
  for (const variant of DRIVERS) {
    if (driver !== undefined && variant.title !== driver) continue;
    if (variant.skip.skip !== undefined) {
      console.log(`${variant.title}: LEFT OUT, ${variant.skip.skip}`);
      continue;
    }
    const done = await walk(variant, options);
    deaths += done.deaths;
    failed += done.failed;
    if (!toldInTime(variant, done.notices, strict)) failed += 1;
  }
  const all = driver === undefined && options.play === undefined && options.point === undefined;
  if (all || OTHER_PLAYS.some(({ title }) => title === options.play)) failed += await walkOthers(options.play);
  if (all || options.play === LEASE) failed += await walkLease();
  await cleanUp();
  console.log(`${Object.keys(CRASH_POINTS).length} crash points, ${deaths} deaths, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
  void cleanUp().finally(() => {
    process.exit(1);
  });
});
