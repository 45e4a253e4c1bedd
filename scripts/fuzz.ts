/**
 * Runs schedules of simulated networks until the time is over: `npm run fuzz -- --seconds N --seed S`, on all processors (`--jobs N`), or
 * `--seed S --schedules 1` for one that failed; `--trace N` shows its last N events. Prints the seed of what it finds, with a trace of its end.
 */
import { type ChildProcess, fork } from 'node:child_process';
import os from 'node:os';
import { failureOf } from '../test/engine/simulation';
import { newTally, type Tally } from '../test/engine/tally';
import { commandLine } from './command-line';

interface Fuzz {
  readonly seed: number;
  readonly schedules: number;
  readonly seconds: number;
  readonly failuresMax: number;
  readonly traceLines: number;
}

interface Outcome {
  readonly done: number;
  readonly failures: number;
  readonly tally: Tally;
}

const JOBS_MAX = 256;
/** Seeds of one job come one after another, and far from those of the next. */
const SEEDS_PER_JOB = 10_000_000;

function numberOf(name: string, text: string | undefined, otherwise: number, least = 0): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least) throw new Error(`--${name} ${text}: must be a whole number from ${least}`);
  return value;
}

/** Errors are part of many schedules, and their stacks a tenth of the work: what fails is run once more with them. */
function quickFailureOf(seed: number, tally: Tally, traceLines: number): string | undefined {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const failure = failureOf(seed, tally, 0);
  Error.stackTraceLimit = stackTraceLimit;
  return failure === undefined ? undefined : (failureOf(seed, newTally(), traceLines) ?? `NOT DETERMINISTIC: ${failure}`);
}

function run({ seed, schedules, seconds, failuresMax, traceLines }: Fuzz): Outcome {
  const tally = newTally();
  const endMs = performance.now() + seconds * 1000;
  let done = 0;
  let failures = 0;
  while (done < schedules && performance.now() < endMs && failures < failuresMax) {
    const failure = quickFailureOf(seed + done, tally, traceLines);
    if (failure !== undefined) {
      failures++;
      console.log(`FAILED. Again with: npm run fuzz -- --seed ${seed + done} --schedules 1\n${failure}`);
    }
    done++;
  }
  return { done, failures, tally };
}

/** Runs a share of the schedules in a process of its own. */
function runElsewhere(fuzz: Fuzz): Promise<Outcome> {
  const numbers = { seed: fuzz.seed, schedules: fuzz.schedules, seconds: fuzz.seconds, failures: fuzz.failuresMax, trace: fuzz.traceLines };
  const args = Object.entries(numbers).flatMap(([name, value]) => (Number.isFinite(value) ? [`--${name}`, String(value)] : []));
  return outcomeOf(fork(__filename, [...args, '--jobs', '1']));
}

function outcomeOf(child: ChildProcess): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    child.once('message', (outcome: Outcome) => { resolve(outcome); });
    child.once('error', reject);
    child.once('exit', (code, signal) => { reject(new Error(`a job ended with ${signal ?? String(code)}`)); });
  });
}

function join(outcomes: readonly Outcome[]): Outcome {
  const tally = newTally();
  for (const outcome of outcomes) for (const name of Object.keys(tally) as (keyof Tally)[]) tally[name] += outcome.tally[name];
  return { done: outcomes.reduce((sum, { done }) => sum + done, 0), failures: outcomes.reduce((sum, { failures }) => sum + failures, 0), tally };
}

const USAGE = `usage: npm run fuzz -- [options]
  --seconds N     run schedules for so long (default 10)
  --schedules N   run so many instead
  --seed N        begin with this one; with --schedules 1 plays one again (default: random, or STP_SEED)
  --failures N    end after so many (default 1)
  --trace N       show so many of the last events of one that failed (default 60)
  --jobs N        so many processes at a time (default: one for each processor)`;

const OPTIONS = {
  seconds: { type: 'string' }, seed: { type: 'string' }, schedules: { type: 'string' }, failures: { type: 'string' }, trace: { type: 'string' }, jobs: { type: 'string' },
} as const;

function plan(values: Partial<Record<keyof typeof OPTIONS, string>>): { fuzz: Fuzz; jobs: number } {
  const seed = numberOf('seed', values.seed ?? process.env['STP_SEED'], Math.floor(Math.random() * 0x4000_0000));
  const schedules = numberOf('schedules', values.schedules, Infinity);
  const jobs = Math.min(JOBS_MAX, schedules, numberOf('jobs', values.jobs, os.availableParallelism(), 1));
  const fuzz: Fuzz = {
    seed,
    schedules: Math.ceil(schedules / Math.max(1, jobs)),
    seconds: numberOf('seconds', values.seconds, values.schedules === undefined ? 10 : Infinity),
    failuresMax: numberOf('failures', values.failures, 1),
    traceLines: numberOf('trace', values.trace, 60),
  };
  return { fuzz, jobs };
}

async function main(): Promise<void> {
  const { fuzz, jobs } = commandLine(USAGE, OPTIONS, plan);
  const { seed } = fuzz;
  if (process.send !== undefined) {
    process.send(run(fuzz), () => { process.disconnect(); });
    return;
  }
  console.log(`base seed ${seed}, ${jobs} at a time`);
  const beganMs = performance.now();
  const shares = Array.from({ length: jobs }, (_, i) => ({ ...fuzz, seed: seed + i * SEEDS_PER_JOB }));
  const { done, failures, tally } = join(jobs > 1 ? await Promise.all(shares.map(runElsewhere)) : [run(fuzz)]);
  const seconds = (performance.now() - beganMs) / 1000;
  console.log(JSON.stringify(tally));
  console.log(`${done} schedules, ${failures} failed, ${(done / seconds).toFixed(0)} a second`);
  process.exitCode = failures > 0 ? 1 : 0;
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
