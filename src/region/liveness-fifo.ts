/**
 * The liveness FIFO of a process: a FIFO that it alone holds open for reading, from before it tells of itself until its
 * death.
 *
 * The kernel closes it with the process, whatever killed it, so opening it for writing tells life from death at once
 * and without any guess, also between containers where pids mean nothing.
 */
import path from 'node:path';
import { crashPoint } from '../crash-points';
import { StpError } from '../errors';
import {
  closeFifo,
  closeQuietly,
  io,
  makeFifo,
  openLivenessFifo,
  openFifoWriter,
  ringFifo,
  type Storage,
} from '../storage';
import { encodeNotification, LOOK_AT_ALL } from './connect-notification';
import { livenessFifoPathOf } from './process-info';

export interface LivenessFifo {
  readonly path: string;
  /** Readable and non-blocking. */
  readonly fd: number;
  /** Which FIFO it is, to tell it from a file that gets its descriptor number after its reader has closed it. */
  readonly inode: number;
}

export type LivenessFifoState = 'open' | 'closed' | 'missing';

/**
 * Makes the liveness FIFO of process `number`; undefined where the file system or the platform has no FIFOs. ENOENT:
 * the region is being removed.
 */
export function makeLivenessFifo(storage: Storage, number: number): LivenessFifo | undefined {
  const absolute = absolutePath(storage, number);
  if (absolute === undefined) return undefined;
  // Numbers are never used twice: what may lie here was not made by a process of this region.
  storage.remove(livenessFifoPathOf(number));
  if (!makeFifo(absolute, storage.access)) return undefined;
  crashPoint('open.liveness-fifo-made');
  const fd = openLivenessFifo(absolute, storage.access);
  if (fd === undefined) throw new StpError('ENOENT', `${absolute} was removed while it was made`);
  return { path: absolute, fd, inode: io.fstatSync(fd).ino };
}

/** Closes a liveness FIFO, unless its reader has done so already. Never throws. */
export function closeLivenessFifo(fifo: LivenessFifo): void {
  try {
    const stat = io.fstatSync(fifo.fd);
    if (stat.isFIFO() && stat.ino === fifo.inode) closeFifo(fifo.fd);
  } catch {
    // It is closed already.
  }
}

/** 'closed': the FIFO is there and no process holds it open; 'missing': it is not there. */
export function probeLivenessFifo(storage: Storage, number: number): LivenessFifoState {
  const absolute = absolutePath(storage, number);
  if (absolute === undefined) return 'missing';
  const fd = openFifoWriter(absolute, storage.access);
  if (fd !== undefined) {
    closeQuietly(fd);
    return 'open';
  }
  // A liveness FIFO is made once, before its process tells of itself: what is there now was there when we notified.
  return storage.info(livenessFifoPathOf(number)) === undefined ? 'missing' : 'closed';
}

/** Makes the process behind a liveness FIFO look around. Does nothing where no process holds the liveness FIFO open. */
export function notifyProcess(storage: Storage, number: number): void {
  const absolute = absolutePath(storage, number);
  const fd = absolute === undefined ? undefined : openFifoWriter(absolute, storage.access);
  if (fd === undefined) return;
  try {
    ringFifo(fd, encodeNotification(LOOK_AT_ALL));
  } finally {
    closeQuietly(fd);
  }
}

function absolutePath(storage: Storage, number: number): string | undefined {
  return storage.driver === 'simulated' ? undefined : path.join(storage.root, livenessFifoPathOf(number));
}
