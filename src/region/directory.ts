/**
 * The directory of a region: made where there is none, and looked at before anything in it is believed.
 *
 * It must belong to us, or to another user who lets our group in: its owner can put anything in the place of what we
 * read, and default directories lie where all users may create files.
 */
import { constants } from 'node:fs';
import path from 'node:path';
import { StpError } from '../errors';
import { accessOf, admitGroupToDirectory, fileError, io, isForGroup } from '../storage';

/** What STP_REGION_MODE may say: for the user alone, or for a group too. */
export const REGION_MODES = { private: 0o700, group: 0o770 } as const;
export type RegionMode = (typeof REGION_MODES)[keyof typeof REGION_MODES];

/** Of directories above one for a group: its members pass, and change nothing. */
const GROUP_PARENT_MODE = 0o750;
const GROUP_DIRECTORY_MODE = 0o2770;
const GROUP_ALL = 0o070;
const OTHERS_WRITE = 0o002;

const NOT_A_DIRECTORY: ReadonlySet<string> = new Set(['EEXIST', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EISDIR']);

/**
 * Makes the directory, with its parents, unless it is there: for our user alone, or as `mode` says. One of ours that is
 * there and empty gets the mode that was asked for. ESTPREGION, EACCES, EROFS, ENOSPC.
 */
export function makeRegionDirectory(directory: string, mode?: RegionMode): void {
  const wanted = mode ?? REGION_MODES.private;
  try {
    const made = makeWithParents(directory, wanted);
    if (mode === REGION_MODES.group && (made || isOursAndEmpty(directory))) letGroupIn(directory);
  } catch (error) {
    throw directoryError(error, directory);
  }
}

/** True where it was not there. @note Node 20-26: mkdir's own `recursive` says ENOENT for EROFS. */
function makeWithParents(directory: string, mode: number): boolean {
  try {
    io.mkdirSync(directory, { mode });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const parent = path.dirname(directory);
    if (code === 'ENOENT' && parent !== directory) {
      makeWithParents(parent, mode === REGION_MODES.group ? GROUP_PARENT_MODE : mode);
      return makeOnce(directory, mode);
    }
    // It was there and then it was not: a reset removed it in between.
    if (code === 'EEXIST' && io.lstatSync(directory, { throwIfNoEntry: false }) === undefined)
      return makeOnce(directory, mode);
    // A read-only file system, and Windows at the root of a drive, say other things than EEXIST of what is there.
    if (code === 'ENOENT' || !io.existsSync(directory)) throw error;
    return false;
  }
}

/** Others may make it at the same moment. */
function makeOnce(directory: string, mode: number): boolean {
  try {
    io.mkdirSync(directory, { mode });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function isOursAndEmpty(directory: string): boolean {
  const stat = io.lstatSync(directory);
  return (
    stat.isDirectory() &&
    stat.uid === process.geteuid?.() &&
    !isForGroup(stat) &&
    io.readdirSync(directory).length === 0
  );
}

/** Its group is what the directory above gave it, or that of this process. */
function letGroupIn(directory: string): void {
  admitGroupToDirectory(directory, {
    ...accessOf(directory),
    directoryMode: GROUP_DIRECTORY_MODE,
    groupId: io.lstatSync(directory).gid,
  });
}

/**
 * Checks that the directory is one, that we may believe and use it, and that it is for the users that `mode` says.
 * ENOENT, ESTPREGION, EACCES, EROFS.
 */
export function checkRegionDirectory(directory: string, access: 'read' | 'write', mode?: RegionMode): void {
  const { R_OK, W_OK, X_OK } = constants;
  try {
    if (!io.statSync(directory).isDirectory()) throw new StpError('ESTPREGION', `${directory} is not a directory`);
    checkOwner(directory);
    checkMode(directory, mode);
    io.accessSync(directory, access === 'write' ? R_OK | W_OK | X_OK : R_OK | X_OK);
  } catch (error) {
    throw directoryError(error, directory);
  }
}

function checkOwner(directory: string): void {
  const uid = process.getuid?.();
  if (uid === undefined) return;
  const link = io.lstatSync(directory);
  if (link.isSymbolicLink() && link.uid !== uid && link.uid !== 0) {
    throw new StpError('EACCES', `${directory} is a symbolic link that belongs to user ${link.uid}`);
  }
  const stat = io.statSync(directory);
  const isOurs = stat.uid === uid;
  if (isOurs && (stat.mode & OTHERS_WRITE) === 0) return;
  if (isOurs)
    throw new StpError(
      'EACCES',
      `everybody may write to ${directory}: use a directory of your own inside it, or take that right away (chmod o-w)`,
    );
  const groups = [process.getgid?.(), process.getegid?.(), ...(process.getgroups?.() ?? [])];
  if ((stat.mode & GROUP_ALL) === GROUP_ALL && (stat.mode & OTHERS_WRITE) === 0 && groups.includes(stat.gid)) return;
  throw new StpError(
    'EACCES',
    `${directory} belongs to user ${stat.uid}: use a directory of your own inside or beside it`,
  );
}

/**
 * A mode that was asked for is never ignored without an error: a user who asked for privacy does not get a group, nor
 * the other way round.
 */
function checkMode(directory: string, mode: RegionMode | undefined): void {
  if (mode === undefined || process.getuid === undefined) return;
  const forGroup = isForGroup(io.statSync(directory));
  if (forGroup === (mode === REGION_MODES.group)) return;
  const is = forGroup ? 'shared with a group' : 'for its user alone';
  throw new StpError(
    'ESTPREGION',
    `STP_REGION_MODE=0${mode.toString(8)}, but ${directory} is ${is}: ` +
      `'stp reset' removes it, and the next program makes it anew`,
  );
}

function directoryError(error: unknown, directory: string): StpError {
  if (error instanceof StpError) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code !== undefined && NOT_A_DIRECTORY.has(code))
    return new StpError('ESTPREGION', `${directory} is not a directory, or lies under a file`, undefined, {
      cause: error,
    });
  return fileError(error, 'open', directory);
}
