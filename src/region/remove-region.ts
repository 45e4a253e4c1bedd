/**
 * Removing a region that no live process uses. For the `stp reset` command only: this is the one place that loads
 * proper-lockfile, which adds listeners to the process.
 *
 * Order: two resets exclude each other by a lock; then a mark tells openers to wait for the outcome. A process that had
 * read the header before finds the mark before it goes live, and a process that is live is seen when we look after
 * making the mark; if there is one, the mark is taken away and nothing has changed. Process files go in order and after
 * all else but the header, so that no new process gets a number that is still to be removed. The header goes next, the
 * mark last. Only names that a region makes are touched; nothing is followed, or removed with what is in it.
 */
import path from 'node:path';
import type * as ProperLockfile from 'proper-lockfile';
import { StpError, toStpError } from '../errors';
import { REGION_PATHS } from '../layout';
import { io, type Storage, TEMPORARY_PREFIX } from '../storage';
import { checkRegionDirectory } from './directory';
import { probeLivenessFifo } from './liveness-fifo';
import { readHeader, REMOVING_PATH } from './header';
import { inspectRegion, type RegionSnapshot, readOnlyStorage } from './inspect';
import { type ProcessInfo } from './process-info';
import { listNumbers, numberOfMark, numberOfName } from './process-numbers';
import { pairOfName } from './recovery';

export interface RemovedRegion {
  /** Files removed. */
  readonly files: number;
  /** True where the directory itself is gone as well. */
  readonly directory: boolean;
  /** What else lies in the directory: no region made it, and it was left. */
  readonly left: readonly string[];
}

/** A directory under the region, held by the reset that works here. */
const LOCK_NAME = 'reset.lock';
/** Attribute caches of network file systems hide a lock's refresh for some seconds. */
const LOCK_STALE_MS = 15_000;

/**
 * Removes the region in `directory`. EBUSY: a live process uses it (the message names it), or may use it, or another
 * reset is under way; ESTPREGION: it is no region; ENOENT, EACCES, EROFS.
 */
export function removeRegion(directory: string): RemovedRegion {
  checkRegionDirectory(directory, 'write');
  const storage = readOnlyStorage(directory);
  requireRegion(storage, storage.list('').includes(REMOVING_PATH));
  const unlock = lock(storage.root);
  let removed: Omit<RemovedRegion, 'directory'>;
  try {
    removed = removeLocked(storage);
  } finally {
    unlock();
  }
  return { ...removed, directory: removed.left.length === 0 && removeDirectory(storage.root) };
}

/**
 * The header must be there, and be one; where an earlier reset died it may be gone already. One of another version, or
 * a damaged one, is a region's where the directories are there as well.
 */
function requireRegion(storage: Storage, mayBeHalfGone: boolean): void {
  const names = storage.list('');
  if (mayBeHalfGone && !names.includes(REGION_PATHS.header)) return;
  if (!names.includes(REGION_PATHS.header)) throw new StpError('ESTPREGION', `there is no region in ${storage.root}`);
  const hasDirectories = [REGION_PATHS.processes, REGION_PATHS.links, REGION_PATHS.bells].every((name) =>
    names.includes(name),
  );
  try {
    readHeader(storage);
  } catch (error) {
    const isDoubtful = error instanceof StpError && (error.code === 'ESTPVERSION' || error.code === 'ESTPCORRUPT');
    if (!isDoubtful || !hasDirectories) throw error;
  }
}

function removeLocked(storage: Storage): Omit<RemovedRegion, 'directory'> {
  // Where the mark is there already, an earlier reset died: we hold its lock now.
  const hasDied = !storage.publishOnce(REMOVING_PATH, new Uint8Array(0));
  let links: string[];
  let bells: string[];
  let numbers: number[];
  try {
    requireRegion(storage, hasDied);
    // Listed before the look: what a new process makes has a number above all of these.
    links = storage.list(REGION_PATHS.links);
    bells = storage.list(REGION_PATHS.bells);
    numbers = listNumbers(storage).sort((a, b) => a - b);
    refuseWhereAnybodyLives(storage, inspectRegion(storage.root), bells);
  } catch (error) {
    storage.remove(REMOVING_PATH);
    throw error;
  }
  let files = removeNames(storage, REGION_PATHS.links, links, isPair);
  files += removeNames(storage, REGION_PATHS.bells, bells, (name) => isPair(name) || numberOfName(name) !== 0);
  files += removeNames(
    storage,
    REGION_PATHS.processes,
    storage.list(REGION_PATHS.processes),
    (name) => numbers.includes(numberOfName(name)) || numberOfMark(name) !== 0,
  );
  for (const name of [REGION_PATHS.links, REGION_PATHS.bells, REGION_PATHS.processes])
    removeDirectory(path.join(storage.root, name));
  files += removeNames(storage, '', storage.list(''), (name) => name === REGION_PATHS.header);
  storage.remove(REMOVING_PATH);
  return { files, left: storage.list('').filter((name) => name !== LOCK_NAME) };
}

function refuseWhereAnybodyLives(storage: Storage, snapshot: RegionSnapshot, bells: readonly string[]): void {
  const living = snapshot.processes
    .filter((process) => process.alive !== 'dead')
    .map((process) => describe(process.info, process.alive));
  const known = new Set(snapshot.processes.map((process) => process.info.number));
  // Where an identity can't be read, the liveness FIFO still tells.
  for (const name of bells) {
    const number = numberOfName(name);
    if (number !== 0 && !known.has(number) && probeLivenessFifo(storage, number) === 'open')
      living.push(`process ${number}`);
  }
  if (living.length > 0) throw new StpError('EBUSY', `in use by ${living.join(', ')}`);
}

function describe(info: ProcessInfo, alive: string): string {
  const doubt = alive === 'unknown' ? ', on another host or in another container, perhaps alive' : '';
  return `process ${info.number} (system ${info.system}, pid ${info.pid}: ${info.title}${doubt})`;
}

function removeNames(
  storage: Storage,
  directory: string,
  names: readonly string[],
  isOurs: (name: string) => boolean,
): number {
  let removed = 0;
  for (const name of names) {
    // A process that waits for us too long takes us for dead and takes the mark away: from then on nothing here is ours
    // to remove.
    if (storage.info(REMOVING_PATH) === undefined)
      throw new StpError('EBUSY', 'somebody opened the region while it was removed');
    if (
      (isOurs(name) || name.startsWith(TEMPORARY_PREFIX)) &&
      storage.remove(directory === '' ? name : `${directory}/${name}`)
    )
      removed += 1;
  }
  return removed;
}

function isPair(name: string): boolean {
  return pairOfName(name) !== undefined;
}

/** Removes an empty directory; one that holds something foreign, or that something is mounted on, stays. */
function removeDirectory(directory: string): boolean {
  try {
    io.rmdirSync(directory);
    return true;
  } catch {
    return false;
  }
}

function lock(root: string): () => void {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- loaded here only: it patches its process.
  const lockfile = require('proper-lockfile') as typeof ProperLockfile;
  try {
    return lockfile.lockSync(root, { lockfilePath: path.join(root, LOCK_NAME), stale: LOCK_STALE_MS, realpath: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ELOCKED') throw new StpError('EBUSY', 'another reset is under way');
    throw toStpError(error, 'mkdir');
  }
}
