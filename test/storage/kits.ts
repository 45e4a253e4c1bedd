/** The ways to store that the conformance suite is run over, each with a place of its own and a way to do damage. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { LINK_AT } from '../../src/layout';
import {
  FileStorage,
  fileSystemOf,
  loadNative,
  type FileStorageOptions,
  type LogIdentity,
  type LogWriter,
  type Storage,
} from '../../src/storage';
import { SimulatedDisk, type SimulatedFile } from '../../src/storage/simulated-disk';
import { SimulatedStorage } from '../../src/storage/simulated-storage';

export type Mechanism = 'ring' | 'frames';

/** One region's directory as two processes see it. */
export interface Site {
  readonly a: Storage;
  readonly b: Storage;
  /** Makes everything visible that was written. */
  settle(): void;
  /** Lets a little time pass. */
  tick(): void;
  /** Writes behind everybody's back. */
  overwrite(name: string, position: number, bytes: Uint8Array): void;
  truncate(name: string, sizeBytes: number): void;
  remove(): void;
}

export interface SiteOptions {
  readonly startPosition?: number;
  readonly lateMs?: number;
  readonly seed?: number;
}

export interface Kit {
  readonly name: string;
  readonly mechanism: Mechanism;
  /** True where two real processes can meet. */
  readonly file: FileStorageOptions | undefined;
  /** Why it can't run here; undefined where it can. */
  readonly skip: string | undefined;
  make(options?: SiteOptions): Site;
}

export const IDENTITY: LogIdentity = {
  from: 1,
  to: 2,
  fromEpoch: 0x1234_5678_9abc,
  toEpoch: 0xfed_cba9_8765,
  regionId: 77,
};
export const OPPOSITE: LogIdentity = {
  from: 2,
  to: 1,
  fromEpoch: IDENTITY.toEpoch,
  toEpoch: IDENTITY.fromEpoch,
  regionId: 77,
};

/** A fresh directory, for the kits and tests of files. */
export function freshDirectory(under = os.tmpdir()): string {
  return fs.mkdtempSync(path.join(under, 'stp-storage-'));
}

/** The file where byte `position` of a log lies: a ring has one of its own. */
function memoryOf(log: string, position: number): string {
  if (position < LINK_AT.words) return log;
  const name = fs.readdirSync(path.dirname(log)).find((other) => other.startsWith(`${path.basename(log)}.`));
  return name === undefined ? log : path.join(path.dirname(log), name);
}

function fileKit(
  name: string,
  mechanism: Mechanism,
  file: FileStorageOptions,
  skip: string | undefined,
  under?: string,
): Kit {
  const make = (options: SiteOptions = {}): Site => {
    const root = freshDirectory(under);
    const all = {
      ...file,
      ...(options.startPosition === undefined ? {} : { startPosition: options.startPosition }),
      ...(options.lateMs === undefined ? {} : { lateMs: options.lateMs }),
    };
    return {
      a: new FileStorage(root, all),
      b: new FileStorage(root, all),
      settle: nothing,
      tick: nothing,
      overwrite(place, position, bytes) {
        const fd = fs.openSync(memoryOf(path.join(root, place), position), 'r+');
        fs.writeSync(fd, bytes, 0, bytes.length, position);
        fs.closeSync(fd);
      },
      truncate(place, sizeBytes) {
        fs.truncateSync(memoryOf(path.join(root, place), sizeBytes), sizeBytes);
      },
      remove() {
        fs.rmSync(root, { recursive: true, force: true });
      },
    };
  };
  return { name, mechanism, file, skip, make };
}

function simulatedKit(name: string, mechanism: Mechanism, delayTicksMax: number, ringDelayTicksMax: number): Kit {
  const make = (options: SiteOptions = {}): Site => {
    const disk = new SimulatedDisk({
      seed: options.seed ?? 1,
      delayTicksMax,
      ringDelayTicksMax,
      lateTicks: options.lateMs ?? 1000,
    });
    const startPosition = options.startPosition ?? 0;
    const file = (place: string): SimulatedFile => {
      const found = disk.files.get(place);
      if (found === undefined) throw new Error(`no file ${place}`);
      return found;
    };
    return {
      a: new SimulatedStorage(disk, { process: 1, startPosition }),
      b: new SimulatedStorage(disk, { process: 2, startPosition }),
      settle: () => {
        disk.settle();
      },
      tick: () => {
        disk.tick();
      },
      overwrite(place, position, bytes) {
        disk.settle();
        overwriteSimulated(file(place), position, bytes);
      },
      truncate(place, sizeBytes) {
        disk.settle();
        file(place).sizeBytes = file(place).seenBytes = sizeBytes;
      },
      remove: nothing,
    };
  };
  return { name, mechanism, file: undefined, skip: undefined, make };
}

function overwriteSimulated(file: SimulatedFile, position: number, bytes: Uint8Array): void {
  const { ring } = file;
  if (ring !== undefined && position >= LINK_AT.data) new Uint8Array(ring.data).set(bytes, position - LINK_AT.data);
  else if (ring !== undefined && position >= LINK_AT.words) {
    for (const words of [ring.written, ring.seen]) new Uint8Array(words.buffer).set(bytes, position - LINK_AT.words);
  } else {
    file.grow(position + bytes.length);
    file.current.set(bytes, position);
    file.seen.set(bytes, position);
  }
}

function nothing(): void {
  // Real files are seen at once.
}

/** True where files in the directory can be opened with O_DIRECT. */
function takesDirect(directory: string): boolean {
  const place = path.join(directory, `.probe-${process.pid}`);
  try {
    fs.closeSync(fs.openSync(place, fs.constants.O_CREAT | fs.constants.O_RDWR | fs.constants.O_DIRECT, 0o600));
    return true;
  } catch {
    return false;
  } finally {
    fs.rmSync(place, { force: true });
  }
}

/** All kits of this machine. */
export function allKits(): Kit[] {
  const noNative = loadNative() === undefined ? 'koffi is missing' : undefined;
  const noRing = noNative ?? (fileSystemOf(os.tmpdir()).local ? undefined : 'the temp directory is not local');
  const noDirect = takesDirect(os.tmpdir()) ? undefined : 'the temp directory does not take O_DIRECT';
  const plain = { local: true, odirect: false };
  return [
    fileKit('mapped ring', 'ring', { driver: 'mapped', ...plain }, noRing),
    fileKit('mapped frames', 'frames', { driver: 'mapped', ...plain }, noNative),
    fileKit('direct, buffered', 'frames', { driver: 'direct', ...plain }, undefined),
    fileKit(
      'direct, buffered and synced, as where O_DIRECT is refused',
      'frames',
      { driver: 'direct', local: false, odirect: false },
      undefined,
    ),
    fileKit('direct with O_DIRECT', 'frames', { driver: 'direct', local: false, odirect: true }, noDirect),
    simulatedKit('simulated ring', 'ring', 8, 0),
    simulatedKit('simulated ring, seen late', 'ring', 8, 5),
    simulatedKit('simulated frames', 'frames', 8, 0),
    simulatedKit('simulated frames of one host', 'frames', 0, 0),
  ];
}

/** Tells the other end how far its log was read; for a log of frames that has nothing else to send, too. */
export function tellRead(log: LogWriter, position: number): void {
  log.acknowledge(position);
  log.publish();
}
