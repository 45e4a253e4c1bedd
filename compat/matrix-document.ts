/**
 * compat-matrix.md from what was run and what is known: `compat/results` (written by `npm run compat -- --json`),
 * `compat/net` (Node's own tests, by class, with the reasons), `compat/api/net.json` (all that net has) and
 * `compat/matrix/*.md` (what no run can tell).
 */
import fs from 'node:fs';
import path from 'node:path';
import { projectRoot } from '../scripts/project-root';
import { type ApiEntry, apiEntries, NODE_LINES } from './api-data';

const RESULTS = 'compat/results';
/** Recorded as `net-22.json`: what is recorded without a number is of the line that Node's tests are of. */
const OTHER_LINES = NODE_LINES.filter((line) => line !== 20);

interface NetRecord {
  readonly node: string;
  readonly namespaces: boolean;
  readonly tests: readonly {
    readonly test: string;
    readonly class: string;
    readonly native: string;
    readonly stp: string;
    readonly needsTransport: boolean;
    readonly reason?: string;
  }[];
}

interface ApplicationsRecord {
  readonly node: string;
  readonly applications: readonly {
    readonly name: string;
    readonly about: string;
    readonly runs: readonly {
      readonly setting: string;
      readonly outcome: string;
      readonly transport: string;
      readonly kernelTcpConnects?: number;
    }[];
  }[];
}

/** What a class of Node's tests is about. */
const CLASSES: Readonly<Record<string, string>> = {
  stream: 'what any transport should satisfy',
  'api-only': 'arguments and objects, no bytes',
  internals: 'handles and other insides of Node',
};

const KINDS: Readonly<Record<ApiEntry['kind'], string>> = {
  export: 'Exports',
  member: 'Methods and properties',
  event: 'Events',
  option: 'Options',
  elsewhere: 'Elsewhere in Node',
  internal: 'Internals that programs have been seen to use',
};

const MARKS: Readonly<Record<ApiEntry['state'], string>> = { works: 'works', native: 'native', differs: 'differs' };

/** Its text. Throws where a file that it is made of is missing. */
export function matrixDocument(): string {
  const parts = [part('head.md'), netTests(), applications(), api(), part('limits.md')];
  return `${parts.join('\n\n')}\n`;
}

function part(name: string): string {
  return fs.readFileSync(path.join(projectRoot(), 'compat/matrix', name), 'utf8').trim();
}

function result(section: string, line?: number): unknown {
  const file = path.join(projectRoot(), RESULTS, `${section}${line === undefined ? '' : `-${line}`}.json`);
  return (JSON.parse(fs.readFileSync(file, 'utf8')) as Record<string, unknown>)[section];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function netTests(): string {
  const { node, tests } = result('net') as NetRecord;
  const names = [...new Set(tests.map((test) => test.class))].sort();
  const rows = names.map((name) => {
    const mine = tests.filter((test) => test.class === name);
    const passed = (mode: 'native' | 'stp'): string => String(mine.filter((test) => test[mode] === 'pass').length);
    return [
      `\`${name}\`${name in CLASSES ? `: ${CLASSES[name] ?? ''}` : ''}`,
      String(mine.length),
      passed('native'),
      passed('stp'),
    ];
  });
  const stream = tests.filter((test) => test.class === 'stream');
  const counting = stream.filter((test) => test.needsTransport);
  const passes = (list: typeof tests): string =>
    `${list.filter((test) => test.stp === 'pass').length} of ${list.length}`;
  const failing = tests
    .filter((test) => test.stp !== 'pass')
    .map(({ test, class: name, stp, reason }) => [`\`${test}\``, name, stp, reason ?? 'no reason is known']);
  return [
    '## Node’s own net tests',
    '',
    `The test files of Node ${node} (\`test-net-*\`), each in a process, a region and a network namespace ` +
      `of its own in which kernel TCP can’t connect: \`npm run compat -- net\`.`,
    `Over STP pass ${passes(stream)} of the class \`stream\`, and ${passes(counting)} of those of them that fail ` +
      'where there is no transport.',
    '',
    table(['class', 'tests', 'natively', 'over STP'], rows),
    '',
    'Not passed:',
    '',
    table(['test', 'class', 'over STP', 'why, and what it would take'], failing),
    '',
    'The same files under other versions, which they were not written for (`npm run compat -- net --node 24`):',
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

function otherLine(line: number, known: NetRecord['tests']): string[] {
  const { tests } = result('net', line) as NetRecord;
  const passed = (mode: 'native' | 'stp', list = tests): string =>
    String(list.filter((test) => test[mode] === 'pass').length);
  const stream = tests.filter((test) => test.class === 'stream');
  const more = tests.filter(
    ({ test, native, stp }) =>
      native === 'pass' && stp !== 'pass' && known.find((each) => each.test === test)?.stp === 'pass',
  );
  return [
    String(line),
    String(tests.length),
    passed('native'),
    passed('stp'),
    more.map(({ test }) => `\`${test}\``).join(', ') || 'none',
    `${passed('stp', stream)} of ${stream.length}`,
  ];
}

function applications(): string {
  const { node, applications: rows } = result('applications') as ApplicationsRecord;
  const settings = rows[0]?.runs.map(({ setting }) => setting) ?? [];
  const cells = rows.map(({ name, about, runs }) => [
    name,
    about,
    ...settings.map((setting) => {
      const run = runs.find((each) => each.setting === setting);
      return run === undefined ? '' : `${run.outcome === 'pass' ? '' : `${run.outcome}, `}${run.transport}`;
    }),
  ]);
  const connects = rows
    .flatMap(({ runs }) => runs.map(({ kernelTcpConnects }) => kernelTcpConnects ?? 0))
    .reduce((sum, each) => sum + each, 0);
  return [
    '## Applications',
    '',
    `Both halves unmodified, in two processes, on Node ${node}: \`npm run compat -- applications\`. ` +
      'Each cell names the transport that every connection of the client took and that the',
    'run passed over; a run that does not pass says so. ' +
      `Under \`STP_NET=stp\` each process is in a network namespace of its own in which kernel TCP can’t connect; ` +
      `the kernel counted ${connects} connects by TCP.`,
    'With `auto` the region is there, is missing, is full, has room for the server alone, is damaged, ' +
      'or is damaged once the server listens.',
    '',
    table(['application', 'what it does', ...settings], cells),
    '',
    `Under other versions (\`npm run compat -- applications --node 24\`): ${OTHER_LINES.map(otherRuns).join('; ')}.`,
  ].join('\n');
}

function otherRuns(line: number): string {
  const { node, applications: rows } = result('applications', line) as ApplicationsRecord;
  const runs = rows.flatMap(({ name, runs: all }) => all.map((run) => ({ ...run, name })));
  const not = runs
    .filter(({ outcome }) => outcome !== 'pass')
    .map(({ name, setting, outcome }) => `${name}, ${setting}: ${outcome}`);
  return (
    `Node ${node} ${runs.length - not.length} of ${runs.length} runs ` +
    `pass${not.length === 0 ? '' : ` (${not.join(', ')})`}`
  );
}

function api(): string {
  const sections = Object.entries(KINDS).map(([kind, title]) => {
    const rows = apiEntries()
      .filter((entry) => entry.kind === kind)
      .map((entry) => [
        `\`${entry.name}\``,
        ...NODE_LINES.map((line) => (entry.nodes.includes(line) ? MARKS[entry.state] : '')),
        entry.how ?? '',
      ]);
    return `### ${title}\n\n${table([title === 'Exports' ? 'export' : 'name', ...NODE_LINES.map(String), ''], rows)}`;
  });
  return [
    '## All that net has',
    '',
    '`works`: by STP as by TCP. `native`: Node’s own, untouched. `differs`: as told beside it. ' +
      'Empty: not in that version of Node.',
    '',
    sections.join('\n\n'),
  ].join('\n');
}
