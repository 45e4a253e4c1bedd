/**
 * Files of a region by descriptor: opening with the right flags and modes, whole reads and writes, and errors that name
 * the file.
 *
 * Invariants: files are 0600 and directories 0700; a symbolic link, a FIFO or a device in a file's place is damage
 * (ESTPCORRUPT) and is never followed, waited on or written.
 */
import fs from 'node:fs';
import { StpError, toStpError, type ErrorCode } from '../errors';

export const FILE_MODE = 0o600;
export const DIRECTORY_MODE = 0o700;

// Windows has none of these three; 0 leaves a flag out.
const O_NOFOLLOW = (fs.constants.O_NOFOLLOW as number | undefined) ?? 0;
/** Without it, opening a FIFO that somebody put in a file's place would wait for ever. */
const O_NONBLOCK = (fs.constants.O_NONBLOCK as number | undefined) ?? 0;

/** Attribute caches of network file systems give ESTALE once after a rename or a recreation. */
const STALE_TRIES_MAX = 4;

/** Codes of the system that have another name among ours. */
const RENAMED: Readonly<Record<string, ErrorCode>> = {
  EPERM: 'EACCES',
  ENFILE: 'EMFILE',
  ENOMEM: 'ENOBUFS',
  EFBIG: 'ENOSPC',
  ELOOP: 'ESTPCORRUPT',
  ENOTDIR: 'ESTPCORRUPT',
  EISDIR: 'ESTPCORRUPT',
  ENXIO: 'ESTPCORRUPT',
};

/** The code of what a file operation threw; undefined where it has none. */
export function codeOf(error: unknown): string | undefined {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** What a file operation threw, as StpError that names the call and the file. */
export function fileError(error: unknown, call: string, path: string): StpError {
  if (error instanceof StpError) return error;
  const renamed = RENAMED[codeOf(error) ?? ''];
  const text = error instanceof Error ? error.message : String(error);
  const detail = text.includes(path) ? text : `${path}: ${text}`;
  return renamed === undefined ? toStpError(error, call, detail) : new StpError(renamed, detail, call, { cause: error });
}

function openRetrying(path: string, flags: number, mode?: number): number {
  for (let tries = 1; ; tries++) {
    try {
      return fs.openSync(path, flags, mode);
    } catch (error) {
      const again = codeOf(error) === 'ESTALE' || codeOf(error) === 'EINTR';
      if (!again || tries >= STALE_TRIES_MAX) throw error;
    }
  }
}

/**
 * Opens an existing regular file, `extraFlags` added to O_RDONLY; undefined where there is none. What is not a regular file
 * throws ESTPCORRUPT. EINVAL comes through as thrown by the system: it is how a file system refuses O_DIRECT.
 */
export function openExisting(path: string, extraFlags = 0): number | undefined {
  let fd: number;
  try {
    fd = openRetrying(path, fs.constants.O_RDONLY | O_NOFOLLOW | O_NONBLOCK | extraFlags);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    if (codeOf(error) === 'EINVAL') throw error;
    throw fileError(error, 'open', path);
  }
  let regular: boolean;
  try {
    regular = fs.fstatSync(fd).isFile();
  } catch (error) {
    closeQuietly(fd);
    throw fileError(error, 'fstat', path);
  }
  if (regular) return fd;
  closeQuietly(fd);
  throw new StpError('ESTPCORRUPT', `${path} is not a regular file`, 'open');
}

/** Creates a file that is not there (mode 0600) for reading and writing; undefined where the path exists. EINVAL as above. */
export function createExclusive(path: string, extraFlags = 0): number | undefined {
  const { O_RDWR, O_CREAT, O_EXCL } = fs.constants;
  try {
    return openRetrying(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | extraFlags, FILE_MODE);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return undefined;
    if (codeOf(error) === 'EINVAL') throw error;
    throw fileError(error, 'open', path);
  }
}

/** Opens again, for reading and writing, a file that this process created. EINVAL as above. */
export function reopenWritable(path: string, extraFlags = 0): number {
  try {
    return openRetrying(path, fs.constants.O_RDWR | O_NOFOLLOW | extraFlags);
  } catch (error) {
    if (codeOf(error) === 'EINVAL') throw error;
    throw fileError(error, 'open', path);
  }
}

/** Removes a file; false where it was not there. */
export function removeFile(path: string): boolean {
  try {
    fs.unlinkSync(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw fileError(error, 'unlink', path);
  }
}

/** Closes a descriptor; what the file system has to say at this point helps nobody. */
export function closeQuietly(fd: number): void {
  try {
    fs.closeSync(fd);
  } catch {
    // The descriptor is released even where close reports an error.
  }
}
