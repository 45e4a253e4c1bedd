/**
 * compat-matrix.md from what was run and what is known: `compat/results` (written by `npm run compat -- --json`, with
 * the reasons from `compat/node`), `compat/api/net.json` (all that net has) and `compat/matrix` (what no run can tell).
 */
import { type ApiEntry, apiEntries, NODE_LINES } from './api-data';
import { nodeTestsPart, summaryPart } from './matrix-node-tests';
import { OTHER_LINES, part, result, table } from './matrix-parts';

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
  const parts = [
    part('head.md'),
    summaryPart(),
    part('known.md'),
    nodeTestsPart(),
    applications(),
    api(),
    part('limits.md'),
  ];
  return `${parts.join('\n\n')}\n`;
}

function applications(): string {
  const { node, applications: rows } = result('applications', 'applications') as ApplicationsRecord;
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
    `Both halves unmodified, in two processes, on Node ${node}: \`npm run compat -- applications\`. Each cell`,
    'names the transport that every connection of the client took and that the run passed over; a run that does',
    'not pass says so. Under `STP_NET=stp` each process is in a network namespace of its own in which kernel TCP',
    `can’t connect; the kernel counted ${connects} connects by TCP. With \`auto\` the region is there, is missing,`,
    'is full, has room for the server alone, is damaged, or is damaged once the server listens.',
    '',
    table(['application', 'what it does', ...settings], cells),
    '',
    'Under other versions (`npm run compat -- applications --node 24`):',
    '',
    ...OTHER_LINES.map((line) => `- ${otherRuns(line)}`),
  ].join('\n');
}

function otherRuns(line: number): string {
  const { node, applications: rows } = result(`applications-${line}`, 'applications') as ApplicationsRecord;
  const runs = rows.flatMap(({ name, runs: all }) => all.map((run) => ({ ...run, name })));
  const not = runs
    .filter(({ outcome }) => outcome !== 'pass')
    .map(({ name, setting, outcome }) => `${name}, ${setting}: ${outcome}`);
  const exceptions = not.length === 0 ? '' : ` (${not.join(', ')})`;
  return `Node ${node} ${runs.length - not.length} of ${runs.length} runs pass${exceptions}`;
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
    '`works`: by STP as by TCP. `native`: Node’s own, untouched. `differs`: as told beside it.',
    'Empty: not in that version of Node.',
    '',
    sections.join('\n\n'),
  ].join('\n');
}
