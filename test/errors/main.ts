/**
 * Lets every file call fail with every errno that it can fail with, in every phase, with both drivers, and lets a
 * system run out of descriptors, memory, quota and disk for real: `npm run test:errors`. `--driver NAME` and `--phase
 * NAME` walk a part of the first, `--real` plays the second alone.
 */
import { commandLine } from '../../scripts/command-line';
import { loadNative } from '../../src/storage';
import { DRIVERS, MAPPED, type Variant } from '../calls/variants';
import { UNREACHED } from './pairs';
import { PHASES } from './phases';
import { realLimits, whyNoLimits } from './real-limits';
import { Scene } from './scene';
import { Walk, type WalkReport } from './walk';

/** Of so many pairs, a quick run tries one. */
const QUICK_STEP = 5;
const MAPPED_ONLY: readonly string[] = ['mmap', 'posix_fallocate'];

const cleanups: (() => unknown)[] = [];

interface Options {
  readonly driver: string | undefined;
  readonly phase: string | undefined;
  readonly quick: boolean;
  /** Which pairs a quick run tries. */
  readonly seed: number;
  readonly real: boolean;
  readonly verbose: boolean;
}

interface Values {
  readonly driver?: string | undefined;
  readonly phase?: string | undefined;
  readonly seed?: string | undefined;
  readonly quick: boolean;
  readonly real: boolean;
  readonly verbose: boolean;
}

async function walk(variant: Variant, { phase: only, quick, seed, verbose }: Options): Promise<WalkReport> {
  const scene = await Scene.open(
    {
      teardown: (act) => {
        cleanups.unshift(act);
      },
    },
    variant,
  );
  const walking = new Walk(scene, verbose ? console.log : (): void => undefined);
  for (const phase of PHASES) {
    if (only !== undefined && only !== phase.title) continue;
    const beganMs = performance.now();
    const before = walking.report.pairs;
    await walking.phase(phase, (pair) => !quick || (pair + seed) % QUICK_STEP === 0);
    console.log(
      `${variant.title}: ${phase.title}, ${walking.report.pairs - before} pairs, ` +
        `${((performance.now() - beganMs) / 1000).toFixed(1)} s, ${await scene.descriptors()} descriptors open`,
    );
  }
  if (only === undefined) {
    for (const operation of await scene.client.run((kit) => [...kit.faults.operations])) {
      const mappedOnly = variant !== MAPPED && MAPPED_ONLY.includes(operation);
      if (!walking.report.reached.has(operation) && UNREACHED[operation] === undefined && !mappedOnly)
        walking.find(`no phase comes to ${operation}`);
    }
  }
  return walking.report;
}

const USAGE = `usage: npm run test:errors -- [options]
  --driver NAME   only this driver: mapped, direct
  --phase NAME    only this phase
  --quick         one pair of a call and an errno in ${QUICK_STEP}, others in each run
  --seed N        plays a quick run again (default: random)
  --real          only limits, quotas and disks as a system has them
  --verbose       tell what each pair came to`;

const OPTIONS = {
  driver: { type: 'string' },
  phase: { type: 'string' },
  quick: { type: 'boolean', default: false },
  seed: { type: 'string' },
  real: { type: 'boolean', default: false },
  verbose: { type: 'boolean', default: false },
} as const;

function optionsOf(values: Values): Options {
  const { driver, phase, quick, real, verbose } = values;
  if (driver !== undefined && !DRIVERS.some(({ title }) => title === driver))
    throw new Error(`--driver ${driver}: must be one of ${DRIVERS.map(({ title }) => title).join(', ')}`);
  if (phase !== undefined && !PHASES.some(({ title }) => title === phase))
    throw new Error(`--phase ${phase}: must be one of ${PHASES.map(({ title }) => title).join(', ')}`);
  if (real && (driver !== undefined || phase !== undefined || quick))
    throw new Error('--real: goes with none of --driver, --phase, --quick');
  const seed = values.seed === undefined ? Math.floor(Math.random() * 1000) : Number(values.seed);
  if (values.seed === '' || !Number.isSafeInteger(seed) || seed < 0)
    throw new Error(`--seed ${values.seed ?? ''}: must be a whole number`);
  return { driver, phase, quick, real, verbose, seed };
}

/** How many cases failed. */
async function playReal(): Promise<number> {
  const why = whyNoLimits();
  if (why !== undefined) {
    console.log(`real limits: LEFT OUT, ${why}`);
    return 0;
  }
  if (loadNative() === undefined) console.log('real limits: no memory is mapped here, ENOMEM is LEFT OUT');
  const { cases, findings } = await realLimits(loadNative() !== undefined);
  for (const finding of findings) console.log(`FAILED ${finding}`);
  console.log(
    `real limits: ${cases} connections of programs short of descriptors or memory, ${findings.length} failed`,
  );
  return findings.length;
}

async function main(): Promise<void> {
  const options = commandLine(USAGE, OPTIONS, optionsOf);
  const { driver, phase, quick, seed, real } = options;
  if (quick) console.log(`seed ${seed}`);
  let failed = driver === undefined && phase === undefined ? await playReal() : 0;
  if (!real) {
    const reports = await Promise.all(
      DRIVERS.filter(({ title }) => driver === undefined || driver === title).map((variant) => walk(variant, options)),
    );
    for (const act of cleanups) await act();
    const pairs = reports.reduce((sum, report) => sum + report.pairs, 0);
    const slowestMs = Math.max(...reports.map((report) => report.slowestMs));
    failed += reports.reduce((sum, report) => sum + report.findings.length, 0);
    console.log(
      `${pairs} pairs of a file call and an errno, answers within ${slowestMs.toFixed(0)} ms, ${failed} failed`,
    );
  }
  process.exitCode = failed > 0 ? 1 : 0;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
