/**
 * Node's own net tests: natively, and under the hook where kernel TCP can't connect. What passes there passes over STP.
 */
import fs from 'node:fs';
import path from 'node:path';
import { CliFailure, ExitCode } from '../src/cli/failure';
import { tableLines } from '../src/cli/table';
import { say } from './cache';
import { hasNamespaces } from './namespace';
import { expected, netData, type NetData } from './net-data';
import { type Mode, type Outcome, type Ran, runNetTest, type Setting } from './net-test';
import { nodeBinary } from './node-binary';
import { nodeTests, NODE_TESTS_VERSION } from './node-tests';
import { type Section, type SectionOptions, type SectionResult } from './section';

const FOLDERS = ['parallel', 'sequential'] as const;
const PROGRESS_EACH = 20;

/** A test in a mode, run. */
interface Row {
  readonly test: string;
  readonly mode: Mode;
  ran: Ran;
}

export interface NetSectionOptions extends SectionOptions {
  /** Another version of Node to run the tests with. What fails natively under it may fail over STP too. */
  readonly node: string | undefined;
  /** Where there is no transport, in place of the usual two: finds out which tests need one. */
  readonly withoutTransport: boolean;
  /** Print what each failed test has printed. */
  readonly verbose: boolean;
}

/** The section, as the command line has set it. */
export function netSection(more: { node: string | undefined; withoutTransport: boolean; verbose: boolean }): Section {
  return {
    name: 'net',
    summary: `the net tests of Node ${NODE_TESTS_VERSION}`,
    run: (options) => run({ ...options, ...more }),
  };
}

async function run(options: NetSectionOptions): Promise<SectionResult> {
  if (options.withoutTransport && !hasNamespaces())
    throw new CliFailure(
      'there are no network namespaces here, so there is always a transport',
      ExitCode.failed,
      'Run it as root, or where users may have namespaces (unshare --user --net).',
    );
  const data = netData();
  const setting: Setting = {
    node: nodeBinary(options.cache, options.node ?? NODE_TESTS_VERSION),
    tests: nodeTests(options.cache),
    limitMs: options.limitMs,
    ownNode: options.node === undefined,
  };
  const tests = testFiles(setting.tests).filter((test) => test.includes(options.filter ?? ''));
  if (tests.length === 0) throw new CliFailure(`no net test has "${options.filter ?? ''}" in its name`, ExitCode.usage);
  const modes: readonly Mode[] = options.withoutTransport ? ['none'] : ['native', 'stp'];
  say(
    `net: ${tests.length} tests of Node ${NODE_TESTS_VERSION}` +
      `${options.node === undefined ? '' : ` under Node ${options.node}`}, ` +
      `${modes.join(' and ')}, ${options.jobs} at a time, ${networkOf()}`,
  );
  const rows = tests.flatMap((test) =>
    modes.map((mode): Row => ({ test, mode, ran: { outcome: 'fail', why: 'not run' } })),
  );
  await runAll(rows, setting, options.jobs);
  const wishOf =
    options.node === undefined
      ? (row: Row) => expected(data, row.test, row.mode)
      : (row: Row) => expectedElsewhere(rows, data, row);
  return tell(rows, data, options, wishOf);
}

function networkOf(): string {
  return hasNamespaces()
    ? 'kernel TCP blocked under the hook'
    : 'without network namespaces: STP_NET=stp alone keeps the tests from TCP';
}

function testFiles(directory: string): string[] {
  return FOLDERS.flatMap((folder) =>
    fs
      .readdirSync(path.join(directory, folder))
      .filter((file) => /^test-net-.*\.m?js$/u.test(file))
      .sort()
      .map((file) => `${folder}/${file}`),
  );
}

async function runAll(rows: readonly Row[], setting: Setting, jobs: number): Promise<void> {
  let next = 0;
  const work = async (slot: number): Promise<void> => {
    for (let row = rows[next++]; row !== undefined; row = rows[next++]) {
      row.ran = await runNetTest(setting, row.test, row.mode, slot);
      if (next % PROGRESS_EACH === 0) say(`  ${next} of ${rows.length}`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, (_, slot) => work(slot)));
}

type Wish = (row: Row) => Outcome | undefined;

/** Under another Node: over STP as natively, but for what can't be. */
function expectedElsewhere(rows: readonly Row[], data: NetData, { test, mode }: Row): Outcome | undefined {
  const native = rows.find((row) => row.test === test && row.mode === 'native')?.ran.outcome;
  const known = data.expectations[test]?.stp;
  return mode === 'native' || known !== undefined || native === 'fail' ? undefined : native;
}

/** Otherwise than expected. What a test can't do on this machine says nothing. */
function isOdd(row: Row, wishOf: Wish): boolean {
  const wish = wishOf(row);
  return wish !== undefined && row.ran.outcome !== wish && row.ran.outcome !== 'skip';
}

function tell(rows: readonly Row[], data: NetData, options: NetSectionOptions, wishOf: Wish): SectionResult {
  const odd = rows.filter((row) => isOdd(row, wishOf));
  const lines = options.withoutTransport ? withoutTransportLines(rows) : classLines(rows, data);
  for (const row of odd)
    lines.push(`UNEXPECTED: ${row.test} (${row.mode}): ${row.ran.outcome}, expected ${String(wishOf(row))}`);
  process.stdout.write(`${lines.join('\n')}\n`);
  const shown = options.verbose ? rows.filter((row) => row.ran.outcome === 'fail') : odd;
  for (const { test, mode, ran } of shown) say(`--- ${test} (${mode}): ${ran.outcome}\n${ran.why}`);
  return {
    ok: odd.length === 0,
    data: options.withoutTransport
      ? rows.filter((row) => row.ran.outcome === 'fail').map((row) => row.test)
      : record(rows, data, options),
  };
}

function classOf(data: NetData, test: string): string {
  return data.classes[test] ?? 'unsorted';
}

const isPass = (row: Row): boolean => row.ran.outcome === 'pass';

function classLines(rows: readonly Row[], data: NetData): string[] {
  const classes = [...new Set(rows.map((row) => classOf(data, row.test)))].sort();
  const table = [...classes, undefined].map((name) => {
    const mine = rows.filter((row) => name === undefined || classOf(data, row.test) === name);
    const native = mine.filter((row) => row.mode === 'native');
    const stp = mine.filter((row) => row.mode === 'stp');
    const wish = stp.filter((row) => expected(data, row.test, 'stp') === 'pass');
    return [
      name ?? 'all',
      String(stp.length),
      String(native.filter(isPass).length),
      String(stp.filter(isPass).length),
      String(wish.length),
    ];
  });
  const columns = ['class', 'tests', 'native', 'STP', 'expected'].map((title) =>
    title === 'class' ? { title } : { title, align: 'right' as const },
  );
  const stream = rows.filter((row) => row.mode === 'stp' && classOf(data, row.test) === 'stream');
  const counting = stream.filter((row) => data.needsTransport.has(row.test));
  return [
    ...tableLines(columns, table),
    '',
    `stream over STP: ${stream.filter(isPass).length} of ${stream.length}; ` +
      `of the ${counting.length} that fail without a transport: ${counting.filter(isPass).length}`,
    `network: ${networkOf()}`,
    ...rows
      .filter((row) => row.mode === 'stp' && row.ran.outcome !== 'pass')
      .map((row) => `${row.ran.outcome}: ${row.test} (${classOf(data, row.test)}): ${reasonOf(row, rows, data)}`),
  ];
}

function reasonOf({ test }: Row, rows: readonly Row[], data: NetData): string {
  const native = rows.find((row) => row.test === test && row.mode === 'native')?.ran.outcome;
  return data.expectations[test]?.reason ?? (native === 'pass' ? 'no reason is known' : `natively: ${String(native)}`);
}

function withoutTransportLines(rows: readonly Row[]): string[] {
  return [`${rows.filter(isPass).length} of ${rows.length} tests pass without a transport`];
}

/** For documents: nothing in it changes from run to run. */
function record(rows: readonly Row[], data: NetData, options: NetSectionOptions): unknown {
  const tests = [...new Set(rows.map((row) => row.test))].map((test) => {
    const outcome = (mode: Mode): string | undefined =>
      rows.find((row) => row.test === test && row.mode === mode)?.ran.outcome;
    const reason = data.expectations[test]?.reason;
    return {
      test,
      class: classOf(data, test),
      native: outcome('native'),
      stp: outcome('stp'),
      expected: expected(data, test, 'stp'),
      needsTransport: data.needsTransport.has(test),
      ...(reason === undefined ? {} : { reason }),
    };
  });
  return { node: options.node ?? NODE_TESTS_VERSION, namespaces: hasNamespaces(), tests };
}
