/**
 * A file read and written at positions, whole runs at a time: what blocks and frames are built on.
 *
 * PlainFile is the real one. With `direct` every read and write passes the page cache by (O_DIRECT, and O_DSYNC for
 * writes), so that other hosts see it; where the file system refuses that, writes are followed by fsync instead.
 */
import { constants } from 'node:fs';
import { StpError } from '../errors';
import { BLOCK_BYTES } from '../layout';
import { type Access } from './access';
import { canAlign, giveAligned, takeAligned } from './aligned-memory';
import { io } from './file-calls';
import {
  closeQuietly,
  codeOf,
  createExclusive,
  type FileIdentity,
  fileError,
  isPassing,
  openExisting,
  removeFile,
  reopenWritable,
} from './files';
import { linkInPlace, temporaryName } from './temporary';

export interface PositionedFile {
  /** For messages. */
  readonly path: string;
  /**
   * Reads up to `length` bytes at `position` into `target` at `at`; less only where the file ends. All multiples of
   * 4096.
   */
  readAt(target: Buffer, at: number, length: number, position: number): number;
  /** Writes all of `source` from `at`, `length` bytes, at `position`, or throws. All multiples of 4096. */
  writeAt(source: Buffer, at: number, length: number, position: number): void;
  sizeBytes(): number;
  /** Lets a little time pass between two looks at something torn. Blocks. */
  pause(): void;
  /** Zeroed memory that readAt and writeAt of this file take. */
  takeMemory(bytes: number): Buffer;
  giveMemory(memory: Buffer): void;
  /** 4096 bytes of such memory, shared by all files of the process: good until the next call on any of them. */
  scratch(): Buffer;
  /** What another thread of this process needs to open the same file for writing; only real files have it. */
  same?(): SameFile;
  close(): void;
}

/** A file that this process has made and holds open, told to another of its threads. */
export interface SameFile {
  readonly path: string;
  /** The descriptor that it is held open by: what is opened again must be the same file. */
  readonly fd: number;
  readonly direct: boolean;
  readonly access: Access;
}

/** How a PlainFile treats the page cache. */
export interface PlainFileOptions {
  /** Pass the page cache by. */
  readonly direct: boolean;
  readonly access: Access;
}

/** How the descriptor of a PlainFile was opened. */
interface Opened {
  /** With O_DIRECT. */
  readonly direct: boolean;
  /** Each write is to be followed by fsync. */
  readonly sync: boolean;
  readonly writable: boolean;
  readonly access: Access;
}

// Undefined on macOS and Windows.
const O_DIRECT = constants.O_DIRECT as number | undefined;
const O_DSYNC = (constants.O_DSYNC as number | undefined) ?? 0;

const PAUSE_MS = 3;
const pauseWord = new Int32Array(new SharedArrayBuffer(4));
let alignedScratch: Buffer | undefined;
const plainScratch = Buffer.alloc(BLOCK_BYTES);

export class PlainFile implements PositionedFile {
  readonly path: string;
  #fd: number;
  #direct: boolean;
  #sync: boolean;
  readonly #writable: boolean;
  readonly #access: Access;
  /**
   * Of a file that is ours on a shared storage: its handle may become stale, and then it must be the same that is
   * opened again.
   */
  readonly #identity: FileIdentity | undefined;

  private constructor(path: string, fd: number, { direct, sync, writable, access }: Opened) {
    this.path = path;
    this.#fd = fd;
    this.#direct = direct;
    this.#sync = sync;
    this.#writable = writable;
    this.#access = access;
    this.#identity = writable && (direct || sync) ? identityOf(fd, path) : undefined;
  }

  /** Creates a file; undefined where the path exists. */
  static create(path: string, options: PlainFileOptions): PlainFile | undefined {
    const fd = createExclusive(path, options.access);
    return fd === undefined ? undefined : PlainFile.#made(path, fd, options);
  }

  /**
   * As {@link create}, where hosts that share the path may create it at the same moment (temporary.ts). The file is
   * made in `directory`, of the same file system, where it stays if we are killed meanwhile.
   */
  static createLinked(path: string, directory: string, options: PlainFileOptions): PlainFile | undefined {
    let temporary: string;
    let made: number | undefined;
    do made = createExclusive((temporary = temporaryName(directory)), options.access);
    while (made === undefined);
    try {
      const linked = linkInPlace(temporary, path);
      if (linked === undefined) return PlainFile.create(path, options);
      // By its name: an NFS client keeps a file whose name is removed, under another one, for as long as it is open by
      // that name.
      return linked ? PlainFile.#made(path, reopenWritable(path, made), options) : undefined;
    } finally {
      closeQuietly(made);
      removeFile(temporary);
    }
  }

  static #made(path: string, fd: number, { direct, access }: PlainFileOptions): PlainFile {
    const plain = new PlainFile(path, fd, { direct: false, sync: direct, writable: true, access });
    // Not in one step: some file systems create the file and then refuse the flag, and we could not tell whose it is.
    if (direct && O_DIRECT !== undefined && canAlign()) plain.#tryDirect(O_DIRECT);
    return plain;
  }

  /** Opens a file for reading; undefined where there is none. */
  static open(path: string, { direct, access }: PlainFileOptions): PlainFile | undefined {
    const opened = { sync: false, writable: false, access };
    if (direct && O_DIRECT !== undefined && canAlign()) {
      try {
        const fd = openExisting(path, access, O_DIRECT);
        return fd === undefined ? undefined : new PlainFile(path, fd, { ...opened, direct: true });
      } catch (error) {
        if (codeOf(error) !== 'EINVAL' || error instanceof StpError) throw error;
      }
    }
    const fd = openExisting(path, access);
    return fd === undefined ? undefined : new PlainFile(path, fd, { ...opened, direct: false });
  }

  /**
   * Opens a file that another thread of this process has made, by a descriptor of our own. ESTPCORRUPT: something else
   * is in its place.
   */
  static again({ path, fd, direct, access }: SameFile): PlainFile {
    const opened = { sync: false, writable: true, access };
    if (direct && O_DIRECT !== undefined && canAlign()) {
      try {
        return new PlainFile(path, reopenWritable(path, fd, O_DIRECT | O_DSYNC), { ...opened, direct: true });
      } catch (error) {
        if (error instanceof StpError) throw error;
      }
    }
    // O_DSYNC in place of fsync: each write is one call.
    return new PlainFile(path, reopenWritable(path, fd, direct ? O_DSYNC : 0), { ...opened, direct: false });
  }

  same(): SameFile {
    return { path: this.path, fd: this.#fd, direct: this.#direct || this.#sync, access: this.#access };
  }

  /** True where reads and writes really pass the page cache by. */
  get direct(): boolean {
    return this.#direct;
  }

  get fd(): number {
    return this.#fd;
  }

  readAt(target: Buffer, at: number, length: number, position: number): number {
    let done = 0;
    while (done < length) {
      const bytes = this.#readOnce(target, at + done, length - done, position + done);
      done += bytes;
      // A read that ends inside a block is the end of the file: going on would not be aligned.
      if (bytes === 0 || done % BLOCK_BYTES !== 0) break;
    }
    return done;
  }

  writeAt(source: Buffer, at: number, length: number, position: number): void {
    let done = 0;
    while (done < length) {
      const bytes = this.#writeOnce(source, at + done, length - done, position + done);
      if (bytes <= 0) throw new StpError('EIO', `${this.path}: nothing was written`, 'write');
      done += bytes;
    }
    if (this.#sync) this.#flush();
  }

  sizeBytes(): number {
    try {
      return io.fstatSync(this.#fd).size;
    } catch (error) {
      throw fileError(error, 'fstat', this.path);
    }
  }

  pause(): void {
    Atomics.wait(pauseWord, 0, 0, PAUSE_MS);
  }

  takeMemory(bytes: number): Buffer {
    return this.#direct ? takeAligned(bytes) : Buffer.alloc(bytes);
  }

  giveMemory(memory: Buffer): void {
    giveAligned(memory);
  }

  scratch(): Buffer {
    if (!this.#direct) return plainScratch;
    alignedScratch ??= takeAligned(BLOCK_BYTES);
    return alignedScratch;
  }

  close(): void {
    if (this.#fd < 0) return;
    closeQuietly(this.#fd);
    this.#fd = -1;
  }

  #readOnce(target: Buffer, at: number, length: number, position: number): number {
    for (let tries = 1; ; tries++) {
      try {
        return io.readSync(this.#fd, target, at, length, position);
      } catch (error) {
        if (!this.#canGoOn(error, tries)) throw fileError(error, 'read', this.path);
      }
    }
  }

  #writeOnce(source: Buffer, at: number, length: number, position: number): number {
    for (let tries = 1; ; tries++) {
      try {
        return io.writeSync(this.#fd, source, at, length, position);
      } catch (error) {
        if (!this.#canGoOn(error, tries)) throw fileError(error, 'write', this.path);
      }
    }
  }

  #flush(): void {
    try {
      io.fsyncSync(this.#fd);
    } catch (error) {
      throw fileError(error, 'fsync', this.path);
    }
  }

  #tryDirect(flag: number): void {
    let fd: number;
    try {
      fd = reopenWritable(this.path, this.#fd, flag | O_DSYNC);
    } catch (error) {
      if (error instanceof StpError) throw error;
      return;
    }
    closeQuietly(this.#fd);
    this.#fd = fd;
    this.#direct = true;
    this.#sync = false;
  }

  /**
   * True where the call may be made again: after a signal, by a new handle where the old one is stale, or without
   * O_DIRECT, which some file systems take at open and refuse here.
   */
  #canGoOn(error: unknown, tries: number): boolean {
    if (this.#direct && codeOf(error) === 'EINVAL') return this.#reopenBuffered();
    if (!isPassing(error, tries)) return false;
    return codeOf(error) === 'EINTR' || this.#reopenStale();
  }

  /** By name, with the flags that it has now. */
  #reopenStale(): boolean {
    const flag = this.#direct ? (O_DIRECT ?? 0) : 0;
    const fd =
      this.#identity === undefined
        ? this.#reopenToRead(flag)
        : reopenWritable(this.path, this.#identity, this.#direct ? flag | O_DSYNC : 0);
    if (fd === undefined) return false;
    closeQuietly(this.#fd);
    this.#fd = fd;
    return true;
  }

  /** A writer of a local file has no stale handles: what says so is something else. */
  #reopenToRead(flag: number): number | undefined {
    return this.#writable ? undefined : openExisting(this.path, this.#access, flag);
  }

  #reopenBuffered(): boolean {
    const fd = this.#writable ? reopenWritable(this.path, this.#fd, O_DSYNC) : openExisting(this.path, this.#access);
    if (fd === undefined) return false;
    closeQuietly(this.#fd);
    this.#fd = fd;
    this.#direct = false;
    return true;
  }
}

function identityOf(fd: number, path: string): FileIdentity {
  try {
    return io.fstatSync(fd);
  } catch (error) {
    throw fileError(error, 'fstat', path);
  }
}
