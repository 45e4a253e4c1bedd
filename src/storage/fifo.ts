/**
 * FIFOs as bells: one byte wakes a sleeper, and the end of one tells of a death. Same kernel only.
 *
 * Ends: the liveness FIFO of a process is opened by openLivenessFifo and written by any process; a pair bell is read by
 * one process and written by one other. All ends are non-blocking. What is no FIFO in a bell's place is damage and is
 * never read or written.
 *
 * A process that reads a FIFO leaves its descriptor to a socket, which closes it. In a worker thread that must be one
 * that fs did not open: when the thread ends, Node closes what fs opened and has not closed, though the number may be a
 * file of another thread by then. @note Node 20-26
 */
import type * as ChildProcess from 'node:child_process';
import { constants, type Stats } from 'node:fs';
import os from 'node:os';
import { isMainThread } from 'node:worker_threads';
import { dirname } from 'node:path';
import { StpError } from '../errors';
import { type Access, admitGroupToBell, awaitGroup, distrust, PRIVATE } from './access';
import { io } from './file-calls';
import { closeQuietly, codeOf, fileError, isPassing, isPassingForNew, removeFile } from './files';
import { loadNative } from './native';

const { O_RDONLY, O_RDWR, O_WRONLY } = constants;
const O_NONBLOCK = (constants.O_NONBLOCK as number | undefined) ?? 0;
const O_NOFOLLOW = (constants.O_NOFOLLOW as number | undefined) ?? 0;
const ONE = Buffer.of(1);

/**
 * Errors by which file systems refuse a FIFO: 9p says ENXIO, and servers behind FUSE or 9p whatever comes to their
 * mind. The last three have other causes as well: where a file could be made in that place it is the FIFO that is
 * refused.
 */
const REFUSALS: readonly string[] = ['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'ENXIO', 'EPERM', 'EIO', 'EACCES'];

/**
 * Makes a FIFO (0600, or as `access` says), or finds it made; false where this platform or file system has none.
 * ENOSPC, EROFS, EACCES of the directory ... throw.
 */
export function makeFifo(path: string, access: Access = PRIVATE): boolean {
  if (process.platform === 'win32') return false;
  const native = loadNative();
  if (native === undefined) return makeFifoByCommand(path, access);
  for (let tries = 1; ; tries++) {
    const errno = native.makeFifo(path);
    if (errno === 0) {
      admitGroupToBell(path, access);
      return true;
    }
    const code = errnoName(errno);
    // One that was there and then was not is made again.
    if (code === 'EEXIST' && mustBeFifo(path, access)) return true;
    const error = Object.assign(new Error(code), { code: code === 'EEXIST' ? 'ENOENT' : code });
    if (isPassingForNew(error, tries)) continue;
    if (!REFUSALS.includes(code)) throw fileError(error, 'mkfifo', path);
    mustBeWritable(path);
    return false;
  }
}

/** Slower by some milliseconds, for where koffi is missing. */
function makeFifoByCommand(path: string, access: Access): boolean {
  if (io.existsSync(path)) return mustBeFifo(path, access);
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- costs a millisecond, and is rarely used.
  const { execFileSync } = require('node:child_process') as typeof ChildProcess;
  try {
    execFileSync('mkfifo', ['-m', '600', path], {
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
    });
  } catch (error) {
    if (io.existsSync(path)) return mustBeFifo(path, access);
    // Why a command failed has to be found out: a directory that can't take a file, or a full disk. Else there are no
    // FIFOs here.
    mustBeWritable(path);
    if (/No space left/i.test(error instanceof Error ? error.message : ''))
      throw new StpError('ENOSPC', path, 'mkfifo');
    return false;
  }
  admitGroupToBell(path, access);
  return true;
}

/** Throws EACCES, EROFS, ENOENT ... where no file at all could be made in the place of `path`. */
function mustBeWritable(path: string): void {
  try {
    io.accessSync(dirname(path), constants.W_OK | constants.X_OK);
  } catch (error) {
    throw fileError(error, 'mkfifo', path);
  }
}

function mustBeFifo(path: string, access: Access): boolean {
  let stat: Stats;
  try {
    stat = io.lstatSync(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw fileError(error, 'lstat', path);
  }
  checkFifo(stat, path, access, 'mkfifo');
  awaitGroup(path, access, access.bellMode);
  return true;
}

/** ESTPCORRUPT: no FIFO; EACCES: one that others than `access` says may have made, or may write. */
function checkFifo(stat: Stats, path: string, access: Access, call: string): void {
  if (!stat.isFIFO()) throw new StpError('ESTPCORRUPT', `${path} is not a FIFO`, call);
  const why = distrust(stat, access);
  if (why !== undefined) throw new StpError('EACCES', `${path} ${why}`, call);
}

/**
 * True where a socket may take over what openFifoReader and openLivenessFifo return. Elsewhere it can only be held
 * open.
 */
export function canListen(): boolean {
  return isMainThread || loadNative() !== undefined;
}

/** Closes what openFifoReader or openLivenessFifo returned. Never throws. */
export function closeFifo(fd: number): void {
  const native = isMainThread ? undefined : loadNative();
  if (native === undefined) closeQuietly(fd);
  else native.close(fd);
}

/** Opens the reading end; undefined where there is no such FIFO. It reads as ended until its writer has come. */
export function openFifoReader(path: string, access: Access = PRIVATE): number | undefined {
  return openFifo(path, O_RDONLY, access);
}

/** Opens a liveness FIFO: both ends, so that it never reads as ended. Undefined where there is no such FIFO. */
export function openLivenessFifo(path: string, access: Access = PRIVATE): number | undefined {
  return openFifo(path, O_RDWR, access);
}

/** Opens the writing end; undefined where no process has it open for reading (its owner is gone), or there is none. */
export function openFifoWriter(path: string, access: Access = PRIVATE): number | undefined {
  return openFifo(path, O_WRONLY, access);
}

function openFifo(path: string, flags: number, access: Access): number | undefined {
  const native = isMainThread || flags === O_WRONLY ? undefined : loadNative();
  let fd: number;
  try {
    fd = openAgain(native === undefined ? io.openSync : openPastNode, path, flags | O_NONBLOCK | O_NOFOLLOW);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || (code === 'ENXIO' && flags === O_WRONLY)) return undefined;
    throw fileError(error, 'open', path);
  }
  try {
    checkFifo(io.fstatSync(fd), path, access, 'open');
    return fd;
  } catch (error) {
    if (flags === O_WRONLY) closeQuietly(fd);
    else closeFifo(fd);
    throw fileError(error, 'fstat', path);
  }
}

function openAgain(open: (path: string, flags: number) => number, path: string, flags: number): number {
  for (let tries = 1; ; tries++) {
    try {
      return open(path, flags);
    } catch (error) {
      if (!isPassing(error, tries)) throw error;
    }
  }
}

function openPastNode(path: string, flags: number): number {
  const fd = loadNative()?.open(path, flags) ?? -os.constants.errno.ENOSYS;
  if (fd >= 0) return fd;
  throw Object.assign(new Error(`open ${path}`), { code: errnoName(-fd) });
}

function errnoName(errno: number): string {
  return Object.entries(os.constants.errno).find(([, value]) => value === errno)?.[0] ?? 'EIO';
}

/**
 * Rings: one byte, or a few that go in together. True where it rang, or is full of what was not heard yet; false where
 * no process listens any more.
 */
export function ringFifo(fd: number, bytes: Uint8Array = ONE): boolean {
  for (let tries = 1; ; tries++) {
    try {
      io.writeSync(fd, bytes, 0, bytes.length);
      return true;
    } catch (error) {
      const code = codeOf(error);
      if (code === 'EAGAIN') return true;
      if (code === 'EPIPE') return false;
      if (!isPassing(error, tries)) throw fileError(error, 'write', 'bell');
    }
  }
}

/** False where no process listens to the bell of a writing end any more, or that can't be told without ringing it. */
export function hasFifoReader(fd: number): boolean {
  return loadNative()?.hasReader(fd) ?? false;
}

/** Removes a FIFO; false where it was not there. */
export function removeFifo(path: string): boolean {
  return removeFile(path);
}
