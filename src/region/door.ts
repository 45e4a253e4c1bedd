/**
 * The door of a process: a FIFO that it alone holds open for reading, from before it tells of itself until its death.
 *
 * The kernel closes it with the process, whatever killed it, so opening it for writing tells life from death at once
 * and without any guess, also between containers where pids mean nothing.
 */
import path from 'node:path';
import { crashPoint } from '../crash-points';
import { StpError } from '../errors';
import { closeFifo, closeQuietly, io, makeFifo, openDoor, openFifoWriter, ringFifo, type Storage } from '../storage';
import { doorPathOf } from './process-info';

export interface Door {
  readonly path: string;
  /** Readable and non-blocking. */
  readonly fd: number;
  /** Which FIFO it is, to tell it from a file that gets its descriptor number after its reader has closed it. */
  readonly inode: number;
}

export type DoorState = 'open' | 'shut' | 'missing';

/**
 * Makes the door of process `number`; undefined where the file system or the platform has no FIFOs. ENOENT: the region
 * is being removed.
 */
export function makeDoor(storage: Storage, number: number): Door | undefined {
  const absolute = absoluteDoorPath(storage, number);
  if (absolute === undefined) return undefined;
  // Numbers are never used twice: what may lie here was not made by a process of this region.
  storage.remove(doorPathOf(number));
  if (!makeFifo(absolute, storage.access)) return undefined;
  crashPoint('open.door-made');
  const fd = openDoor(absolute, storage.access);
  if (fd === undefined) throw new StpError('ENOENT', `${absolute} was removed while it was made`);
  return { path: absolute, fd, inode: io.fstatSync(fd).ino };
}

/** Closes a door, unless its reader has done so already. Never throws. */
export function shutDoor(door: Door): void {
  try {
    const stat = io.fstatSync(door.fd);
    if (stat.isFIFO() && stat.ino === door.inode) closeFifo(door.fd);
  } catch {
    // It is closed already.
  }
}

/** Knocks. 'shut': the FIFO is there and no process holds it open; 'missing': it is not there. */
export function probeDoor(storage: Storage, number: number): DoorState {
  const absolute = absoluteDoorPath(storage, number);
  if (absolute === undefined) return 'missing';
  const fd = openFifoWriter(absolute, storage.access);
  if (fd !== undefined) {
    closeQuietly(fd);
    return 'open';
  }
  // A door is made once, before its process tells of itself: what is there now was there when we knocked.
  return storage.info(doorPathOf(number)) === undefined ? 'missing' : 'shut';
}

/** Makes the process behind a door look around. Does nothing where no process holds the door open. */
export function knockAtDoor(storage: Storage, number: number): void {
  const absolute = absoluteDoorPath(storage, number);
  const fd = absolute === undefined ? undefined : openFifoWriter(absolute, storage.access);
  if (fd === undefined) return;
  try {
    ringFifo(fd);
  } finally {
    closeQuietly(fd);
  }
}

function absoluteDoorPath(storage: Storage, number: number): string | undefined {
  return storage.driver === 'simulated' ? undefined : path.join(storage.root, doorPathOf(number));
}
