/**
 * Which users may use the files of a region: its user alone, or a group as well. Decided by the region's directory, so
 * that all processes that share it agree.
 *
 * For a group, files are 0640 and not 0660: each has one writer, and no other process needs to write. A process that
 * can't open a file for writing can't cut it short while another has it mapped, as long as the file has a name. Bells
 * are 0660, as they are rung by other processes; directories 2770, so that what is made in them belongs to the group.
 * Modes are set on the descriptor: neither the umask nor a link put in a file's place gets in between.
 */
import { constants, type Stats } from 'node:fs';
import { StpError } from '../errors';
import { io } from './file-calls';
import { closeQuietly, codeOf, fileError } from './file-error';

export interface Access {
  readonly fileMode: number;
  readonly bellMode: number;
  readonly directoryMode: number;
  /** Group of what is made; undefined where there is no group. */
  readonly groupId: number | undefined;
  /** Users whose files are believed; undefined: all who may make some, which the directory decides. */
  readonly owners: ReadonlySet<number> | undefined;
}

const GROUP_ALL = 0o070;
const OTHERS_WRITE = 0o002;
const PERMISSIONS = 0o7777;
/** Longest time between the making of a thing and its opening to the group, milliseconds. */
const MADE_MS_MAX = 500;
const STEP_MS = 5;
const pauseWord = new Int32Array(new SharedArrayBuffer(4));
const ROOT = 0;
const O_DIRECTORY = (constants.O_DIRECTORY as number | undefined) ?? 0;
const O_NOFOLLOW = (constants.O_NOFOLLOW as number | undefined) ?? 0;
const O_NONBLOCK = (constants.O_NONBLOCK as number | undefined) ?? 0;

/** For one user, and for a process that only looks. */
export const PRIVATE: Access = {
  fileMode: 0o600,
  bellMode: 0o600,
  directoryMode: 0o700,
  groupId: undefined,
  owners: undefined,
};

/** What the directory of a region says. Throws ENOENT, EACCES ... */
export function accessOf(directory: string): Access {
  if (process.geteuid === undefined) return PRIVATE;
  let stat: Stats;
  try {
    stat = io.statSync(directory);
  } catch (error) {
    throw fileError(error, 'stat', directory);
  }
  if (isForGroup(stat))
    return { fileMode: 0o640, bellMode: 0o660, directoryMode: 0o2770, groupId: stat.gid, owners: undefined };
  return { ...PRIVATE, owners: new Set([process.geteuid(), stat.uid, ROOT]) };
}

/** True where a directory lets its group do everything. */
export function isForGroup(stat: { readonly mode: number }): boolean {
  return (stat.mode & GROUP_ALL) === GROUP_ALL;
}

/**
 * Gives something that we have just made, and have open, its group and mode. Where others than a group matter the mode
 * it was made with is right.
 */
export function admitGroup(fd: number, path: string, mode: number, groupId: number | undefined): void {
  if (groupId === undefined) return;
  try {
    const stat = io.fstatSync(fd);
    if (stat.uid !== process.geteuid?.())
      throw new StpError('ESTPCORRUPT', `${path} was replaced while it was made`, 'open');
    if (stat.gid !== groupId) io.fchownSync(fd, -1, groupId);
    // After fchown, which may take bits away.
    if ((stat.mode & PERMISSIONS) !== mode) io.fchmodSync(fd, mode);
  } catch (error) {
    // Some file systems of other systems (vboxsf, cifs) have no modes of their own: what they show is what they do.
    if (codeOf(error) === 'EPERM' || codeOf(error) === 'ENOTSUP' || codeOf(error) === 'EOPNOTSUPP') return;
    throw fileError(error, 'fchmod', path);
  }
}

/** As {@link admitGroup}, for a directory. */
export function admitGroupToDirectory(path: string, access: Access): void {
  admitGroupByPath(path, O_DIRECTORY, access.directoryMode, access.groupId);
}

/**
 * As {@link admitGroup}, for a FIFO. Opened for reading: a writer that comes and goes would look to its reader like a
 * death.
 */
export function admitGroupToBell(path: string, access: Access): void {
  admitGroupByPath(path, O_NONBLOCK, access.bellMode, access.groupId);
}

function admitGroupByPath(path: string, flags: number, mode: number, groupId: number | undefined): void {
  if (groupId === undefined) return;
  let fd: number;
  try {
    fd = io.openSync(path, constants.O_RDONLY | O_NOFOLLOW | flags);
  } catch (error) {
    throw fileError(error, 'open', path);
  }
  try {
    admitGroup(fd, path, mode, groupId);
  } finally {
    closeQuietly(fd);
  }
}

/**
 * Waits until what another user has just made is open to the group too, for as long as that can take: its maker does so
 * in the next step. Returns in any case; a caller that may not use it then is told so by the system.
 */
export function awaitGroup(path: string, access: Access, mode: number): void {
  if (access.groupId === undefined) return;
  for (let waitedMs = 0; waitedMs < MADE_MS_MAX; waitedMs += STEP_MS) {
    const stat = io.lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined || (stat.mode & mode & GROUP_ALL) === (mode & GROUP_ALL)) return;
    Atomics.wait(pauseWord, 0, 0, STEP_MS);
  }
}

/** Says why the file behind `stat` is not to be believed; undefined where it is. */
export function distrust(stat: { readonly mode: number; readonly uid: number }, access: Access): string | undefined {
  if (process.geteuid === undefined) return undefined;
  if ((stat.mode & OTHERS_WRITE) !== 0) return 'may be written by everybody';
  if (access.owners !== undefined && !access.owners.has(stat.uid)) return `belongs to user ${stat.uid}`;
  return undefined;
}
