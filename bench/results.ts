/** What the benches measure, and how the figures are told. */
import { type BenchName } from './measures';
import { type TransportName } from './transport';

export interface Metric {
  readonly name: string;
  readonly bench: BenchName;
  /** Name of the value that the bench gives. */
  readonly value: string;
  readonly unit: string;
  readonly better: 'more' | 'less';
}

function less(name: string, bench: BenchName, value: string, unit: string): Metric {
  return { name, bench, value, unit, better: 'less' };
}

function more(name: string, bench: BenchName, value: string, unit: string): Metric {
  return { name, bench, value, unit, better: 'more' };
}

export const METRICS: readonly Metric[] = [
  less('round trip 64 B, p50', 'round-trip', 'p50Us', 'us'),
  less('round trip 64 B, p99', 'round-trip', 'p99Us', 'us'),
  less('round trip after 5 ms of silence, p50', 'round-trip-idle', 'p50Us', 'us'),
  less('round trip after 5 ms of silence, p99', 'round-trip-idle', 'p99Us', 'us'),
  more('stream of 64 B writes', 'stream-64b', 'messagesPerS', 'writes/s'),
  more('stream of 1 KiB writes', 'stream-1kib', 'megabytesPerS', 'MB/s'),
  more('stream of 64 KiB writes', 'stream-64kib', 'megabytesPerS', 'MB/s'),
  more('stream of 1 MiB writes', 'stream-1mib', 'megabytesPerS', 'MB/s'),
  more('http keep-alive, 1 connection', 'http-1', 'requestsPerS', 'requests/s'),
  more('http keep-alive, 50 connections', 'http-50', 'requestsPerS', 'requests/s'),
  more('http keep-alive, 500 connections', 'http-500', 'requestsPerS', 'requests/s'),
  more('http by a lean client, 100 connections', 'http-lean-1', 'requestsPerS', 'requests/s'),
  more('the same, 10 in flight on each', 'http-lean-10', 'requestsPerS', 'requests/s'),
  more('connect and close, one by one', 'connect-1', 'connectsPerS', 'connects/s'),
  more('connect and close, 20 at once', 'connect-20', 'connectsPerS', 'connects/s'),
  more('round trips, both processes on one core', 'one-core', 'tripsPerS', 'trips/s'),
  more('4 pairs of processes, round trips', 'pairs-4', 'tripsPerS', 'trips/s'),
  more('8 pairs of processes, round trips', 'pairs-8', 'tripsPerS', 'trips/s'),
  more('20 processes, short connections to all', 'mesh-20', 'connectsPerS', 'connects/s'),
  less('first request of 50 processes at once', 'first-50', 'medianMs', 'ms'),
  less('memory for an idle connection, both ends', 'idle-connections', 'kilobytesEach', 'KiB'),
  less('processor time for a request, 100 a second', 'paced-100', 'cpuUsEach', 'us'),
  less('processor time for a request, 1,000 a second', 'paced-1000', 'cpuUsEach', 'us'),
  less('processor time for a request, 4,000 a second', 'paced-4000', 'cpuUsEach', 'us'),
  less('latency at 1,000 requests a second', 'paced-1000', 'p50Us', 'us'),
  more('first second: http, 1 connection', 'first-second', 'requestsPerS', 'requests/s'),
  more('first second: 64 B writes', 'first-second', 'messagesPerS', 'writes/s'),
  more('first second: 64 KiB writes', 'first-second', 'megabytesPerS', 'MB/s'),
  less('15,000 connections: open, echo, close', 'many-connections', 'usEach', 'us each'),
  less('start of a process', 'start', 'startMs', 'ms'),
  less('first connect of a process', 'start', 'connectMs', 'ms'),
  less('memory of a process with one connection', 'start', 'megabytes', 'MiB'),
];

/** One metric: medians, and how many times better STP is (more than 1 is in its favour). */
export interface Result {
  readonly name: string;
  readonly unit: string;
  readonly tcp: number | undefined;
  readonly unix: number | undefined;
  readonly stp: number | undefined;
  /** What Node itself needs, of the few metrics that have one (floor.ts). */
  readonly floor: number | undefined;
  readonly overTcp: number | undefined;
  readonly overUnix: number | undefined;
  readonly samples: Readonly<Record<TransportName, readonly number[]>>;
}

/** The results for people. */
export function resultsTable(facts: Readonly<Record<string, string | number>>, results: readonly Result[]): string {
  const head = ['', 'unit', 'tcp', 'unix', 'stp', 'stp/tcp', 'stp/unix', 'floor', 'spread of stp'];
  const rows = results.map((result) => [
    result.name,
    result.unit,
    figure(result.tcp),
    figure(result.unix),
    figure(result.stp),
    ratio(result.overTcp),
    ratio(result.overUnix),
    figure(result.floor),
    spread(result.samples.stp),
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  const about = Object.entries(facts).map(([name, value]) => `${name}: ${value}`);
  const note = 'Medians; a ratio of 2x means that STP is twice as good; floor is what Node itself needs.';
  return `${[...about, '', line(head), ...rows.map(line), '', note].join('\n')}\n`;
}

/** The results for a document: a Markdown table, and what it was measured on. */
export function resultsMarkdown(facts: Readonly<Record<string, string | number>>, results: readonly Result[]): string {
  const head = [
    '| | unit | TCP | Unix socket | STP | to TCP | to Unix | floor |',
    '| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |',
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
      figure(result.floor),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  const about = Object.entries(facts).map(([name, value]) => `- ${name}: ${value}`);
  return `${[...head, ...rows, '', 'Medians.', '', ...about].join('\n')}\n`;
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
