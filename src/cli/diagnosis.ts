/**
 * What the measurements of `stp doctor` mean: what keeps a region from working in a directory, what is only good to
 * know, and how both are told.
 */
import fs from 'node:fs';
import path from 'node:path';
import { inspectRegion } from '../region';
import { COPY_ON_WRITE, codeOf, type DriverChoice, type MappingVerdict, type OneSide, type TwoSides } from '../storage';
import { type Trial } from './trial';

export interface Measured {
  readonly directory: string;
  readonly driver: DriverChoice;
  readonly here: OneSide;
  /** Two processes that talked through a region there. */
  readonly trial: Trial;
  readonly both: TwoSides | undefined;
  /** The other side has our page cache and FIFOs: same kernel, same mount. */
  readonly sharesPageCache: boolean | undefined;
}

export interface Diagnosis extends Measured {
  readonly works: boolean;
  /** What keeps a region from working there. */
  readonly problems: readonly string[];
  /** What is good to know, and keeps nothing from working. */
  readonly warnings: readonly string[];
}

/** Room that a process and a few links take. */
const ROOM_BYTES = 16 * 1024 * 1024;
/** Clocks further apart than this puzzle people; the region never compares clocks. */
const SKEW_MS_MAX = 1000;
const PARTS = ['processes', 'links', 'bells'] as const;

export function diagnose(measured: Measured): Diagnosis {
  const problems = problemsOf(measured);
  return { works: problems.length === 0, problems, warnings: warningsOf(measured), ...measured };
}

export function hasRegion(directory: string): boolean {
  return fs.existsSync(path.join(directory, 'region'));
}

function problemsOf({ directory, driver, here, trial, both, sharesPageCache: shares }: Measured): string[] {
  const problems: string[] = [];
  if (trial.failure !== undefined)
    problems.push(`two processes could not talk through a region here: ${trial.failure.message}`);
  if (shares === false && here.local && both?.otherLocal === true)
    problems.push(
      `${here.fileSystem} is taken for local, and the other side has a page cache of its own: ` +
        'neither sees what the other writes',
    );
  if (shares === false && both !== undefined && here.local !== both.otherLocal && here.inMemory)
    problems.push(`${servedBy(here)}: processes here do not notice when they are called. ${MOUNT_IT}`);
  if (both !== undefined) problems.push(...problemsOfBoth(both, shares, driver));
  if (hasRegion(directory)) problems.push(...inspectRegion(directory).problems, ...closedParts(directory));
  return problems;
}

const MOUNT_IT = 'Mount it there too, as the other hosts do, and use that mount';

function servedBy(here: OneSide): string {
  return `${here.local ? 'this side' : 'the other side'} has the directory on a file system of its own, and serves it`;
}

function problemsOfBoth(
  { mapping, lock, exclusive }: TwoSides,
  shares: boolean | undefined,
  driver: DriverChoice,
): string[] {
  const problems: string[] = [];
  const mapped = mapping.theirs === 'seen' && mapping.ours === 'seen';
  if (shares === true && driver.driver === 'mapped' && !mapped)
    problems.push(
      `mapped memory does not reach the other side (theirs ${mapping.theirs}, ours ${mapping.ours}): ` +
        'use STP_DRIVER=direct',
    );
  if (exclusive.doubles > 0)
    problems.push(
      `of ${exclusive.files} files that both sides tried to create ${exclusive.doubles} had two creators, ` +
        'or none: two processes may get one number',
    );
  if (lock.lost > 0)
    problems.push(
      `${lock.lost} of ${lock.updates} updates under a lock were lost: ` +
        'a directory there is no lock, or what is written is seen too late',
    );
  return problems;
}

/** Directories of the region that is there already in which this user can make nothing. */
function closedParts(directory: string): string[] {
  return PARTS.flatMap((name) => {
    try {
      fs.accessSync(path.join(directory, name), fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
      return [];
    } catch (error) {
      // A region that is just being made or removed lacks it; the next process makes it.
      return codeOf(error) === 'ENOENT'
        ? []
        : [`${name}: this user can not make files in it (${codeOf(error) ?? 'unknown error'})`];
    }
  });
}

function warningsOf({ driver, here, both, sharesPageCache: shares }: Measured): string[] {
  const warnings: string[] = [];
  if (here.freeBytes !== undefined && here.freeBytes < ROOM_BYTES)
    warnings.push(`only ${here.freeBytes} bytes are free: a few links take ${ROOM_BYTES}`);
  if (driver.driver === 'mapped' && COPY_ON_WRITE.has(here.fileSystem))
    warnings.push(
      `mapped on ${here.fileSystem}: a program that stores into mapped memory ends (SIGBUS) ` +
        'when the volume or a quota is full',
    );
  if (!here.local && !here.odirect)
    warnings.push(
      'O_DIRECT does not work here: processes of this host talk, ' +
        'those of other hosts may never see what is written; measure with --peer and --join',
    );
  if (!here.fifos)
    warnings.push(
      'FIFOs are refused here: processes that sleep look by the clock whether they are called, ' +
        'and notice it up to 0.2 s late',
    );
  if (both === undefined) return warnings;
  if (shares === false && here.local !== both.otherLocal && !here.inMemory)
    warnings.push(
      `${servedBy(here)}: calls are noticed there up to a second late, ` +
        'and a file server that caches what it has looked up (NFS-Ganesha) ' +
        `shows others up to a minute late what is made there. ${MOUNT_IT}`,
    );
  if (both.rename.wrong > 0)
    warnings.push(
      `${both.rename.wrong} of ${both.rename.reads} looks at a name during renames showed neither the old file ` +
        'nor the new one; a region renames nothing, other programs may',
    );
  if (Math.abs(both.clockSkewMs) > SKEW_MS_MAX)
    warnings.push(`the clocks are ${both.clockSkewMs} ms apart; the region does not mind, logs may`);
  return warnings;
}

const ms = (value: number): string => `${value.toFixed(3)} ms`;
const yes = (value: boolean): string => (value ? 'yes' : 'no');
const MIB = 1 << 20;

/** The verdict first, then why, then the figures. */
export function lines(diagnosis: Diagnosis): string[] {
  const { directory, driver, here, both, works, problems, warnings } = diagnosis;
  const how =
    driver.driver === 'mapped' ? 'mapped memory' : here.local ? 'plain file I/O' : 'plain file I/O past the page cache';
  return [
    works ? `A region works here, by ${how}.` : 'A region does not work here.',
    ...problems.map((problem) => `PROBLEM      ${problem}`),
    ...warnings.map((warning) => `warning      ${warning}`),
    `directory    ${directory}`,
    `file system  ${here.fileSystem}, ` +
      (here.local ? 'local: one page cache' : 'shared between hosts, or not known to be local'),
    `driver       ${driver.driver}: ${driver.detail}`,
    ...linesOfTrial(diagnosis),
    `block        written in ${ms(here.writeBlockP50Ms)}, read in ${ms(here.readBlockP50Ms)} (median)`,
    `throughput   ${here.writeMBs.toFixed(0)} MB/s in writes of 1 MiB, ` +
      (here.local ? 'to the page cache' : 'to the file server'),
    `can          O_DIRECT ${yes(here.odirect)}, FIFOs ${yes(here.fifos)}, link ${yes(here.links)}, ` +
      `rename ${yes(here.rename)}, mapping ${here.mapping === undefined ? 'not tried' : yes(here.mapping)}`,
    ...(both === undefined ? [] : linesOfBoth(both, diagnosis.sharesPageCache)),
  ];
}

function linesOfTrial({ trial }: Diagnosis): string[] {
  if (trial.failure !== undefined) return [];
  const { bytes, roundTripP50Ms = 0, bothWaysMBs = 0 } = trial;
  return [
    `connection   two processes sent ${bytes / MIB} MiB each way, and every byte arrived; ` +
      `round trip ${ms(roundTripP50Ms)} (median), ${bothWaysMBs.toFixed(0)} MB/s`,
  ];
}

function seen(verdict: MappingVerdict): string {
  return verdict === 'seen' ? 'all' : verdict === 'not seen' ? 'nothing' : 'not to be tried';
}

function linesOfBoth(both: TwoSides, shares: boolean | undefined): string[] {
  return [
    `other side   ${both.other}, ` +
      (shares === true ? 'same kernel and mount: shares our page cache' : 'with a page cache of its own'),
    `visible      after ${ms(both.visibleP50Ms)}, p99 ${ms(both.visibleP99Ms)}; ` +
      `round trip ${ms(both.roundTripP50Ms)}, p99 ${ms(both.roundTripP99Ms)}`,
    `from there   ${both.readMBs.toFixed(0)} MB/s in chunks of 1 MiB, written there and read here`,
    `torn reads   ${both.torn.map(({ bytes, reads, torn }) => `${bytes} B: ${torn} of ${reads}`).join(', ')} ` +
      '(checksums find them, and they are read again)',
    `mapping      of their stores we see: ${seen(both.mapping.theirs)}; of ours they see: ${seen(both.mapping.ours)}`,
    `locks        ${both.lock.lost} of ${both.lock.updates} updates lost under a lock (mkdir); ` +
      `to take it and give it back ${ms(both.lock.p50Ms)}, p99 ${ms(both.lock.p99Ms)}`,
    `creating     ${both.exclusive.doubles} of ${both.exclusive.files} files with two creators or none`,
    `renaming     ${both.rename.missing} of ${both.rename.reads} looks by name found nothing, ` +
      `${both.rename.wrong} neither the old nor the new file`,
    `clocks       ${both.clockSkewMs} ms apart`,
  ];
}
