/**
 * A disk in memory for tests, shared by simulated processes, as unfriendly as storage between hosts can be.
 *
 * A write is seen at once by its writer's host (one page cache) and by other hosts only some ticks later, sector by
 * sector of 512 bytes, so that torn reads happen; never older over newer. The disk can fill up, and a process can die.
 * All is drawn from one seed: the same calls give the same run.
 */
import { StpError } from '../errors';
import { BLOCK_BYTES } from '../layout';
import { LOOKS_APART } from './block-file';
import { type PositionedFile } from './positioned-file';
import { type DiskImage, restoreFiles, saveFiles } from './simulated-image';

const SECTOR_BYTES = 512;

export interface SimulatedDiskOptions {
  readonly seed: number;
  /** Longest time until other hosts see a write, ticks, 0 to 16. Default 8. */
  readonly delayTicksMax?: number;
  /**
   * Longest time until the words of a ring are seen, ticks. Default 0, as between processes of one host. With more, a
   * look may miss what was stored before: rings of real memory never do that, so expect sleepers to be missed.
   */
  readonly ringDelayTicksMax?: number;
  /** Room on the disk, bytes. Default without end. */
  readonly capacityBytes?: number;
  /** How long a written frame may stay unreadable before it counts as damaged, ticks. Default a million. */
  readonly lateTicks?: number;
}

/** mulberry32: small, and good enough to choose delays. Numbers from 0 to below 1. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** A write that other hosts have not seen whole. */
export interface PendingWrite {
  readonly order: number;
  readonly position: number;
  readonly data: Uint8Array;
  /** Tick at which each sector is seen; -1: seen, or never will be. */
  readonly seenAt: Int32Array;
  left: number;
}

/** A ring: its data is one memory, its words are two when they are seen late. */
export interface SimulatedRing {
  readonly data: ArrayBuffer;
  readonly written: Int32Array;
  readonly seen: Int32Array;
  /** Snapshots of the words on their way, in order. */
  readonly pending: { readonly atTick: number; readonly words: Int32Array }[];
  last: Int32Array;
}

/**
 * The bytes of a file. What was only reserved, and holds zeros, may lie past their end: most of a log is never written.
 */
export class SimulatedFile {
  readonly owner: number;
  readonly host: number;
  modifiedAtTick = 0;
  sizeBytes = 0;
  seenBytes = 0;
  current = new Uint8Array(0);
  /** The same as `current` where nothing is seen late. */
  seen: Uint8Array;
  /** Order of the write that each sector in `seen` comes from. */
  seenOrder = new Int32Array(0);
  pending: PendingWrite[] = [];
  ring: SimulatedRing | undefined;

  readonly #late: boolean;

  constructor(owner: number, host: number, late: boolean) {
    this.owner = owner;
    this.host = host;
    this.#late = late;
    this.seen = late ? new Uint8Array(0) : this.current;
  }

  /** Makes room for `bytes` in both views. */
  grow(bytes: number): void {
    if (bytes <= this.current.length) return;
    const size = Math.max(bytes, this.current.length * 2);
    const current = new Uint8Array(size);
    current.set(this.current);
    this.current = current;
    if (!this.#late) {
      this.seen = current;
      return;
    }
    const seen = new Uint8Array(size);
    const order = new Int32Array(Math.ceil(size / SECTOR_BYTES));
    seen.set(this.seen);
    order.set(this.seenOrder);
    this.seen = seen;
    this.seenOrder = order;
  }
}

export class SimulatedDisk {
  readonly files = new Map<string, SimulatedFile>();
  readonly directories = new Set<string>();
  readonly options: Required<SimulatedDiskOptions>;
  readonly #random: () => number;
  readonly #waiting = new Set<SimulatedFile>();
  readonly #dead = new Set<number>();
  /** Called before a file is made, written or removed. */
  onOperation: (() => void) | null = null;
  /** Room on the disk, bytes; may be changed at any time. */
  capacityBytes: number;
  #usedBytes = 0;
  #nowTick = 0;
  #order = 0;

  constructor(options: SimulatedDiskOptions) {
    this.options = {
      delayTicksMax: 8,
      ringDelayTicksMax: 0,
      capacityBytes: Infinity,
      lateTicks: 1_000_000,
      ...options,
    };
    if (!(this.options.delayTicksMax >= 0 && this.options.delayTicksMax <= LOOKS_APART)) {
      throw new StpError(
        'EINVAL',
        `delayTicksMax must be from 0 to ${LOOKS_APART}: a reader looks so often before it gives up`,
      );
    }
    this.capacityBytes = this.options.capacityBytes;
    this.#random = seededRandom(options.seed);
  }

  get nowTick(): number {
    return this.#nowTick;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Lets time pass: what is due becomes visible. */
  tick(count = 1): void {
    for (let i = 0; i < count; i++) {
      this.#nowTick++;
      for (const file of this.#waiting) if (this.#settle(file)) this.#waiting.delete(file);
    }
  }

  /** Makes everything visible that was written. */
  settle(): void {
    this.tick(Math.max(this.options.delayTicksMax, this.options.ringDelayTicksMax) + 1);
  }

  /**
   * Process `process` is no more: its calls fail from now on and its files stay as they are. `torn`: it died in the
   * middle of its last writes, parts of which other hosts will never see.
   */
  crash(process: number, options: { torn?: boolean } = {}): void {
    this.#dead.add(process);
    if (options.torn !== true) return;
    for (const file of this.#waiting) {
      const last = file.owner === process ? file.pending.at(-1) : undefined;
      if (last === undefined) continue;
      for (let sector = 0; sector < last.seenAt.length; sector++) {
        if ((last.seenAt[sector] ?? -1) < 0 || this.#random() < 0.5) continue;
        last.seenAt[sector] = -1;
        last.left--;
      }
    }
  }

  checkAlive(process: number): void {
    if (this.#dead.has(process)) throw new StpError('EIO', `simulated process ${process} has crashed`);
  }

  /** What process `process` has written so far; {@link restore} takes back what it writes from now on. */
  imageOf(process: number): DiskImage {
    return saveFiles(this.files, process);
  }

  restore(process: number, image: DiskImage): void {
    restoreFiles(this.files, process, image);
    this.#usedBytes = 0;
    for (const file of this.files.values()) {
      this.#usedBytes += file.sizeBytes;
      if (file.pending.length > 0 || file.ring !== undefined) this.#waiting.add(file);
    }
  }

  /** Takes back the room of a file that was removed. */
  forget(file: SimulatedFile): void {
    this.#usedBytes -= file.sizeBytes;
  }

  write(file: SimulatedFile, data: Uint8Array, position: number, path: string): void {
    this.onOperation?.();
    const end = position + data.length;
    const more = Math.max(0, end - file.sizeBytes);
    if (this.#usedBytes + more > this.capacityBytes) throw new StpError('ENOSPC', path, 'write');
    this.#usedBytes += more;
    file.sizeBytes += more;
    file.modifiedAtTick = this.#nowTick;
    this.#order++;
    // Reserving is seen at once: nothing depends on when zeros come, and they would be most of the work.
    const reserves = more === data.length && isZero(data);
    if (!reserves) {
      file.grow(end);
      file.current.set(data, position);
    }
    if (this.options.delayTicksMax === 0 || reserves) {
      file.seenBytes = file.sizeBytes;
      return;
    }
    const seenAt = this.#delays(Math.ceil(data.length / SECTOR_BYTES));
    file.pending.push({ order: this.#order, position, data: new Uint8Array(data), seenAt, left: seenAt.length });
    this.#waiting.add(file);
  }

  /** Watches the words of a ring, where they are to be seen late. */
  watchRing(file: SimulatedFile): void {
    if (file.ring !== undefined && file.ring.written !== file.ring.seen) this.#waiting.add(file);
  }

  /** Half of the writes are seen whole, half sector by sector. */
  #delays(sectors: number): Int32Array {
    const draw = (): number => this.#nowTick + Math.floor(this.#random() * (this.options.delayTicksMax + 1));
    const seenAt = new Int32Array(sectors).fill(draw());
    if (this.#random() < 0.5) for (let sector = 0; sector < sectors; sector++) seenAt[sector] = draw();
    return seenAt;
  }

  /** Shows what is due; true where nothing is left to show. */
  #settle(file: SimulatedFile): boolean {
    for (const write of file.pending) this.#show(file, write);
    file.pending = file.pending.filter((write) => write.left > 0);
    const ring = file.ring;
    if (ring === undefined || ring.written === ring.seen) return file.pending.length === 0;
    this.#settleRing(ring);
    return false;
  }

  #show(file: SimulatedFile, write: PendingWrite): void {
    for (let sector = 0; sector < write.seenAt.length; sector++) {
      const due = write.seenAt[sector] ?? -1;
      if (due < 0 || due > this.#nowTick) continue;
      write.seenAt[sector] = -1;
      write.left--;
      const from = sector * SECTOR_BYTES;
      const at = write.position + from;
      const index = Math.floor(at / SECTOR_BYTES);
      if ((file.seenOrder[index] ?? 0) > write.order) continue;
      file.seenOrder[index] = write.order;
      file.seen.set(write.data.subarray(from, from + SECTOR_BYTES), at);
      file.seenBytes = Math.max(file.seenBytes, Math.min(file.sizeBytes, at + SECTOR_BYTES));
    }
  }

  #settleRing(ring: SimulatedRing): void {
    if (differ(ring.written, ring.last)) {
      ring.last = Int32Array.from(ring.written);
      const delay = Math.floor(this.#random() * (this.options.ringDelayTicksMax + 1));
      const after = ring.pending.at(-1)?.atTick ?? 0;
      ring.pending.push({ atTick: Math.max(after, this.#nowTick + delay), words: ring.last });
    }
    for (let next = ring.pending[0]; next !== undefined && next.atTick <= this.#nowTick; next = ring.pending[0]) {
      ring.seen.set(next.words);
      ring.pending.shift();
    }
  }
}

function differ(one: Int32Array, other: Int32Array): boolean {
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return true;
  return false;
}

const ZEROS = Buffer.alloc(64 * BLOCK_BYTES);

function isZero(data: Uint8Array): boolean {
  return data.length <= ZEROS.length && Buffer.compare(data, ZEROS.subarray(0, data.length)) === 0;
}

/** A file of the disk as one process has it open. */
export class SimulatedHandle implements PositionedFile {
  readonly path: string;
  readonly #disk: SimulatedDisk;
  readonly #file: SimulatedFile;
  readonly #process: number;
  readonly #local: boolean;
  #open = true;

  constructor(disk: SimulatedDisk, file: SimulatedFile, path: string, process: number, host: number) {
    this.path = path;
    this.#disk = disk;
    this.#file = file;
    this.#process = process;
    this.#local = host === file.host;
  }

  readAt(target: Buffer, at: number, length: number, position: number): number {
    this.#check();
    const bytes = Math.max(0, Math.min(length, this.sizeBytes() - position));
    const source = this.#local ? this.#file.current : this.#file.seen;
    const kept = source.subarray(position, position + bytes);
    target.set(kept, at);
    if (kept.length < bytes) target.fill(0, at + kept.length, at + bytes);
    return bytes;
  }

  writeAt(source: Buffer, at: number, length: number, position: number): void {
    this.#check();
    this.#disk.write(this.#file, source.subarray(at, at + length), position, this.path);
  }

  sizeBytes(): number {
    return this.#local ? this.#file.sizeBytes : this.#file.seenBytes;
  }

  pause(): void {
    this.#disk.tick();
  }

  takeMemory(bytes: number): Buffer {
    return Buffer.alloc(bytes);
  }

  giveMemory(): void {
    // Left to the garbage collector.
  }

  scratch(): Buffer {
    return scratchPage;
  }

  close(): void {
    this.#open = false;
  }

  #check(): void {
    this.#disk.checkAlive(this.#process);
    if (!this.#open) throw new StpError('EIO', `${this.path} is closed`);
  }
}

const scratchPage = Buffer.alloc(BLOCK_BYTES);
