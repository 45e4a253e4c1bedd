/**
 * Checks the models of the protocols with spin, each exhaustively at a small size, and that spin finds each mistake
 * that is put into them: `npm run models`. `--model NAME` checks one. Needs `spin` and a C compiler (Debian: spin, gcc,
 * libc6-dev). Ends with `N models, N mistakes, N failed`.
 */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { commandLine } from '../../scripts/command-line';
import { projectRoot } from '../../scripts/project-root';
import { MODELS, type Check, type Model } from './models';

/** Far more than any check needs: a search that runs away ends. */
const LIMIT_MS = 300_000;
const DEPTH = 1_000_000;
const MEMORY_MB = 2000;
/** Searches that run side by side, each in memory of its own. */
const AT_ONCE = 2;

interface Outcome {
  /** What spin calls the error; undefined where there is none. */
  readonly error: string | undefined;
  readonly states: number;
  readonly ms: number;
}

function missing(): string[] {
  return ['spin', 'gcc'].filter(
    (program) => spawnSync(program, [program === 'spin' ? '-V' : '--version']).status !== 0,
  );
}

const run = promisify(execFile);

/** Runs one search; throws where it did not come to its end. */
async function search(
  model: Model,
  check: Check,
  definitions: readonly string[],
  directory: string,
  optimize: string,
): Promise<Outcome> {
  const beganMs = performance.now();
  const flags = definitions.map((name) => `-D${name}`);
  const source = path.join(projectRoot(), 'test', 'models', model.file);
  const options = { cwd: directory, timeout: LIMIT_MS };
  await run('spin', ['-a', ...flags, source], options);
  await run(
    'gcc',
    [
      '-w',
      optimize,
      check === 'progress' ? '-DNP' : '-DSAFETY',
      '-DVECTORSZ=4096',
      `-DMEMLIM=${MEMORY_MB}`,
      '-o',
      'pan',
      'pan.c',
    ],
    options,
  );
  const { stdout: text } = await run('./pan', [`-m${DEPTH}`, ...(check === 'progress' ? ['-l'] : [])], options);
  const states = /(\d\S*) states, stored/.exec(text)?.[1];
  const errors = /errors: (\d+)/.exec(text)?.[1];
  const error = /^pan:1: (.*?)(?: \(at depth \d+\))?$/m.exec(text)?.[1];
  const unfinished = error === undefined && /Search not completed|max search depth|out of memory/i.test(text);
  if (states === undefined || errors === undefined || unfinished)
    throw new Error(`the search did not end: ${text.slice(-2000)}`);
  return {
    error: errors === '0' ? undefined : (error ?? 'an error'),
    states: Number(states),
    ms: performance.now() - beganMs,
  };
}

function figures({ states, ms }: Outcome): string {
  return `${states} states, ${(ms / 1000).toFixed(1)} s`;
}

interface Job {
  readonly title: string;
  readonly right: (outcome: Outcome) => boolean;
  readonly run: (directory: string) => Promise<Outcome>;
}

/** The searches that find nothing, and those that must find a mistake. */
function jobsOf(models: readonly Model[]): { checks: Job[]; mistakes: Job[] } {
  const checks: Job[] = [];
  const mistakes: Job[] = [];
  for (const model of models) {
    for (const { check, definitions } of model.checks) {
      checks.push({
        title: `${model.file}, ${check} ${definitions.join(' ')}`,
        right: ({ error }) => error === undefined,
        // The second level of the compiler takes longer than it saves.
        run: (directory) => search(model, check, definitions, directory, check === 'safety' ? '-O1' : '-O2'),
      });
    }
    for (const { name, check, definitions, shows } of model.mistakes) {
      mistakes.push({
        title: `${model.file} with ${name}`,
        right: ({ error }) => error?.startsWith(shows) === true,
        // Found after few states: the compiler would take longer than the search.
        run: (directory) => search(model, check, [...definitions, name], directory, check === 'safety' ? '-O0' : '-O2'),
      });
    }
  }
  return { checks, mistakes };
}

/** Runs a job and tells its outcome: true where it is what it must be. */
async function tell({ title, right, run: start }: Job, directory: string): Promise<boolean> {
  try {
    const outcome = await start(directory);
    const ok = right(outcome);
    console.log(`${ok ? 'ok' : 'FAILED'} ${title}: ${outcome.error ?? 'no error'}, ${figures(outcome)}`);
    return ok;
  } catch (error) {
    console.log(`FAILED ${title}: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}

/** Takes jobs from the list until none is left; the number that failed. */
async function work(jobs: Job[]): Promise<number> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'stp-models-'));
  let failed = 0;
  try {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) if (!(await tell(job, directory))) failed += 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return failed;
}

async function main(): Promise<number> {
  const wanted = commandLine(
    'usage: npm run models -- [options]\n  --model NAME    only this model',
    { model: { type: 'string' } },
    ({ model }) => {
      const found = MODELS.filter(({ file }) => model === undefined || file === `${model}.pml`);
      if (found.length === 0)
        throw new Error(
          `--model ${String(model)}: must be one of ` +
            MODELS.map(({ file }) => path.basename(file, '.pml')).join(', '),
        );
      return found;
    },
  );
  const lacking = missing();
  if (lacking.length > 0) {
    console.log(`missing: ${lacking.join(', ')} (Debian: apt-get install spin gcc libc6-dev); no model was checked`);
    return 2;
  }
  const { checks, mistakes } = jobsOf(wanted);
  const jobs = [...checks, ...mistakes];
  const failed = await Promise.all(
    Array.from({ length: Math.min(AT_ONCE, os.availableParallelism()) }, () => work(jobs)),
  );
  const failures = failed.reduce((sum, n) => sum + n, 0);
  console.log(`${checks.length} models, ${mistakes.length} mistakes, ${failures} failed`);
  return failures === 0 ? 0 : 1;
}

void main().then((code) => {
  process.exitCode = code;
});
