/**
 * Checks the models of the protocols with spin, each exhaustively at a small size, and that spin finds each mistake that is put into them:
 * `npm run models`. `--model NAME` checks one. Needs `spin` and a C compiler (Debian: spin, gcc, libc6-dev). Ends with `N models, N mistakes, N failed`.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { commandLine } from '../../scripts/command-line';
import { projectRoot } from '../../scripts/project-root';
import { MODELS, type Check, type Model } from './models';

/** Far more than any check needs: a search that runs away ends. */
const LIMIT_MS = 120_000;
const DEPTH = 1_000_000;
const MEMORY_MB = 2000;

interface Outcome {
  /** What spin calls the error; undefined where there is none. */
  readonly error: string | undefined;
  readonly states: number;
  readonly ms: number;
}

function missing(): string[] {
  return ['spin', 'gcc'].filter((program) => spawnSync(program, [program === 'spin' ? '-V' : '--version']).status !== 0);
}

/** Runs one search; throws where it did not come to its end. */
function search(model: Model, check: Check, definitions: readonly string[], directory: string, optimize: string): Outcome {
  const beganMs = performance.now();
  const flags = definitions.map((name) => `-D${name}`);
  const source = path.join(projectRoot(), 'test', 'models', model.file);
  const options = { cwd: directory, encoding: 'utf8' as const, timeout: LIMIT_MS };
  execFileSync('spin', ['-a', ...flags, source], options);
  execFileSync('gcc', ['-w', optimize, check === 'progress' ? '-DNP' : '-DSAFETY', '-DVECTORSZ=4096', `-DMEMLIM=${MEMORY_MB}`, '-o', 'pan', 'pan.c'], options);
  const run = spawnSync('./pan', [`-m${DEPTH}`, ...(check === 'progress' ? ['-l'] : [])], options);
  const text = run.stdout;
  const states = /(\d\S*) states, stored/.exec(text)?.[1];
  const errors = /errors: (\d+)/.exec(text)?.[1];
  const error = /^pan:1: (.*?)(?: \(at depth \d+\))?$/m.exec(text)?.[1];
  const unfinished = error === undefined && /Search not completed|max search depth|out of memory/i.test(text);
  if (run.status !== 0 || states === undefined || errors === undefined || unfinished) throw new Error(`the search did not end: ${run.error?.message ?? text.slice(-2000)}`);
  return { error: errors === '0' ? undefined : (error ?? 'an error'), states: Number(states), ms: performance.now() - beganMs };
}

function figures({ states, ms }: Outcome): string {
  return `${states} states, ${(ms / 1000).toFixed(1)} s`;
}

class Tally {
  models = 0;
  mistakes = 0;
  failed = 0;

  check(title: string, right: (outcome: Outcome) => boolean, run: () => Outcome): void {
    try {
      const outcome = run();
      const ok = right(outcome);
      if (!ok) this.failed += 1;
      console.log(`${ok ? 'ok' : 'FAILED'} ${title}: ${outcome.error ?? 'no error'}, ${figures(outcome)}`);
    } catch (error) {
      this.failed += 1;
      console.log(`FAILED ${title}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  walk(model: Model, directory: string): void {
    for (const { check, definitions } of model.checks) {
      this.models += 1;
      this.check(`${model.file}, ${check} ${definitions.join(' ')}`, ({ error }) => error === undefined, () => search(model, check, definitions, directory, '-O2'));
    }
    for (const { name, check, definitions, shows } of model.mistakes) {
      this.mistakes += 1;
      // Found after few states: the compiler would take longer than the search.
      const optimize = check === 'safety' ? '-O0' : '-O2';
      this.check(`${model.file} with ${name}`, ({ error }) => error?.startsWith(shows) === true, () => search(model, check, [...definitions, name], directory, optimize));
    }
  }
}

function main(): number {
  const wanted = commandLine('usage: npm run models -- [options]\n  --model NAME    only this model', { model: { type: 'string' } }, ({ model }) => {
    const found = MODELS.filter(({ file }) => model === undefined || file === `${model}.pml`);
    if (found.length === 0) throw new Error(`--model ${String(model)}: must be one of ${MODELS.map(({ file }) => path.basename(file, '.pml')).join(', ')}`);
    return found;
  });
  const lacking = missing();
  if (lacking.length > 0) {
    console.log(`missing: ${lacking.join(', ')} (Debian: apt-get install spin gcc libc6-dev); no model was checked`);
    return 2;
  }
  const directory = mkdtempSync(path.join(os.tmpdir(), 'stp-models-'));
  const tally = new Tally();
  try {
    for (const model of wanted) tally.walk(model, directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  console.log(`${tally.models} models, ${tally.mistakes} mistakes, ${tally.failed} failed`);
  return tally.failed === 0 ? 0 : 1;
}

process.exitCode = main();
