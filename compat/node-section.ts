/** Node's own tests: natively, and under the hook where kernel TCP can't connect. What passes there passes over STP. */
import { CliFailure, ExitCode } from '../src/cli/failure';
import { say } from './cache';
import { hasNamespaces } from './namespace';
import { nodeBinary } from './node-binary';
import { expected, nodeData, type NodeData } from './node-data';
import { type NodeGroup, testFiles } from './node-groups';
import { expectedElsewhere, networkOf, type Row, tell } from './node-report';
import { type Mode, runNodeTest, type Setting } from './node-test';
import { nodeTests, NODE_TESTS_VERSION } from './node-tests';
import { type Section, type SectionOptions, type SectionResult } from './section';

const PROGRESS_EACH = 20;

export interface NodeSettings {
  /** Another version of Node to run the tests with. What fails natively under it may fail over STP too. */
  readonly node: string | undefined;
  /** Where there is no transport, in place of the usual two: finds out which tests need one. */
  readonly withoutTransport: boolean;
  /** Print what each failed test has printed. */
  readonly verbose: boolean;
  /** A sample: of the files in order of name, only each so-manieth. */
  readonly every: number;
}

type NodeSectionOptions = SectionOptions & NodeSettings;

/** The section of a group, as the command line has set it. */
export function nodeSection(group: NodeGroup, settings: NodeSettings): Section {
  const only = group.socketsOnly === true ? ', those with sockets,' : '';
  return {
    name: group.name,
    summary: `${group.prefix}*${only} of Node ${NODE_TESTS_VERSION}`,
    run: (options) => run(group, { ...options, ...settings }),
  };
}

async function run(group: NodeGroup, options: NodeSectionOptions): Promise<SectionResult> {
  if (options.withoutTransport && !hasNamespaces())
    throw new CliFailure(
      'there are no network namespaces here, so there is always a transport',
      ExitCode.failed,
      'Run it as root, or where users may have namespaces (unshare --user --net).',
    );
  const data = nodeData(group.name);
  const setting: Setting = {
    node: nodeBinary(options.cache, options.node ?? NODE_TESTS_VERSION),
    tests: nodeTests(options.cache),
    limitMs: options.limitMs,
    ownNode: options.node === undefined,
  };
  const all = testFiles(setting.tests, group);
  checkNames(group.name, data, all);
  const tests = chosen(all, options);
  if (tests.length === 0) {
    say(`${group.name}: no test has "${options.filter ?? ''}" in its name`);
    return { ok: true, data: undefined };
  }
  const modes: readonly Mode[] = options.withoutTransport ? ['none'] : ['native', 'stp'];
  const under = options.node === undefined ? '' : ` under Node ${options.node}`;
  say(
    [
      `${group.name}: ${tests.length} tests of Node ${NODE_TESTS_VERSION}${under}`,
      modes.join(' and '),
      `${options.jobs} at a time`,
      networkOf(),
    ].join(', '),
  );
  const rows = tests.flatMap((test) =>
    modes.map((mode): Row => ({ test, mode, ran: { outcome: 'fail', why: 'not run' } })),
  );
  await runAll(rows, setting, options.jobs);
  const expectationOf =
    options.node === undefined
      ? (row: Row) => expected(data, row.test, row.mode)
      : (row: Row) => expectedElsewhere(rows, data, row);
  return tell(rows, data, options, expectationOf);
}

/** An expectation of a test that is not there would never be looked at. */
function checkNames(group: string, data: NodeData, tests: readonly string[]): void {
  const odd = Object.keys(data.expectations).find((test) => !tests.includes(test));
  if (odd !== undefined)
    throw new Error(`compat/node/${group}/expectations.json: ${odd} is no test of Node ${NODE_TESTS_VERSION}`);
}

function chosen(tests: readonly string[], { filter = '', every }: NodeSectionOptions): string[] {
  return tests.filter((test, index) => test.includes(filter) && index % every === 0);
}

async function runAll(rows: readonly Row[], setting: Setting, jobs: number): Promise<void> {
  let next = 0;
  const work = async (slot: number): Promise<void> => {
    for (let row = rows[next++]; row !== undefined; row = rows[next++]) {
      row.ran = await runNodeTest(setting, row.test, row.mode, slot);
      if (next % PROGRESS_EACH === 0) say(`  ${next} of ${rows.length}`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, (_, slot) => work(slot)));
}
