/** What a soak came to: what has grown, what was left behind, what failed; printed, one line at the end. */
import fs from 'node:fs';
import path from 'node:path';
import { median, type Trend, trendOf } from './flat';
import { type Memory } from './messages';
import { type SoakPlace } from './place';
import { type Sample, type Soak } from './soak';

const MIB = 1 << 20;
const PROGRESS_MS = 30_000;
/** A host sees so late that another one changed the times of a file, at the latest: NFS keeps them for a minute. */
const SEEN_MS = 75_000;
const FAILURES_SHOWN = 20;

/** Runs it, with a line of progress now and then. True where all was well. */
export async function runSoak(soak: Soak, place: SoakPlace, seconds: number): Promise<boolean> {
  const beganMs = performance.now();
  const progress = setInterval(() => {
    const { whole, kills, bytes, failures } = soak;
    console.log(
      `${Math.round((performance.now() - beganMs) / 1000)} s: ` +
        `${kills} kills, ${whole} connections whole, ${(bytes / 1e9).toFixed(2)} GB, ${failures.length} failures`,
    );
  }, PROGRESS_MS);
  try {
    await soak.run();
    const left = await leftBehind(place);
    if (left.length > 0) soak.failures.push(`left behind: ${left.slice(0, 10).join(', ')}`);
  } finally {
    clearInterval(progress);
  }
  return conclude(soak, seconds);
}

/** What may grow, of the region and of those that are never killed. */
function trends(samples: readonly Sample[]): Trend[] {
  const found = [
    trendOf(
      'bytes of the region',
      samples.map(({ regionBytes }) => regionBytes),
      32 * MIB,
    ),
    trendOf(
      'files of the region',
      samples.map(({ regionFiles }) => regionFiles),
      40,
    ),
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
export async function leftBehind(place: SoakPlace): Promise<string[]> {
  await place.makeOld();
  const stay = new Set(['region']);
  for (const endMs = performance.now() + SEEN_MS; ;) {
    for (const number of await place.visit()) stay.add(`processes/${number}`);
    const files = fs
      .readdirSync(place.region, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory());
    const rest = files
      .map((entry) => path.relative(place.region, path.join(entry.parentPath, entry.name)))
      .filter((name) => !stay.has(name));
    if (rest.length === 0 || performance.now() > endMs) return rest;
    await new Promise((resolve) => {
      setTimeout(resolve, 1000);
    });
  }
}

function conclude(soak: Soak, seconds: number): boolean {
  const all = trends(soak.samples);
  for (const { name, middle, end, flat } of all)
    console.log(`${flat ? 'flat' : 'GROWS'}: ${name}: ${middle} in the second quarter, ${end} in the last`);
  for (const { name } of all.filter(({ flat }) => !flat)) soak.failures.push(`${name} grow`);
  if (soak.whole === 0) soak.failures.push('no connection came to its end');
  for (const failure of soak.failures.slice(0, FAILURES_SHOWN)) console.log(`FAILED ${failure}`);
  const { whole, kills, reset, taken, bytes, noticesMs, failures } = soak;
  console.log(
    `soak: ${seconds} s, ${kills} kills, ${whole} ends of connections whole, ` +
      `${reset} reset by a death (told within ${median(noticesMs).toFixed(1)} ms, at worst ` +
      `${Math.max(0, ...noticesMs).toFixed(1)}), ${taken} handed over, ${(bytes / 1e9).toFixed(2)} GB checked, ` +
      `${failures.length} failed`,
  );
  return failures.length === 0;
}
