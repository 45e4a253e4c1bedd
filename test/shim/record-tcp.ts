/**
 * `npm run record:tcp`: plays the scenarios of the web over TCP many times under each line of Node, on a quiet machine
 * and on one that is kept busy, and writes what differs from play to play into tcp-traces.json. Exit codes: 0 recorded,
 * 1 not so, 2 the command line is wrong.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import os from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { Command, InvalidArgumentError } from 'commander';
import { defaultCache } from '../../compat/cache';
import { endWith } from '../../compat/end-with';
import { nodeBinary } from '../../compat/node-binary';
import { Pair, type Seen } from './scenario-pair';
import { LINE, readTraces, type Traces, writeTraces } from './tcp-traces';
import { webScenarios } from './web-scenarios';

/** The lines of Node that the project supports. */
const LINES = '20,22,24,26';
const PLAYS = 12;
/** Pairs that play at once. */
const QUIET = 1;
const BUSY = 4;
const BUSY_PROGRAM = 'for(;;);';

interface Options {
  readonly versions: string;
  readonly plays: number;
  readonly add?: boolean;
  readonly here?: boolean;
}

/** Adds to `seen` what is not in it yet. */
function merge(seen: Seen[], more: readonly Seen[]): void {
  for (const one of more) if (!seen.some((each) => isDeepStrictEqual(each, one))) seen.push(one);
}

/** So many plays by so many pairs of each scenario, beside what else runs. */
async function playAll(shown: Map<string, Seen[]>, pairCount: number, plays: number): Promise<void> {
  const pairs = Array.from({ length: pairCount }, () => new Pair('web-actor.js', { env: {}, execArgv: [] }));
  try {
    for (const name of Object.keys(webScenarios)) {
      const seen = shown.get(name) ?? [];
      shown.set(name, seen);
      for (let play = 0; play < plays; play += 1) merge(seen, await Promise.all(pairs.map((pair) => pair.play(name))));
    }
  } finally {
    for (const pair of pairs) pair.kill();
  }
}

/** Records under the Node that this is, which is one line of the file. */
async function recordHere(plays: number, add: boolean): Promise<void> {
  const before = readTraces();
  const shown = new Map<string, Seen[]>(
    Object.entries(add ? (before[LINE] ?? {}) : {}).map(([name, seen]) => [name, [...seen]]),
  );
  await playAll(shown, QUIET, plays);
  const load: ChildProcess[] = os.cpus().map(() => spawn(process.execPath, ['-e', BUSY_PROGRAM], { stdio: 'ignore' }));
  try {
    await playAll(shown, BUSY, plays);
  } finally {
    for (const one of load) one.kill('SIGKILL');
  }
  const varied = [...shown].filter(([, seen]) => seen.length > 1);
  const traces: Traces = { ...before, [LINE]: Object.fromEntries(varied) };
  writeTraces(traces);
  process.stdout.write(
    `Node ${process.versions.node}: ${shown.size} scenarios, ${plays * (QUIET + BUSY)} plays each, ` +
      `${varied.length} that differ\n`,
  );
  for (const [name, seen] of varied) process.stdout.write(`  ${seen.length} traces: ${name}\n`);
}

async function record({ versions, plays, add, here }: Options): Promise<void> {
  if (here === true) {
    await recordHere(plays, add === true);
    return;
  }
  for (const version of versions.split(',')) {
    const more = add === true ? ['--add'] : [];
    execFileSync(nodeBinary(defaultCache(), version), [__filename, '--here', '--plays', String(plays), ...more], {
      stdio: 'inherit',
    });
  }
}

function playCount(text: string): number {
  if (!/^[1-9]\d{0,3}$/u.test(text)) throw new InvalidArgumentError('It must be a whole number from 1 to 9999.');
  return Number(text);
}

const program = new Command('npm run record:tcp --')
  .description('Records what TCP shows in the scenarios of the web where that differs from play to play.')
  .option('--versions <list>', 'lines of Node', LINES)
  .option(
    '--plays <n>',
    'plays of each scenario, by one pair of processes and then by several at once',
    playCount,
    PLAYS,
  )
  .option('--add', 'keep what was recorded before')
  .option('--here', 'only under the Node that runs this')
  .exitOverride()
  .action(record);

if (require.main === module) void endWith('record:tcp', () => program.parseAsync(process.argv));
