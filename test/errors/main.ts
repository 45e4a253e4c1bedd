/** Lets every file call fail with every errno that it can fail with, in every phase, with both drivers: `npm run test:errors`. `--driver NAME` and `--phase NAME` walk a part. */
import { commandLine } from '../../scripts/command-line';
import { DRIVERS, MAPPED, type Variant } from '../calls/variants';
import { UNREACHED } from './pairs';
import { PHASES } from './phases';
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
  readonly verbose: boolean;
}

async function walk(variant: Variant, { phase: only, quick, verbose }: Options): Promise<WalkReport> {
  const scene = await Scene.open({ teardown: (act) => { cleanups.unshift(act); } }, variant);
  const walking = new Walk(scene, verbose ? console.log : (): void => undefined);
  // Each run begins with another pair, so that many quick ones try them all.
  const first = Math.floor(Math.random() * QUICK_STEP);
  for (const phase of PHASES) {
    if (only !== undefined && only !== phase.title) continue;
    const beganMs = performance.now();
    const before = walking.report.pairs;
    await walking.phase(phase, (pair) => !quick || (pair + first) % QUICK_STEP === 0);
    console.log(`${variant.title}: ${phase.title}, ${walking.report.pairs - before} pairs, ${((performance.now() - beganMs) / 1000).toFixed(1)} s, ${await scene.descriptors()} descriptors open`);
  }
  if (only === undefined) {
    for (const operation of await scene.client.run((kit) => [...kit.faults.operations])) {
      const mappedOnly = variant !== MAPPED && MAPPED_ONLY.includes(operation);
      if (!walking.report.reached.has(operation) && UNREACHED[operation] === undefined && !mappedOnly) walking.find(`no phase comes to ${operation}`);
    }
  }
  return walking.report;
}

const USAGE = `usage: npm run test:errors -- [options]
  --driver NAME   only this driver: mapped, direct
  --phase NAME    only this phase
  --quick         one pair of a call and an errno in ${QUICK_STEP}, others in each run
  --verbose       tell what each pair came to`;

const OPTIONS = { driver: { type: 'string' }, phase: { type: 'string' }, quick: { type: 'boolean', default: false }, verbose: { type: 'boolean', default: false } } as const;

async function main(): Promise<void> {
  const { driver, phase, quick, verbose } = commandLine(USAGE, OPTIONS, (values) => {
    if (values.driver !== undefined && !DRIVERS.some(({ title }) => title === values.driver)) throw new Error(`--driver ${values.driver}: must be one of ${DRIVERS.map(({ title }) => title).join(', ')}`);
    if (values.phase !== undefined && !PHASES.some(({ title }) => title === values.phase)) throw new Error(`--phase ${values.phase}: must be one of ${PHASES.map(({ title }) => title).join(', ')}`);
    return { driver: values.driver, phase: values.phase, quick: values.quick, verbose: values.verbose };
  });
  const reports = await Promise.all(DRIVERS.filter(({ title }) => driver === undefined || driver === title).map((variant) => walk(variant, { driver, phase, quick, verbose })));
  for (const act of cleanups) await act();
  const pairs = reports.reduce((sum, report) => sum + report.pairs, 0);
  const failed = reports.reduce((sum, report) => sum + report.findings.length, 0);
  const slowestMs = Math.max(...reports.map((report) => report.slowestMs));
  console.log(`${pairs} pairs of a file call and an errno, answers within ${slowestMs.toFixed(0)} ms, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
