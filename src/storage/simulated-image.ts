/**
 * What one process has written on a simulated disk, as it was at one moment: to take back what it did after that, as if
 * it had died then.
 *
 * Files have one writer, so nothing of others is touched. Objects that others hold on to (files, memories of rings)
 * stay the same ones.
 */
import { type PendingWrite, type SimulatedFile } from './simulated-disk';

interface SavedFile {
  readonly file: SimulatedFile;
  readonly sizeBytes: number;
  readonly seenBytes: number;
  readonly modifiedAtTick: number;
  readonly current: Uint8Array<ArrayBuffer>;
  readonly seen: Uint8Array<ArrayBuffer>;
  readonly seenOrder: Int32Array<ArrayBuffer>;
  readonly pending: readonly PendingWrite[];
  readonly ring: SavedRing | undefined;
}

interface SavedRing {
  readonly data: Uint8Array;
  readonly written: Int32Array;
  readonly seen: Int32Array;
  readonly last: Int32Array<ArrayBuffer>;
  readonly pending: SimulatedFileRing['pending'][number][];
}

type SimulatedFileRing = NonNullable<SimulatedFile['ring']>;

/** Files of one process by path. */
export type DiskImage = ReadonlyMap<string, SavedFile>;

export function saveFiles(files: ReadonlyMap<string, SimulatedFile>, process: number): DiskImage {
  const image = new Map<string, SavedFile>();
  for (const [path, file] of files) if (file.owner === process) image.set(path, saveFile(file));
  return image;
}

/** Leaves exactly the files of the image, each as it was. */
export function restoreFiles(files: Map<string, SimulatedFile>, process: number, image: DiskImage): void {
  for (const [path, file] of files) if (file.owner === process && !image.has(path)) files.delete(path);
  for (const [path, saved] of image) {
    restoreFile(saved);
    files.set(path, saved.file);
  }
}

function saveFile(file: SimulatedFile): SavedFile {
  const { sizeBytes, seenBytes, modifiedAtTick, ring } = file;
  return {
    file,
    sizeBytes,
    seenBytes,
    modifiedAtTick,
    current: new Uint8Array(file.current),
    seen: new Uint8Array(file.seen),
    seenOrder: new Int32Array(file.seenOrder),
    pending: file.pending.map(copyOf),
    ring:
      ring === undefined
        ? undefined
        : {
            data: new Uint8Array(ring.data.slice(0)),
            written: new Int32Array(ring.written),
            seen: new Int32Array(ring.seen),
            last: new Int32Array(ring.last),
            pending: [...ring.pending],
          },
  };
}

/** Sectors of a write become visible one by one. */
function copyOf(write: PendingWrite): PendingWrite {
  return { ...write, seenAt: new Int32Array(write.seenAt) };
}

function restoreFile(saved: SavedFile): void {
  const { file } = saved;
  const alike = file.seen === file.current;
  file.sizeBytes = saved.sizeBytes;
  file.seenBytes = saved.seenBytes;
  file.modifiedAtTick = saved.modifiedAtTick;
  file.current = saved.current;
  file.seen = alike ? saved.current : saved.seen;
  file.seenOrder = saved.seenOrder;
  file.pending = [...saved.pending];
  const { ring } = file;
  if (ring === undefined || saved.ring === undefined) return;
  new Uint8Array(ring.data).set(saved.ring.data);
  ring.written.set(saved.ring.written);
  // The same words where they are not seen late.
  ring.seen.set(saved.ring.seen);
  ring.last = saved.ring.last;
  ring.pending.splice(0, ring.pending.length, ...saved.ring.pending);
}
