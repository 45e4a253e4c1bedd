/**
 * The directory of a region: made where there is none, and looked at before anything in it is believed.
 *
 * It must belong to us, or to another user who lets our group in: whoever owns it can put anything in the place of what we
 * read, and default directories lie where everybody may create files.
 */
import fs from 'node:fs';
import path from 'node:path';
import { type ErrorCode, StpError, toStpError } from '../errors';

const DIRECTORY_MODE = 0o700;
const GROUP_ALL = 0o070;
const OTHERS_WRITE = 0o002;
const STICKY = 0o1000;

const NOT_A_DIRECTORY: ReadonlySet<string> = new Set(['EEXIST', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EISDIR']);

/** Makes the directory (mode 0700, with its parents) unless it is there. ESTPREGION, EACCES, EROFS, ENOSPC. */
export function makeRegionDirectory(directory: string): void {
  try {
    makeWithParents(directory);
  } catch (error) {
    throw directoryError(error, directory);
  }
}

/** @note Node 20-26: mkdir's own `recursive` says ENOENT for EROFS. */
function makeWithParents(directory: string): void {
  try {
    fs.mkdirSync(directory, { mode: DIRECTORY_MODE });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const parent = path.dirname(directory);
    if (code === 'ENOENT' && parent !== directory) {
      makeWithParents(parent);
      fs.mkdirSync(directory, { mode: DIRECTORY_MODE });
      return;
    }
    // It was there and then it was not: a reset removed it in between.
    if (code === 'EEXIST' && fs.lstatSync(directory, { throwIfNoEntry: false }) === undefined) {
      fs.mkdirSync(directory, { mode: DIRECTORY_MODE });
      return;
    }
    // A read-only file system, and Windows at the root of a drive, say other things than EEXIST of what is there.
    if (code === 'ENOENT' || !fs.existsSync(directory)) throw error;
  }
}

/** Checks that the directory is one, and that we may believe and use it. ENOENT, ESTPREGION, EACCES, EROFS. */
export function checkRegionDirectory(directory: string, access: 'read' | 'write'): void {
  const { R_OK, W_OK, X_OK } = fs.constants;
  try {
    if (!fs.statSync(directory).isDirectory()) throw new StpError('ESTPREGION', `${directory} is not a directory`);
    checkOwner(directory);
    fs.accessSync(directory, access === 'write' ? R_OK | W_OK | X_OK : R_OK | X_OK);
  } catch (error) {
    throw directoryError(error, directory);
  }
}

function checkOwner(directory: string): void {
  const uid = process.getuid?.();
  if (uid === undefined) return;
  const link = fs.lstatSync(directory);
  if (link.isSymbolicLink() && link.uid !== uid && link.uid !== 0) {
    throw new StpError('EACCES', `${directory} is a symbolic link that belongs to user ${link.uid}`);
  }
  const stat = fs.statSync(directory);
  const isOurs = stat.uid === uid;
  if (isOurs && ((stat.mode & OTHERS_WRITE) === 0 || (stat.mode & STICKY) !== 0)) return;
  if (isOurs) throw new StpError('EACCES', `everybody may write to ${directory}: use a directory of your own inside it, or take that right away (chmod o-w)`);
  const groups = [process.getgid?.(), process.getegid?.(), ...(process.getgroups?.() ?? [])];
  if ((stat.mode & GROUP_ALL) === GROUP_ALL && (stat.mode & OTHERS_WRITE) === 0 && groups.includes(stat.gid)) return;
  throw new StpError('EACCES', `${directory} belongs to user ${stat.uid}: use a directory of your own inside or beside it`);
}

function directoryError(error: unknown, directory: string): StpError {
  if (error instanceof StpError) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code !== undefined && NOT_A_DIRECTORY.has(code)) return new StpError('ESTPREGION', `${directory} is not a directory, or lies under a file`, undefined, { cause: error });
  const renamed: ErrorCode | undefined = code === 'EPERM' ? 'EACCES' : undefined;
  if (renamed !== undefined) return new StpError(renamed, directory, 'open', { cause: error });
  return toStpError(error, 'open', `${directory}: ${error instanceof Error ? error.message : String(error)}`);
}
