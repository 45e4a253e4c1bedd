/**
 * Runs schedules of simulated networks until the time is over: `npm run fuzz -- --seconds N --seed S`, on all
 * processors (`--jobs N`), or `--seed S --schedules 1` for one that failed; `--trace N` shows its last N events. Prints
 * the seed of what it finds, with a trace of its end.
 */
import { type ChildProcess, fork } from 'node:child_process';
import os from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { failureOf } from '../test/engine/simulation';
import { newTally, type Tally } from '../test/engine/tally';
import { commandLine } from './command-line';

interface Fuzz {
  readonly seed: number;
  /** From one seed to the next: jobs take turns, so that none plays what another does. */
  readonly seedStep: number;
  readonly schedules: number;
  readonly seconds: number;
  readonly failuresMax: number;
  readonly traceLines: number;
}

interface Outcome {
  readonly done: number;
  readonly failures: number;
  readonly tally: Tally;
  readonly over: boolean;
}

const JOBS_MAX = 256;
const TELL_MS = 1000;
const PROGRESS_MS = 30_000;

function numberOf(name: string, text: string | undefined, otherwise: number, least = 0): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least)
    throw new Error(`--${name} ${text}: must be a whole number from ${least}`);
  return value;
}

/** Errors are part of many schedules, and their stacks a tenth of the work: what fails is run once more with them. */
function quickFailureOf(seed: number, tally: Tally, traceLines: number): string | undefined {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const failure = failureOf(seed, tally, 0);
  Error.stackTraceLimit = stackTraceLimit;
  return failure === undefined
    ? undefined
    : (failureOf(seed, newTally(), traceLines) ?? `NOT DETERMINISTIC: ${failure}`);
}

/** Tells how far it is from time to time, and at the end. */
async function run(
  { seed, seedStep, schedules, seconds, failuresMax, traceLines }: Fuzz,
  tell: (outcome: Outcome) => void,
): Promise<void> {
  const tally = newTally();
  const endMs = performance.now() + seconds * 1000;
  let toldMs = performance.now();
  let done = 0;
  let failures = 0;
  while (done < schedules && performance.now() < endMs && failures < failuresMax) {
    const failing = seed + done * seedStep;
    const failure = quickFailureOf(failing, tally, traceLines);
    if (failure !== undefined) {
      failures++;
      console.log(`FAILED. Again with: npm run fuzz -- --seed ${failing} --schedules 1\n${failure}`);
    }
    done++;
    if (performance.now() - toldMs < TELL_MS) continue;
    toldMs = performance.now();
    tell({ done, failures, tally, over: false });
    await setImmediate();
  }
  tell({ done, failures, tally, over: true });
}

/**
 * Runs a share of the schedules in a process of its own; '' or why it came to no end. What it told before counts all
 * the same.
 */
function runElsewhere(fuzz: Fuzz, tell: (outcome: Outcome) => void, children: Set<ChildProcess>): Promise<string> {
  const child = fork(__filename, ['--job'], { serialization: 'advanced' });
  children.add(child);
  return new Promise((resolve) => {
    let over = false;
    child.on('message', (outcome: Outcome) => {
      over = outcome.over;
      tell(outcome);
    });
    child.once('error', (error) => {
      resolve(error.message);
    });
    child.once('close', (code, signal) => {
      resolve(over || !children.delete(child) ? '' : `a job ended with ${signal ?? String(code)}`);
    });
    child.send(fuzz);
  });
}

/** A job: runs what it is sent. */
function serve(): void {
  process.once('message', (fuzz: Fuzz) => {
    void run(fuzz, (outcome) => process.send?.(outcome)).then(() => {
      process.disconnect();
    });
  });
}

function join(outcomes: readonly Outcome[]): Outcome {
  const tally = newTally();
  for (const outcome of outcomes)
    for (const name of Object.keys(tally) as (keyof Tally)[]) tally[name] += outcome.tally[name];
  const sum = (name: 'done' | 'failures'): number => outcomes.reduce((all, outcome) => all + outcome[name], 0);
  return { done: sum('done'), failures: sum('failures'), tally, over: outcomes.every(({ over }) => over) };
}

const USAGE = `usage: npm run fuzz -- [options]
  --seconds N     run schedules for so long (default 10)
  --schedules N   run so many instead
  --seed N        begin with this one; with --schedules 1 plays one again (default: random, or STP_SEED)
  --failures N    end after so many (default 1)
  --trace N       show so many of the last events of one that failed (default 60)
  --jobs N        so many processes at a time (default: one for each processor)`;

const OPTIONS = {
  seconds: { type: 'string' },
  seed: { type: 'string' },
  schedules: { type: 'string' },
  failures: { type: 'string' },
  trace: { type: 'string' },
  jobs: { type: 'string' },
} as const;

function plan(values: Partial<Record<keyof typeof OPTIONS, string>>): { fuzz: Fuzz; jobs: number } {
  const seed = numberOf('seed', values.seed ?? process.env['STP_SEED'], Math.floor(Math.random() * 0x4000_0000));
  const schedules = numberOf('schedules', values.schedules, Infinity, 1);
  const jobs = Math.min(JOBS_MAX, schedules, numberOf('jobs', values.jobs, os.availableParallelism(), 1));
  const fuzz: Fuzz = {
    seed,
    seedStep: jobs,
    schedules,
    seconds: numberOf('seconds', values.seconds, values.schedules === undefined ? 10 : Infinity),
    failuresMax: numberOf('failures', values.failures, 1),
    traceLines: numberOf('trace', values.trace, 60),
  };
  return { fuzz, jobs };
}

async function main(): Promise<void> {
  const { fuzz, jobs } = commandLine(USAGE, OPTIONS, plan);
  const { seed, schedules, failuresMax } = fuzz;
  console.log(`base seed ${seed}, ${jobs} at a time`);
  const beganMs = performance.now();
  const outcomes: Outcome[] = [];
  const children = new Set<ChildProcess>();
  const tell =
    (job: number) =>
    (outcome: Outcome): void => {
      outcomes[job] = outcome;
      if (join(Object.values(outcomes)).failures < failuresMax) return;
      // Enough is known: the rest is not waited for.
      for (const child of children) child.kill();
      children.clear();
    };
  const rate = ({ done, failures }: Outcome): string =>
    `${done} schedules, ${failures} failed, ${((done * 1000) / (performance.now() - beganMs)).toFixed(0)} a second`;
  const progress = setInterval(() => {
    console.log(`  ... ${rate(join(Object.values(outcomes)))}`);
  }, PROGRESS_MS);
  const shares = Array.from({ length: jobs }, (_, job) => ({
    ...fuzz,
    seed: seed + job,
    schedules: Math.ceil((schedules - job) / jobs),
  }));
  const broken = await Promise.all(
    jobs > 1
      ? shares.map((share, job) => runElsewhere(share, tell(job), children))
      : [run(fuzz, tell(0)).then(() => '')],
  );
  clearInterval(progress);
  const all = join(Object.values(outcomes));
  console.log(JSON.stringify(all.tally));
  for (const why of broken) if (why !== '') console.log(`FAILED ${why}`);
  console.log(rate(all));
  process.exitCode = all.failures > 0 || broken.some((why) => why !== '') ? 1 : 0;
}

if (process.argv[2] === '--job' && process.send !== undefined) serve();
else
  main().catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  });
