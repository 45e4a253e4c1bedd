/** What came of Node's own tests: for people, and as a record for documents. */
import { tableLines } from '../src/cli/table';
import { say } from './cache';
import { hasNamespaces } from './namespace';
import { expected, type Kind, type NodeData } from './node-data';
import { type Mode, type Outcome, type Ran } from './node-test';
import { NODE_TESTS_VERSION } from './node-tests';
import { type SectionResult } from './section';

/** A test in a mode, run. */
export interface Row {
  readonly test: string;
  readonly mode: Mode;
  ran: Ran;
}

/** What came of a group, for documents: nothing in it changes from run to run. */
export interface NodeRecord {
  readonly node: string;
  readonly namespaces: boolean;
  readonly tests: readonly {
    readonly test: string;
    readonly class?: string;
    readonly native: string;
    readonly stp: string;
    readonly needsTransport?: boolean;
    readonly kind?: Kind;
    readonly reason?: string;
  }[];
}

/** What of the command line the report depends on. */
export interface Told {
  readonly node: string | undefined;
  readonly withoutTransport: boolean;
  readonly verbose: boolean;
}

export function networkOf(): string {
  return hasNamespaces()
    ? 'kernel TCP blocked under the hook'
    : 'without network namespaces: STP_NET=stp alone keeps the tests from TCP';
}

type Expectation = (row: Row) => Outcome | undefined;

/** Under another Node: over STP as natively, but for what can't be. */
export function expectedElsewhere(rows: readonly Row[], data: NodeData, { test, mode }: Row): Outcome | undefined {
  const native = nativeOf(test, rows);
  const known = data.expectations[test]?.stp;
  return mode === 'native' || known !== undefined || native === 'fail' ? undefined : native;
}

/** Otherwise than expected. What a test can't do on this machine says nothing, where it can't natively either. */
function isOdd(row: Row, rows: readonly Row[], expectationOf: Expectation): boolean {
  const expectation = expectationOf(row);
  if (expectation === undefined || row.ran.outcome === expectation) return false;
  return row.ran.outcome !== 'skip' || (row.mode === 'stp' && nativeOf(row.test, rows) === 'pass');
}

function nativeOf(test: string, rows: readonly Row[]): Outcome | undefined {
  return rows.find((row) => row.test === test && row.mode === 'native')?.ran.outcome;
}

export function tell(rows: readonly Row[], data: NodeData, options: Told, expectationOf: Expectation): SectionResult {
  const odd = rows.filter((row) => isOdd(row, rows, expectationOf));
  const lines = options.withoutTransport ? withoutTransportLines(rows) : classLines(rows, data);
  for (const row of odd)
    lines.push(`UNEXPECTED: ${row.test} (${row.mode}): ${row.ran.outcome}, expected ${String(expectationOf(row))}`);
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

function classOf(data: NodeData, test: string): string {
  return data.classes[test] ?? 'unsorted';
}

const isPass = (row: Row): boolean => row.ran.outcome === 'pass';

function classLines(rows: readonly Row[], data: NodeData): string[] {
  const sorted = Object.keys(data.classes).length > 0;
  const classes = sorted ? [...new Set(rows.map((row) => classOf(data, row.test)))].sort() : [];
  const table = [...classes, undefined].map((name) => {
    const mine = rows.filter((row) => name === undefined || classOf(data, row.test) === name);
    const native = mine.filter((row) => row.mode === 'native');
    const stp = mine.filter((row) => row.mode === 'stp');
    const wanted = stp.filter((row) => expected(data, row.test, 'stp') === 'pass');
    return [
      name ?? 'all',
      String(stp.length),
      String(native.filter(isPass).length),
      String(stp.filter(isPass).length),
      String(wanted.length),
    ];
  });
  const columns = ['class', 'tests', 'native', 'STP', 'expected'].map((title) =>
    title === 'class' ? { title } : { title, align: 'right' as const },
  );
  const stp = rows.filter((row) => row.mode === 'stp' && nativeOf(row.test, rows) === 'pass');
  const counting = stp.filter((row) => data.needsTransport.has(row.test));
  return [
    ...tableLines(columns, table),
    '',
    `of what passes natively: ${shareOf(stp)} over STP; of that what fails without a transport: ${shareOf(counting)}`,
    `network: ${networkOf()}`,
    ...rows
      .filter((row) => row.mode === 'stp' && row.ran.outcome !== 'pass')
      .map((row) => `${row.ran.outcome}: ${row.test}: ${reasonOf(row, rows, data)}`),
  ];
}

function shareOf(rows: readonly Row[]): string {
  const passed = rows.filter(isPass).length;
  return `${passed} of ${rows.length}${rows.length === 0 ? '' : ` (${((100 * passed) / rows.length).toFixed(1)} %)`}`;
}

function reasonOf({ test }: Row, rows: readonly Row[], data: NodeData): string {
  const native = nativeOf(test, rows);
  return data.expectations[test]?.reason ?? (native === 'pass' ? 'no reason is known' : `natively: ${String(native)}`);
}

function withoutTransportLines(rows: readonly Row[]): string[] {
  return [`${rows.filter(isPass).length} of ${rows.length} tests pass without a transport`];
}

/** What a test says of why it can't run here. */
function skipReason(rows: readonly Row[], test: string): string | undefined {
  const native = rows.find((row) => row.test === test && row.mode === 'native')?.ran;
  return native?.outcome === 'skip' ? /^1\.\.0 # Skipped: (.*)$/mu.exec(native.why)?.[1] : undefined;
}

function record(rows: readonly Row[], data: NodeData, options: Told): NodeRecord {
  const tests = [...new Set(rows.map((row) => row.test))].map((test) => {
    const outcome = (mode: Mode): string =>
      rows.find((row) => row.test === test && row.mode === mode)?.ran.outcome ?? 'not run';
    const expectation = data.expectations[test];
    const skipped = skipReason(rows, test);
    const name = data.classes[test];
    return {
      test,
      ...(name === undefined ? {} : { class: name }),
      native: outcome('native'),
      stp: outcome('stp'),
      ...(data.needsTransport.has(test) ? { needsTransport: true } : {}),
      ...(skipped === undefined ? {} : { reason: skipped }),
      ...(expectation === undefined ? {} : { kind: expectation.kind, reason: expectation.reason }),
    };
  });
  return { node: options.node ?? NODE_TESTS_VERSION, namespaces: hasNamespaces(), tests };
}
