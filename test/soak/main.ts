/**
 * `npm run soak -- --minutes N` (or `--seconds N`, `--seed S`, `--kill-ms M`, `--directory D`): random traffic over 8 processes of which one is killed every second and
 * started again; every byte is checked, and neither region nor memory may grow. Ends with one line, and with 1 where anything was wrong.
 */
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Region } from '../../src/region';
import { memoryDirectory } from '../memory-directory';
import { median, type Trend, trendOf } from './flat';
import { type Memory } from './messages';
import { type Sample, Soak } from './soak';

const MIB = 1 << 20;
const PROGRESS_MS = 30_000;
const FAILURES_SHOWN = 20;

function numberOf(name: string, text: string | undefined, otherwise: number, least: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (!Number.isFinite(value) || value < least) throw new Error(`--${name} ${text ?? ''}: must be a number from ${least}`);
  return value;
}

/** What may grow, of the region and of those that are never killed. */
function trends(samples: readonly Sample[]): Trend[] {
  const found = [
    trendOf('bytes of the region', samples.map(({ regionBytes }) => regionBytes), 32 * MIB),
    trendOf('files of the region', samples.map(({ regionFiles }) => regionFiles), 40),
  ];
  const measures: readonly (readonly [string, (memory: Memory) => number, number])[] = [
    ['heap bytes', ({ heapBytes }) => heapBytes, 4 * MIB],
    ['resident bytes', ({ residentBytes }) => residentBytes, 24 * MIB],
    ['descriptors', ({ descriptors }) => descriptors, 12],
    ['mappings', ({ mappings }) => mappings, 40],
  ];
  const elders = Math.max(0, ...samples.map((sample) => sample.elders.length));
  for (let elder = 0; elder < elders; elder++) {
    const seen = samples.flatMap((sample) => sample.elders[elder] ?? []);
    for (const [name, of, slack] of measures) found.push(trendOf(`${name} of process ${elder}`, seen.map(of), slack));
  }
  return found;
}

/** After the last process has left: nothing of the many is there any more. */
function leftBehind(directory: string): string[] {
  const processes = path.join(directory, 'processes');
  // A file without an identity stays until it is old: its owner may be just opening the region.
  for (const name of fs.readdirSync(processes)) fs.utimesSync(path.join(processes, name), new Date(0), new Date(0));
  const region = Region.open({ directory, system: 'soak', group: 'STG', driver: 'auto' });
  const last = `processes/${region.self.number}`;
  region.close();
  const rest = fs.readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory());
  const names = rest.map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)));
  return names.filter((name) => name !== 'region' && name !== last);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { minutes: { type: 'string' }, seconds: { type: 'string' }, seed: { type: 'string' }, 'kill-ms': { type: 'string' }, directory: { type: 'string' } },
  });
  const seconds = values.seconds === undefined ? numberOf('minutes', values.minutes, 2, 0.1) * 60 : numberOf('seconds', values.seconds, 0, 1);
  const seed = numberOf('seed', values.seed, Math.floor(Math.random() * 1_000_000), 0);
  const killEveryMs = numberOf('kill-ms', values['kill-ms'], 1000, 10);
  const parent = fs.mkdtempSync(path.join(values.directory ?? memoryDirectory(), 'stp-soak-'));
  const region = path.join(parent, 'region');
  console.log(`seed ${seed}, ${seconds} s, a kill every ${killEveryMs} ms`);
  const soak = new Soak({ region, seconds, seed, killEveryMs, log: (line) => { console.log(line); } });
  const beganMs = performance.now();
  const progress = setInterval(() => {
    const { whole, kills, bytes, failures } = soak;
    console.log(`${Math.round((performance.now() - beganMs) / 1000)} s: ${kills} kills, ${whole} connections whole, ${(bytes / 1e9).toFixed(2)} GB, ${failures.length} failures`);
  }, PROGRESS_MS);
  try {
    await soak.run();
    const left = leftBehind(region);
    if (left.length > 0) soak.failures.push(`left behind: ${left.slice(0, 10).join(', ')}`);
  } finally {
    clearInterval(progress);
    fs.rmSync(parent, { recursive: true, force: true });
  }
  conclude(soak, seconds);
}

function conclude(soak: Soak, seconds: number): void {
  const all = trends(soak.samples);
  for (const { name, middle, end, flat } of all) console.log(`${flat ? 'flat' : 'GROWS'}: ${name}: ${middle} in the second quarter, ${end} in the last`);
  for (const { name } of all.filter(({ flat }) => !flat)) soak.failures.push(`${name} grow`);
  if (soak.whole === 0) soak.failures.push('no connection came to its end');
  for (const failure of soak.failures.slice(0, FAILURES_SHOWN)) console.log(`FAILED ${failure}`);
  const { whole, kills, reset, taken, bytes, noticesMs, failures } = soak;
  console.log(
    `soak: ${seconds} s, ${kills} kills, ${whole} ends of connections whole, ${reset} reset by a death (told within ${median(noticesMs).toFixed(1)} ms, at worst ` +
    `${Math.max(0, ...noticesMs).toFixed(1)}), ${taken} handed over, ${(bytes / 1e9).toFixed(2)} GB checked, ${failures.length} failed`,
  );
  process.exitCode = failures.length > 0 ? 1 : 0;
}

main().catch((error: unknown) => {
  console.error(error);
  // The processes end when their channel does.
  process.exit(1);
});
