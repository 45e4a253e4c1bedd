/** The benches run, so that they do not rot; what they measure so briefly means nothing and is not looked at. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { canShareCore } from '../../bench/crowd';

const BENCH = path.join(__dirname, '..', '..', 'bench', 'bench.js');

interface Output {
  readonly machine: { readonly node: string };
  readonly results: readonly {
    readonly name: string;
    readonly samples: Readonly<Record<string, readonly number[]>>;
    readonly floor?: number;
    readonly overTcp?: number;
  }[];
}

/** What has a floor: its http needs no more than Node, its wake-ups need FIFOs. */
const FLOORS: readonly string[] = [
  'http keep-alive, 1 connection',
  'http keep-alive, 50 connections',
  'http keep-alive, 500 connections',
  ...(process.platform === 'win32'
    ? []
    : ['round trip after 5 ms of silence, p50', 'round trip after 5 ms of silence, p99']),
];

function bench(...args: string[]): ReturnType<typeof spawnSync> & { readonly out: string; readonly err: string } {
  const ended = spawnSync(process.execPath, [BENCH, ...args], { encoding: 'utf8' });
  return { ...ended, out: ended.stdout, err: ended.stderr };
}

void t.test('every bench runs over every transport and gives positive figures', (t) => {
  const directory = t.testdir();
  const { status, out, err } = bench('--quick', '--json', '--out', directory);
  t.equal(status, 0, err);
  const { machine, results } = JSON.parse(out) as Output;
  t.equal(machine.node, process.version);
  t.equal(results.length, canShareCore() ? 32 : 31);
  t.same(JSON.parse(fs.readFileSync(path.join(directory, 'results.json'), 'utf8')), { machine, results });
  t.match(fs.readFileSync(path.join(directory, 'results.md'), 'utf8'), 'start of a process');
  const svg = fs.readFileSync(path.join(directory, 'results.svg'), 'utf8');
  t.match(svg, /^<svg /);
  for (const { name } of results) t.ok(svg.includes(name), `${name} is in the plot`);
  for (const result of results) {
    for (const transport of ['tcp', 'unix', 'stp'])
      t.ok(
        result.samples[transport]?.every((value) => value > 0),
        `${result.name} over ${transport}`,
      );
    t.ok((result.overTcp ?? 0) > 0, `${result.name} has a ratio`);
    t.same(result.samples['floor'], result.floor === undefined ? [] : [result.floor], `${result.name}: its floor`);
  }
  const floored = results.filter(({ floor = 0 }) => floor > 0).map(({ name }) => name);
  t.same(floored.sort(), [...FLOORS].sort(), 'these have a floor, the others none');
  t.end();
});

void t.test('a table for people has a row for each figure', (t) => {
  const { status, out, err } = bench('--quick', '--only', 'round-trip', '--over', 'tcp', '--over', 'unix');
  t.equal(status, 0, err);
  t.match(out, /round trip 64 B, p50 +us +[\d.]+ +[\d.]+ +- +-/);
  t.notMatch(out, 'http');
  t.match(
    bench('--quick', '--markdown', '--busy', '1', '--only', 'round-trip', '--over', 'tcp').out,
    /^\| round trip 64 B, p99 \| us \| [\d.,]+ \| - \|/m,
  );
  t.end();
});

void t.test('the floor has a column of its own, empty where there is none', (t) => {
  const over = ['--quick', '--only', 'round-trip', '--only', 'http-1', '--over', 'tcp', '--over', 'floor'];
  const table = bench(...over);
  t.equal(table.status, 0, table.err);
  t.match(table.out, /^ +unit +tcp +unix +stp +stp\/tcp +stp\/unix +floor +spread of stp$/m);
  t.match(table.out, /^round trip 64 B, p50 +us +[\d.,]+( +-){6}$/m);
  t.match(table.out, /^http keep-alive, 1 connection +requests\/s +[\d.,]+( +-){4} +[\d.,]+ +-$/m);
  const { out } = bench('--markdown', ...over);
  t.match(out, /^\| \| unit \| TCP \| Unix socket \| STP \| to TCP \| to Unix \| floor \|\n\|( -+:? \|){8}$/m);
  t.match(out, /^\| round trip 64 B, p50 \| us \| [\d.,]+ \|( - \|){5}$/m);
  t.match(out, /^\| http keep-alive, 1 connection \| requests\/s \| [\d.,]+ \|( - \|){4} [\d.,]+ \|$/m);
  const alone = bench('--quick', '--json', '--only', 'round-trip', '--over', 'floor');
  t.equal(alone.status, 0, alone.err);
  t.same((JSON.parse(alone.out) as Output).results, [], 'no row of what has no figure at all');
  t.match(bench('--help').out, 'floor: what Node itself needs');
  t.end();
});

void t.test('a wrong option is told with what would be right', (t) => {
  for (const [args, told] of [
    [['--only', 'nothing'], /--only nothing: must be one of round-trip/],
    [['--over', 'udp'], /--over udp: must be one of tcp, unix, stp, floor/],
    [['--rounds', '0'], /--rounds 0: must be 1 to 99/],
    [['--busy', 'x'], /--busy x: must be 0 to 99/],
    [['--out', ''], /--out: must name a directory/],
    [['--driver', 'fast'], /--driver fast: must be auto, mapped or direct/],
    [['--fast'], /Unknown option '--fast'/],
  ] as const) {
    const { status, err } = bench(...args);
    t.equal(status, 2);
    t.match(err, told);
    t.match(err, 'usage: npm run bench');
  }
  t.end();
});
