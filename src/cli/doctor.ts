/**
 * `stp doctor`: whether a region works in a directory, tried with two processes, and what the directory can do,
 * measured, from one side or from both.
 */
import fs from 'node:fs';
import os from 'node:os';
import type { StpError } from '../errors';
import { checkRegionDirectory, machine, regionOptions, type RegionOptions, sharingId } from '../region';
import {
  answerProbe,
  chooseDriver,
  codeOf,
  fileError,
  FileStorage,
  probeOneSide,
  probeTwoSides,
  type TwoSides,
} from '../storage';
import { type Diagnosis, diagnose, hasRegion, lines } from './diagnosis';
import { CliFailure, ExitCode } from './failure';
import { tryRegion } from './trial';

export interface DoctorOptions {
  readonly peer?: boolean;
  readonly join?: boolean;
  readonly timeout: string;
  readonly json?: boolean;
}

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
  ESTPDRIVER: 'the driver that STP_DRIVER asks for can not be used here; auto chooses one that can',
  ESTPCORRUPT: 'what lies in it was not made by this version of stp-net',
};

/** Measures and prints; exit code 1 where a region would not work there. */
export function doctor(directory: string | undefined, options: DoctorOptions): void {
  if (options.peer === true && options.join === true)
    throw new CliFailure('--peer and --join: a side is one or the other', ExitCode.usage);
  if (!/^[1-9][0-9]{0,4}$/u.test(options.timeout))
    throw new CliFailure(`--timeout ${options.timeout}: must be 1 to 99999 seconds`, ExitCode.usage);
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
    if (options.json === true)
      process.stdout.write(`${JSON.stringify({ directory: own.directory, code: told.code, reason: told.message })}\n`);
    throw new CliFailure(
      `${own.directory}: ${plainWords(told, own.directory, begun)}`,
      ExitCode.failed,
      `  ${told.message}`,
    );
  }
}

function plainWords({ code }: StpError, directory: string, begun: boolean): string {
  if (code !== 'ENOENT') return PLAIN_WORDS[code] ?? 'it can not hold a region';
  if (fs.existsSync(directory))
    return 'files that are made there vanish: somebody removes them, or it is not a file system for files';
  if (begun) return 'it was removed or unmounted while it was measured';
  return isLink(directory)
    ? 'it is a symbolic link that leads nowhere'
    : 'there is no such directory on this host: is the shared file system mounted?';
}

function isLink(directory: string): boolean {
  return fs.lstatSync(directory, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

function join(directory: string, options: DoctorOptions): void {
  process.stderr.write(`Waiting for stp doctor DIR --peer on the other host; here DIR is ${directory}\n`);
  const other = nameOf(answerProbe(directory, sideOf(directory), secondsOf(options) * 1000));
  process.stdout.write(
    options.json === true
      ? `${JSON.stringify({ directory, other })}\n`
      : 'Measured; the other side tells the result.\n',
  );
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

function examine({ directory, driver: wanted }: RegionOptions, options: DoctorOptions): Diagnosis {
  const here = probeOneSide(directory);
  const driver = chooseDriver(directory, wanted);
  const trial = tryRegion(directory);
  let both: TwoSides | undefined;
  let sharesPageCache: boolean | undefined;
  if (options.peer === true) {
    process.stderr.write(`Waiting for stp doctor DIR --join on the other host; here DIR is ${directory}\n`);
    const side = sideOf(directory);
    const measured = probeTwoSides(directory, side, secondsOf(options) * 1000);
    sharesPageCache = measured.other.split(' ')[0] === side.split(' ')[0];
    both = { ...measured, other: nameOf(measured.other) };
  }
  return diagnose({ directory, driver, here, trial, both, sharesPageCache });
}

function tell(found: Diagnosis, json: boolean): void {
  process.stdout.write(json ? `${JSON.stringify(found, null, 2)}\n` : `${lines(found).join('\n')}\n`);
  if (!found.works) process.exitCode = ExitCode.failed;
}
