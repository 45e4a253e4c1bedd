/** The parts of compat-matrix.md that tell of Node's own tests: a summary in front, and all that does not pass. */
import { KINDS, type Kind } from './node-data';
import { NODE_GROUPS } from './node-groups';
import { type NodeRecord } from './node-report';
import { known, OTHER_LINES, result, table } from './matrix-parts';

type Test = NodeRecord['tests'][number];

/** What another runtime publishes of files of the same names; of what passes natively here. */
interface Published {
  readonly source: string;
  readonly listed: Readonly<Record<string, number>>;
}

/** What a class of Node's tests is about. */
const CLASSES: Readonly<Record<string, string>> = {
  stream: 'what any transport should satisfy',
  'api-only': 'arguments and objects, no bytes',
  internals: 'handles and other insides of Node',
};

const RIGHT = '---:';

/** Those that show something: what does not pass natively can't. */
function counting(tests: readonly Test[]): Test[] {
  return tests.filter(({ native }) => native === 'pass');
}

function passing(tests: readonly Test[]): number {
  return tests.filter(({ stp }) => stp === 'pass').length;
}

function percent(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(1)} %`;
}

function testsOf(group: string): readonly Test[] {
  return (result('node', group) as NodeRecord).tests;
}

/** What a visitor sees first. */
export function summaryPart(): string {
  const deno = known('deno.json') as Published;
  const rows = NODE_GROUPS.map(({ name }): [string, number, number, number | undefined] => {
    const tests = counting(testsOf(name));
    return [`\`${name}\``, tests.length, passing(tests), deno.listed[name]];
  });
  const sum = (column: 1 | 2): number => rows.reduce((total, row) => total + row[column], 0);
  const cells = [...rows, ['**all**', sum(1), sum(2), undefined] as const].map(([name, native, stp, listed]) => [
    name,
    String(native),
    String(stp),
    `**${percent(stp, native)}**`,
    listed === undefined ? 'not published' : percent(listed, native),
  ]);
  const version = (result('node', 'net') as NodeRecord).node;
  return [
    '## In short',
    '',
    `Node’s own tests (Node ${version}), unmodified, over STP where kernel TCP can’t connect:`,
    '',
    table(['group', 'pass natively', 'of them over STP', '%', 'Deno, same names'], cells, [
      '---',
      RIGHT,
      RIGHT,
      RIGHT,
      RIGHT,
    ]),
    '',
    `Deno: ${deno.source} Bun publishes no figure for these groups.`,
    '',
    `[What does not pass, and why](#nodes-own-tests). All of it again: \`npm run compat -- node\`.`,
  ].join('\n');
}

/** All that does not pass, with the reasons. */
export function nodeTestsPart(): string {
  const groups = NODE_GROUPS.map(({ name }) => ({ name, tests: testsOf(name) }));
  const all = groups.flatMap(({ tests }) => tests);
  const failing = counting(all).filter(({ stp }) => stp !== 'pass');
  const needing = counting(all).filter(({ needsTransport }) => needsTransport === true);
  return [
    '## Node’s own tests',
    '',
    'Each file in a process, a region and a network namespace of its own, run once, in which kernel TCP can’t',
    'connect; exit code 0 is a pass: `npm run compat -- node`, or a group of them (`-- http2`). Which files a',
    'group has is a rule (`compat/node-groups.ts`): all that begin with its name; of `child_process`,',
    '`diagnostics_channel` and `async_hooks` those that load a module of sockets.',
    `${needing.length} of the ${counting(all).length} that pass natively fail where there is no transport at all;`,
    `of those ${passing(needing)} pass over STP.`,
    '',
    table(
      ['group', 'tests', 'pass natively', 'skip natively', 'fail natively', 'of the passing over STP'],
      groups.map(({ name, tests }) => groupRow(name, tests)),
    ),
    '',
    'Natively but not over STP, by what they ask for:',
    '',
    table(['asks for', 'tests'], kindRows(failing)),
    '',
    table(
      ['test', 'over STP', 'why'],
      failing.map(({ test, stp, reason }) => [`\`${test}\``, stp, reason ?? 'no reason is known']),
    ),
    '',
    ...notNatively(all),
    netClasses(testsOf('net')),
  ].join('\n');
}

function notNatively(all: readonly Test[]): string[] {
  const rows = all
    .filter(({ native }) => native !== 'pass')
    .map(({ test, native, stp, reason }) => [`\`${test}\``, native, stp, reason ?? 'no reason is known']);
  return rows.length === 0
    ? []
    : ['Not natively either:', '', table(['test', 'natively', 'over STP', 'why'], rows), ''];
}

function groupRow(name: string, tests: readonly Test[]): string[] {
  const natively = (outcome: string): string => String(tests.filter(({ native }) => native === outcome).length);
  return [
    `\`${name}\``,
    String(tests.length),
    natively('pass'),
    natively('skip'),
    natively('fail'),
    String(passing(counting(tests))),
  ];
}

function kindRows(failing: readonly Test[]): string[][] {
  return (Object.keys(KINDS) as Kind[])
    .map((kind) => [KINDS[kind], String(failing.filter((test) => test.kind === kind).length)])
    .filter(([, count]) => count !== '0');
}

/** By class: what of net any transport should satisfy. */
function netClasses(tests: readonly Test[]): string {
  const names = [...new Set(tests.map((test) => test.class ?? ''))].sort();
  const rows = names.map((name) => {
    const mine = tests.filter((test) => test.class === name);
    const about = CLASSES[name];
    return [
      `\`${name}\`${about === undefined ? '' : `: ${about}`}`,
      String(mine.length),
      String(counting(mine).length),
      String(passing(mine)),
    ];
  });
  return [
    '### The net tests by class, and under other versions of Node',
    '',
    table(['class', 'tests', 'natively', 'over STP'], rows),
    '',
    'The same files under versions which they were not written for (`npm run compat -- net --node 24`):',
    '',
    table(
      [
        'Node',
        'tests',
        'natively',
        'over STP',
        'natively but not over STP, beyond those above',
        'class `stream` over STP',
      ],
      OTHER_LINES.map((line) => otherLine(line, tests)),
    ),
  ].join('\n');
}

function otherLine(line: number, here: readonly Test[]): string[] {
  const { tests } = result(`net-${line}`, 'net') as NodeRecord;
  const stream = tests.filter((test) => test.class === 'stream');
  const more = counting(tests).filter(
    ({ test, stp }) => stp !== 'pass' && here.find((each) => each.test === test)?.stp === 'pass',
  );
  return [
    String(line),
    String(tests.length),
    String(counting(tests).length),
    String(passing(tests)),
    more.map(({ test }) => `\`${test}\``).join(', ') || 'none',
    `${passing(stream)} of ${stream.length}`,
  ];
}
