/**
 * Files of a region by descriptor: opening with the right flags and modes, whole reads and writes, and errors that name
 * the file.
 *
 * Invariants: files are 0600 and directories 0700 unless a group shares the region (access.ts); a symbolic link, a FIFO
 * or a device in a file's place is damage (ESTPCORRUPT) and is never followed, waited on or written.
 */
import { constants } from 'node:fs';
import { StpError } from '../errors';
import { io } from './file-calls';
import { type Access, admitGroup, awaitGroup, distrust } from './access';
import { closeQuietly, codeOf, fileError } from './file-error';

export { closeQuietly, codeOf, fileError };

// Windows has none of these three; 0 leaves a flag out.
const O_NOFOLLOW = (constants.O_NOFOLLOW as number | undefined) ?? 0;
/** Without it, opening a FIFO that another process put in a file's place would wait for ever. */
const O_NONBLOCK = (constants.O_NONBLOCK as number | undefined) ?? 0;

/** Attribute caches of network file systems give ESTALE once after a rename or a recreation. */
const STALE_TRIES_MAX = 4;

/** Which file it is. */
export interface FileIdentity {
  readonly ino: number;
  readonly dev: number;
}

/**
 * True where a call may be made again as it was, after `tries` of them: a signal came in between, or an old handle was
 * used.
 */
export function isPassing(error: unknown, tries: number): boolean {
  const code = codeOf(error);
  return (code === 'ESTALE' || code === 'EINTR') && tries < STALE_TRIES_MAX;
}

/**
 * The same for a call that makes a name. ENOENT says that the directory is gone, but not on 9p: there it may mean that
 * the name was just being removed (its client looks the name up first, and in two steps).
 */
export function isPassingForNew(error: unknown, tries: number): boolean {
  return isPassing(error, tries) || (codeOf(error) === 'ENOENT' && tries < STALE_TRIES_MAX);
}

function openRetrying(path: string, flags: number, mode?: number): number {
  const passes = (flags & constants.O_CREAT) === 0 ? isPassing : isPassingForNew;
  for (let tries = 1; ; tries++) {
    try {
      return io.openSync(path, flags, mode);
    } catch (error) {
      if (!passes(error, tries)) throw error;
    }
  }
}

/** Another user of the group may just have made the file, and not have let us in yet. */
function openOfGroup(path: string, access: Access, flags: number): number {
  try {
    return openRetrying(path, flags);
  } catch (error) {
    if (codeOf(error) !== 'EACCES' || access.groupId === undefined) throw error;
    awaitGroup(path, access, access.fileMode);
    return openRetrying(path, flags);
  }
}

/**
 * Opens an existing regular file, `extraFlags` added to O_RDONLY; undefined where there is none. What is not a regular
 * file throws ESTPCORRUPT, one that others than `access` says may have written EACCES. EINVAL comes through as thrown
 * by the system: it is how a file system refuses O_DIRECT.
 */
export function openExisting(path: string, access: Access, extraFlags = 0): number | undefined {
  let fd: number;
  try {
    fd = openOfGroup(path, access, constants.O_RDONLY | O_NOFOLLOW | O_NONBLOCK | extraFlags);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    if (codeOf(error) === 'EINVAL') throw error;
    throw fileError(error, 'open', path);
  }
  try {
    const stat = io.fstatSync(fd);
    if (!stat.isFile()) throw new StpError('ESTPCORRUPT', `${path} is not a regular file`, 'open');
    const why = distrust(stat, access);
    if (why !== undefined) throw new StpError('EACCES', `${path} ${why}`, 'open');
    return fd;
  } catch (error) {
    closeQuietly(fd);
    // 9p: it was removed since it was opened.
    if (codeOf(error) === 'ENOENT') return undefined;
    throw fileError(error, 'fstat', path);
  }
}

/**
 * Creates a file that is not there (with the mode of `access`) for reading and writing; undefined where the path
 * exists. EINVAL as above.
 */
export function createExclusive(path: string, access: Access): number | undefined {
  const { O_RDWR, O_CREAT, O_EXCL } = constants;
  let fd: number;
  try {
    fd = openRetrying(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, access.fileMode);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return undefined;
    if (codeOf(error) === 'EINVAL') throw error;
    throw fileError(error, 'open', path);
  }
  try {
    admitGroup(fd, path, access.fileMode, access.groupId);
    return fd;
  } catch (error) {
    closeQuietly(fd);
    throw error;
  }
}

/**
 * Opens again, for reading and writing, a file that this process created: the one behind `made`, a descriptor, or of
 * that identity. ESTPCORRUPT: something else is in its place. EINVAL as above.
 */
export function reopenWritable(path: string, made: number | FileIdentity, extraFlags = 0): number {
  let again: number;
  try {
    again = openRetrying(path, constants.O_RDWR | O_NOFOLLOW | O_NONBLOCK | extraFlags);
  } catch (error) {
    if (codeOf(error) === 'EINVAL') throw error;
    throw fileError(error, 'open', path);
  }
  try {
    const before = typeof made === 'number' ? io.fstatSync(made) : made;
    const now = io.fstatSync(again);
    if (before.ino !== now.ino || before.dev !== now.dev)
      throw new StpError('ESTPCORRUPT', `${path} was replaced`, 'open');
    return again;
  } catch (error) {
    closeQuietly(again);
    throw fileError(error, 'fstat', path);
  }
}

/** Makes a directory; false where something is in its place. */
export function makeDirectory(path: string, mode: number): boolean {
  for (let tries = 1; ; tries++) {
    try {
      io.mkdirSync(path, { mode });
      return true;
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      if (!isPassingForNew(error, tries)) throw fileError(error, 'mkdir', path);
    }
  }
}

/** Removes a file; false where it was not there. */
export function removeFile(path: string): boolean {
  try {
    io.unlinkSync(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw fileError(error, 'unlink', path);
  }
}
