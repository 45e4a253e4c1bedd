/** What the benches measure, and how the figures are told. */
import { type BenchName } from './client';
import { type TransportName } from './transport';

export interface Metric {
  readonly name: string;
  readonly bench: BenchName;
  /** Name of the value that the bench gives. */
  readonly value: string;
  readonly unit: string;
  readonly better: 'more' | 'less';
}

export const METRICS: readonly Metric[] = [
  { name: 'round trip 64 B, p50', bench: 'round-trip', value: 'p50Us', unit: 'us', better: 'less' },
  { name: 'round trip 64 B, p99', bench: 'round-trip', value: 'p99Us', unit: 'us', better: 'less' },
  { name: 'stream of 64 B writes', bench: 'stream-64b', value: 'messagesPerS', unit: 'writes/s', better: 'more' },
  { name: 'stream of 64 KiB writes', bench: 'stream-64kib', value: 'megabytesPerS', unit: 'MB/s', better: 'more' },
  { name: 'http keep-alive, 1 connection', bench: 'http-1', value: 'requestsPerS', unit: 'requests/s', better: 'more' },
  {
    name: 'http keep-alive, 50 connections',
    bench: 'http-50',
    value: 'requestsPerS',
    unit: 'requests/s',
    better: 'more',
  },
];

/** One metric: medians, and how many times better STP is (more than 1 is in its favour). */
export interface Result {
  readonly name: string;
  readonly unit: string;
  readonly tcp: number | undefined;
  readonly unix: number | undefined;
  readonly stp: number | undefined;
  readonly overTcp: number | undefined;
  readonly overUnix: number | undefined;
  readonly samples: Readonly<Record<TransportName, readonly number[]>>;
}

/** The results for people. */
export function resultsTable(facts: Readonly<Record<string, string | number>>, results: readonly Result[]): string {
  const head = ['', 'unit', 'tcp', 'unix', 'stp', 'stp/tcp', 'stp/unix', 'spread of stp'];
  const rows = results.map((result) => [
    result.name,
    result.unit,
    figure(result.tcp),
    figure(result.unix),
    figure(result.stp),
    ratio(result.overTcp),
    ratio(result.overUnix),
    spread(result.samples.stp),
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  const about = Object.entries(facts).map(([name, value]) => `${name}: ${value}`);
  const note = 'Medians; a ratio of 2x means that STP is twice as good.';
  return `${[...about, '', line(head), ...rows.map(line), '', note].join('\n')}\n`;
}

/** The results for a document: a Markdown table, and what it was measured on. */
export function resultsMarkdown(facts: Readonly<Record<string, string | number>>, results: readonly Result[]): string {
  const head = [
    '| | unit | TCP | Unix socket | STP | to TCP | to Unix |',
    '| --- | --- | ---: | ---: | ---: | ---: | ---: |',
  ];
  const rows = results.map((result) => {
    const cells = [
      result.name,
      result.unit,
      figure(result.tcp),
      figure(result.unix),
      figure(result.stp),
      ratio(result.overTcp),
      ratio(result.overUnix),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  const about = Object.entries(facts)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
  return `${[...head, ...rows, '', `Medians. ${about}.`].join('\n')}\n`;
}

function figure(value: number | undefined): string {
  if (value === undefined) return '-';
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(1);
}

function ratio(value: number | undefined): string {
  return value === undefined ? '-' : `${value.toFixed(2)}x`;
}

function spread(values: readonly number[]): string {
  return values.length < 2 ? '-' : `${figure(Math.min(...values))} to ${figure(Math.max(...values))}`;
}
