/** `stp doctor`: what a directory can do for a region, measured, from one side or from both. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { StpError } from '../errors';
import { checkRegionDirectory, inspectRegion, machine, regionOptions, type RegionOptions, sharingId } from '../region';
import { answerProbe, chooseDriver, codeOf, type DriverChoice, fileError, FileStorage, type MappingVerdict, type OneSide, probeOneSide, probeTwoSides, type TwoSides } from '../storage';
import { CliFailure, ExitCode } from './failure';

export interface DoctorOptions {
  readonly peer?: boolean;
  readonly join?: boolean;
  readonly timeout: string;
  readonly json?: boolean;
}

/** Room that a process and a few links take. */
const ROOM_BYTES = 16 * 1024 * 1024;
/** Clocks further apart than this puzzle people; the region never compares clocks. */
const SKEW_MS_MAX = 1000;

/** What the errors of a directory mean for its user. */
const PLAIN_WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such directory on this host: is the shared file system mounted?',
  EACCES: "this user can not keep a region in it: it is another user's, or its mode keeps us out or lets everybody in",
  EROFS: 'it is mounted read-only',
  ENOSPC: 'it is full',
  EDQUOT: 'the quota of this user is used up',
  ETIMEDOUT: 'the other side was not seen: it does not run, or this is not the directory that it looks at',
  EBUSY: 'another stp doctor measures here: one --peer and one --join at a time',
  ECONNRESET: 'the other side ended before all was measured, and tells why',
  EIO: 'what is written or read there fails: a broken disk, or a file server that is gone',
  ESTPREGION: 'it can not hold a region',
  ESTPDRIVER: 'the driver that STP_DRIVER asks for can not be used here',
  ESTPCORRUPT: 'what lies in it was not made by this version of stp-net',
};

interface Findings {
  readonly directory: string;
  readonly driver: DriverChoice;
  readonly here: OneSide;
  readonly both: TwoSides | undefined;
  /** The other side has our page cache and FIFOs: same kernel, same mount. */
  readonly sharesPageCache: boolean | undefined;
  readonly problems: readonly string[];
}

/** Measures and prints; exit code 1 where a region would not work there. */
export function doctor(directory: string | undefined, options: DoctorOptions): void {
  if (options.peer === true && options.join === true) throw new CliFailure('--peer and --join: a side is one or the other', ExitCode.usage);
  if (!/^[1-9][0-9]{0,4}$/u.test(options.timeout)) throw new CliFailure(`--timeout ${options.timeout}: must be 1 to 99999 seconds`, ExitCode.usage);
  const own = regionOptions(directory === undefined ? process.env : { ...process.env, STP_REGION: directory });
  let begun = false;
  try {
    // An empty one gets the mode that was asked for when a region is made there.
    checkRegionDirectory(own.directory, 'write', hasRegion(own.directory) ? own.mode : undefined);
    begun = true;
    if (options.join === true) join(own.directory, options);
    else tell(examine(own, options), options.json === true);
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    const told = fileError(error, 'stp doctor', own.directory);
    if (options.json === true) process.stdout.write(`${JSON.stringify({ directory: own.directory, code: told.code, reason: told.message })}\n`);
    throw new CliFailure(`${own.directory}: ${plainWords(told, own.directory, begun)}`, ExitCode.failed, `  ${told.message}`);
  }
}

function plainWords({ code }: StpError, directory: string, begun: boolean): string {
  if (code !== 'ENOENT') return PLAIN_WORDS[code] ?? 'it can not hold a region';
  if (fs.existsSync(directory)) return 'files that are made there vanish: somebody removes them, or it is not a file system for files';
  if (begun) return 'it was removed or unmounted while it was measured';
  return isLink(directory) ? 'it is a symbolic link that leads nowhere' : 'there is no such directory on this host: is the shared file system mounted?';
}

function hasRegion(directory: string): boolean {
  return fs.existsSync(path.join(directory, 'region'));
}

function isLink(directory: string): boolean {
  return fs.lstatSync(directory, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

function join(directory: string, options: DoctorOptions): void {
  process.stderr.write(`Waiting for stp doctor DIR --peer on the other host; here DIR is ${directory}\n`);
  const other = nameOf(answerProbe(directory, sideOf(directory), secondsOf(options) * 1000));
  process.stdout.write(options.json === true ? `${JSON.stringify({ directory, other })}\n` : 'Measured; the other side tells the result.\n');
}

function secondsOf({ timeout }: DoctorOptions): number {
  return Number(timeout);
}

/** Of what a side tells of itself, see {@link sideOf}. */
function nameOf(side: string): string {
  return side.split(' ').slice(1).join(' ');
}

/** Name of this host, and what tells whether two sides share a page cache. */
function sideOf(directory: string): string {
  const storage = new FileStorage(directory, { driver: 'direct' });
  return `${sharingId(machine().bootId, storage.mount())} ${os.hostname()}`;
}

function examine({ directory, driver: wanted }: RegionOptions, options: DoctorOptions): Findings {
  const here = probeOneSide(directory);
  const driver = chooseDriver(directory, wanted);
  let both: TwoSides | undefined;
  let sharesPageCache: boolean | undefined;
  if (options.peer === true) {
    process.stderr.write(`Waiting for stp doctor DIR --join on the other host; here DIR is ${directory}\n`);
    const side = sideOf(directory);
    const measured = probeTwoSides(directory, side, secondsOf(options) * 1000);
    sharesPageCache = measured.other.split(' ')[0] === side.split(' ')[0];
    both = { ...measured, other: nameOf(measured.other) };
  }
  return { directory, driver, here, both, sharesPageCache, problems: problemsOf(directory, here, both, sharesPageCache, driver) };
}

function problemsOf(directory: string, here: OneSide, both: TwoSides | undefined, shares: boolean | undefined, driver: DriverChoice): string[] {
  const problems: string[] = [];
  if (here.freeBytes !== undefined && here.freeBytes < ROOM_BYTES) problems.push(`only ${here.freeBytes} bytes are free: a few links take ${ROOM_BYTES}`);
  if (!here.local && !here.odirect) problems.push('O_DIRECT does not work here: other hosts may never see what is written');
  if (shares === false && here.local !== both?.otherLocal) {
    const late = here.inMemory ? 'processes here do not notice when they are called' : 'calls are noticed there up to a second late, and a file server that caches what it has looked up (NFS-Ganesha) shows others up to a minute late what is made there';
    problems.push(`${here.local ? 'this side' : 'the other side'} has the directory on a file system of its own, and serves it: ${late}. Mount it there too, as the other hosts do, and use that mount`);
  }
  if (shares === false && here.local && both?.otherLocal === true) problems.push(`${here.fileSystem} is taken for local, and the other side has a page cache of its own: use STP_DRIVER=direct on a file system that is made to be shared`);
  if (here.mapping === false) problems.push('what is stored into mapped memory is not what others read: use STP_DRIVER=direct');
  if (both !== undefined) problems.push(...problemsOfBoth(both, shares, driver));
  if (hasRegion(directory)) problems.push(...inspectRegion(directory).problems);
  return problems;
}

function problemsOfBoth({ mapping, lock, rename, exclusive, clockSkewMs }: TwoSides, shares: boolean | undefined, driver: DriverChoice): string[] {
  const problems: string[] = [];
  const mapped = mapping.theirs === 'seen' && mapping.ours === 'seen';
  if (shares === true && driver.driver === 'mapped' && !mapped) problems.push(`mapped memory does not reach the other side (theirs ${mapping.theirs}, ours ${mapping.ours}): use STP_DRIVER=direct`);
  if (exclusive.doubles > 0) problems.push(`of ${exclusive.files} files that both sides tried to create ${exclusive.doubles} had two creators, or none: two processes may get one number`);
  if (lock.lost > 0) problems.push(`${lock.lost} of ${lock.updates} updates under a lock were lost: a directory there is no lock, or what is written is seen too late`);
  if (rename.wrong > 0) problems.push(`${rename.wrong} of ${rename.reads} looks at a name during renames showed neither the old file nor the new one`);
  if (Math.abs(clockSkewMs) > SKEW_MS_MAX) problems.push(`the clocks are ${clockSkewMs} ms apart; the region does not mind, logs may`);
  return problems;
}

function tell(findings: Findings, json: boolean): void {
  process.stdout.write(json ? `${JSON.stringify(findings, null, 2)}\n` : `${lines(findings).join('\n')}\n`);
  if (findings.problems.length > 0) process.exitCode = ExitCode.failed;
}

function lines({ directory, driver, here, both, sharesPageCache, problems }: Findings): string[] {
  const ms = (value: number): string => `${value.toFixed(3)} ms`;
  const yes = (value: boolean): string => (value ? 'yes' : 'no');
  const seen = (verdict: MappingVerdict): string => (verdict === 'seen' ? 'all' : verdict === 'not seen' ? 'nothing' : 'not to be tried');
  return [
    `directory    ${directory}`,
    `file system  ${here.fileSystem}, ${here.local ? 'local: one page cache' : 'shared between hosts, or not known to be local'}`,
    `driver       ${driver.driver}: ${driver.detail}`,
    `block        written in ${ms(here.writeBlockP50Ms)}, read in ${ms(here.readBlockP50Ms)} (median)`,
    `throughput   ${here.writeMBs.toFixed(0)} MB/s in writes of 1 MiB, ${here.local ? 'to the page cache' : 'to the file server'}`,
    `can          O_DIRECT ${yes(here.odirect)}, FIFOs ${yes(here.fifos)}, link ${yes(here.links)}, rename ${yes(here.rename)}, mapping ${here.mapping === undefined ? 'not tried' : yes(here.mapping)}`,
    ...(both === undefined ? [] : [
      `other side   ${both.other}, ${sharesPageCache === true ? 'same kernel and mount: shares our page cache' : 'with a page cache of its own'}`,
      `visible      after ${ms(both.visibleP50Ms)}, p99 ${ms(both.visibleP99Ms)}; round trip ${ms(both.roundTripP50Ms)}, p99 ${ms(both.roundTripP99Ms)}`,
      `from there   ${both.readMBs.toFixed(0)} MB/s in chunks of 1 MiB, written there and read here`,
      `torn reads   ${both.torn.map(({ bytes, reads, torn }) => `${bytes} B: ${torn} of ${reads}`).join(', ')} (checksums find them, and they are read again)`,
      `mapping      of their stores we see: ${seen(both.mapping.theirs)}; of ours they see: ${seen(both.mapping.ours)}`,
      `locks        ${both.lock.lost} of ${both.lock.updates} updates lost under a lock (mkdir); to take it and give it back ${ms(both.lock.p50Ms)}, p99 ${ms(both.lock.p99Ms)}`,
      `creating     ${both.exclusive.doubles} of ${both.exclusive.files} files with two creators or none`,
      `renaming     ${both.rename.missing} of ${both.rename.reads} looks by name found nothing, ${both.rename.wrong} neither the old nor the new file`,
      `clocks       ${both.clockSkewMs} ms apart`,
    ]),
    ...(problems.length === 0 ? ['A region works here.'] : problems.map((problem) => `PROBLEM      ${problem}`)),
  ];
}
