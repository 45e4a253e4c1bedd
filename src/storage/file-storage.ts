/**
 * Storage in a directory: the drivers `mapped` and `direct`.
 *
 * Control files are blocks, written with plain writes by both. The drivers differ in logs: `mapped` offers rings and
 * frames, `direct` frames only, and passes the page cache by where readers on other hosts may exist.
 */
import path from 'node:path';
import { crashPoint } from '../crash-points';
import { StpError } from '../errors';
import { io } from './file-calls';
import { BLOCK_BYTES, BLOCK_PAYLOAD_BYTES, LINK_AT, RING_FIRST_LAP_BYTES } from '../layout';
import { type Access, admitGroupToDirectory, awaitGroup, distrust, PRIVATE } from './access';
import { FileBlockReader, FileBlockWriter } from './block-file';
import { fileSystemOf } from './file-system';
import { codeOf, fileError, makeDirectory, removeFile } from './files';
import { FrameReader } from './frame-reader';
import { FrameWriter, reserveFrames } from './frame-writer';
import {
  decodeLinkHeader,
  encodeLinkHeader,
  linkFileBytes,
  type LinkInfo,
  type Mechanism,
  ringPath,
} from './link-header';
import { loadNative, whyNoNative, type Native } from './native';
import { PlainFile, type PlainFileOptions } from './positioned-file';
import { RingReader, RingWriter, ringMemory } from './ring-log';
import { linkInPlace, temporaryName } from './temporary';
import {
  type BlockReader,
  type BlockWriter,
  type FileInfo,
  type LogIdentity,
  type LogReader,
  type LogSizes,
  type LogWriter,
  type Storage,
} from './storage';

export interface FileStorageOptions {
  readonly driver: 'mapped' | 'direct';
  /**
   * Which users may use what is made here, and whose files are believed; default: our user alone, and the files of
   * all users.
   */
  readonly access?: Access;
  /** True where all readers share one page cache; default: what the file system says. */
  readonly local?: boolean;
  /** For tests: use O_DIRECT or not, whatever the file system is. Default: where it is not local. */
  readonly odirect?: boolean;
  /** For tests: position at which logs begin; writer and reader must agree. */
  readonly startPosition?: number;
  /** For tests: how long a written frame may stay unreadable, milliseconds. */
  readonly lateMs?: number;
}

const PATH = /^(?!\.{1,2}(?:\/|$))[\w.-]+(?:\/(?!\.{1,2}(?:\/|$))[\w.-]+)*$/;

export class FileStorage implements Storage {
  readonly driver: 'mapped' | 'direct';
  readonly root: string;
  readonly shared: boolean;
  readonly access: Access;
  readonly mechanisms: ReadonlySet<Mechanism>;
  readonly #native: Native | undefined;
  readonly #control: PlainFileOptions;
  readonly #frames: PlainFileOptions;
  /** Of rings: their words live in the page cache. */
  readonly #memory: PlainFileOptions;
  readonly #options: FileStorageOptions;
  /** Where it is still found, the directory is ours. It is open, so that no other directory gets its inode. */
  #pinned: { readonly place: string; readonly inode: string } | undefined;

  /** `root` need not exist yet. ESTPDRIVER where `mapped` is not possible here. */
  constructor(root: string, options: FileStorageOptions) {
    this.root = path.resolve(root);
    this.driver = options.driver;
    this.#options = options;
    this.shared = !(options.local ?? fileSystemOf(this.root).local);
    const direct = options.odirect ?? this.shared;
    this.access = options.access ?? PRIVATE;
    this.#control = { direct, access: this.access };
    this.#frames = { direct, access: this.access };
    this.#memory = { direct: false, access: this.access };
    this.#native = options.driver === 'mapped' ? loadNative() : undefined;
    if (options.driver === 'mapped' && this.#native === undefined)
      throw new StpError('ESTPDRIVER', `mapped: ${whyNoNative()}`);
    this.mechanisms = new Set<Mechanism>(options.driver === 'mapped' ? ['ring', 'frames'] : ['frames']);
  }

  mount(): string | undefined {
    if (!this.shared) return undefined;
    try {
      return String(io.statSync(this.root, { bigint: true }).dev);
    } catch (error) {
      throw fileError(error, 'stat', this.root);
    }
  }

  pin(name: string): void {
    if (this.shared) return;
    const place = this.#place(name);
    this.#pinned = { place, inode: inodeOf(place) };
  }

  isRemoved(): boolean {
    const pinned = this.#pinned;
    if (pinned === undefined) return false;
    try {
      return inodeOf(pinned.place) !== pinned.inode;
    } catch {
      // What can't be looked at now may be there.
      return false;
    }
  }

  makeDirectory(name: string): void {
    const place = this.#place(name);
    if (makeDirectory(place, this.access.directoryMode)) admitGroupToDirectory(place, this.access);
    else this.#checkDirectory(place);
  }

  list(name: string): string[] {
    const place = name === '' || name === '.' ? this.root : this.#place(name);
    try {
      return io.readdirSync(place);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw fileError(error, 'readdir', place);
    }
  }

  remove(name: string): boolean {
    const place = this.#own(name);
    const was = removeFile(place);
    if (place === this.#pinned?.place) this.#pinned = undefined;
    return was;
  }

  info(name: string): FileInfo | undefined {
    const place = this.#place(name);
    try {
      const { size, mtimeMs, ino } = io.lstatSync(place);
      return { sizeBytes: size, modifiedAtMs: mtimeMs, id: ino };
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw fileError(error, 'lstat', place);
    }
  }

  freeBytes(): number | undefined {
    try {
      const { bavail, bsize } = io.statfsSync(this.root);
      return bavail * bsize;
    } catch {
      return undefined;
    }
  }

  createBlocks(name: string): BlockWriter | undefined {
    const place = this.#own(name);
    const file = this.shared
      ? PlainFile.createLinked(place, this.root, this.#control)
      : PlainFile.create(place, this.#control);
    return file === undefined ? undefined : new FileBlockWriter(file);
  }

  openBlocks(name: string): BlockReader | undefined {
    const file = PlainFile.open(this.#place(name), this.#control);
    return file === undefined ? undefined : new FileBlockReader(file);
  }

  publishOnce(name: string, payload: Uint8Array): boolean {
    const place = this.#own(name);
    let temporary = temporaryName(path.dirname(place));
    while (!this.#writeFirstBlock(temporary, payload)) temporary = temporaryName(path.dirname(place));
    crashPoint('open.header-written');
    try {
      // Where files can't be linked, an opener may see the file empty for a moment, and takes it for not there.
      return linkInPlace(temporary, place) ?? this.#writeFirstBlock(place, payload);
    } finally {
      removeFile(temporary);
    }
  }

  createLog(name: string, identity: LogIdentity, mechanism: Mechanism, capacityBytes: number): LogWriter {
    if (!this.mechanisms.has(mechanism))
      throw new StpError('ESTPDRIVER', `driver ${this.driver} has no logs of kind ${mechanism}`);
    const header = encodeLinkHeader(identity, mechanism, capacityBytes);
    const place = this.#own(name);
    const link = decodeLinkHeader(header, place);
    const file = PlainFile.create(place, this.#frames);
    if (file === undefined) throw new StpError('ESTPCORRUPT', `${place} exists already`, 'open');
    crashPoint('link.log-empty');
    let writer: LogWriter | undefined;
    try {
      writer =
        mechanism === 'ring' ? this.#createRing(ringPath(place, link), link, header) : this.#createFrames(file, link);
      crashPoint('link.log-reserved');
      // Last: an opener that finds the header finds the rest in place.
      new FileBlockWriter(file).write(LINK_AT.header / BLOCK_BYTES, header);
      if (mechanism === 'ring') file.close();
      return writer;
    } catch (error) {
      writer?.close();
      file.close();
      removeFile(place);
      if (mechanism === 'ring') removeFile(ringPath(place, link));
      throw error;
    }
  }

  removeLog(name: string): boolean {
    const place = this.#own(name);
    const ring = this.mechanisms.has('ring') ? this.#ringOf(place) : undefined;
    // First: a process that opens a ring that is gone looks whether the log still is there.
    const was = removeFile(place);
    if (ring !== undefined) removeFile(ring);
    return was;
  }

  openLog(name: string, largest?: LogSizes): LogReader | undefined {
    const place = this.#place(name);
    const file = PlainFile.open(place, this.#frames);
    if (file === undefined) return undefined;
    let keep = false;
    try {
      const header = new FileBlockReader(file).read(LINK_AT.header / BLOCK_BYTES);
      if (header === undefined) return undefined;
      const link = decodeLinkHeader(header.payload, place, largest);
      if (link.mechanism === 'ring') return this.#openRing(place, link, header.payload);
      // Sizes that other hosts see may be old: there it is for the reader to find out.
      if (!this.shared) checkWhole(file, link);
      const reader = new FrameReader(file, link, { ...this.#options, shared: this.shared });
      keep = true;
      return reader;
    } finally {
      if (!keep) file.close();
    }
  }

  #createFrames(file: PlainFile, link: LinkInfo): FrameWriter {
    reserveFrames(file, link.capacityBytes);
    return new FrameWriter(file, link, this.#options.startPosition);
  }

  #createRing(place: string, link: LinkInfo, header: Uint8Array): RingWriter {
    const native = this.#needNative(place);
    const file = PlainFile.create(place, this.#memory);
    if (file === undefined) throw new StpError('ESTPCORRUPT', `${place} exists already`, 'open');
    try {
      if (!native.reserve(file.fd, linkFileBytes(link.capacityBytes))) reserveFrames(file, link.capacityBytes);
      new FileBlockWriter(file).write(LINK_AT.header / BLOCK_BYTES, header);
      return new RingWriter(mapRing(native, file, link, true), link.identity, place, this.#ringStart(link));
    } finally {
      file.close();
    }
  }

  /** The ring of a log whose header is `header`; undefined where the log has just been removed. */
  #openRing(log: string, link: LinkInfo, header: Uint8Array): RingReader | undefined {
    const place = ringPath(log, link);
    const native = this.#needNative(place);
    const file = PlainFile.open(place, this.#memory);
    if (file === undefined) {
      // Removed, or begun anew.
      if (this.#ringOf(log) !== place) return undefined;
      throw new StpError('ESTPCORRUPT', `${log} has lost its memory`, 'open');
    }
    try {
      const own = new FileBlockReader(file).read(LINK_AT.header / BLOCK_BYTES)?.payload;
      if (own === undefined || Buffer.compare(own, header) !== 0)
        throw new StpError('ESTPCORRUPT', `${place} is not the memory of ${log}`, 'open');
      // Touching a mapped page past the end of its file kills the process: nothing is looked at before this.
      checkWhole(file, link);
      return new RingReader(mapRing(native, file, link, false), link.identity, place, this.#ringStart(link), () => {
        removeQuietly(place);
      });
    } finally {
      file.close();
    }
  }

  /** Where the positions of a ring begin. */
  #ringStart({ capacityBytes }: LinkInfo): number {
    return this.#options.startPosition ?? capacityBytes - RING_FIRST_LAP_BYTES;
  }

  /** Path of the ring of a log; undefined where that can't be told, or there is none. */
  #ringOf(place: string): string | undefined {
    let file: PlainFile | undefined;
    try {
      file = PlainFile.open(place, this.#frames);
      if (file === undefined) return undefined;
      const header = new FileBlockReader(file).read(LINK_AT.header / BLOCK_BYTES);
      const link = header === undefined ? undefined : decodeLinkHeader(header.payload, place);
      return link?.mechanism === 'ring' ? ringPath(place, link) : undefined;
    } catch {
      return undefined;
    } finally {
      file?.close();
    }
  }

  #needNative(place: string): Native {
    if (this.#native === undefined)
      throw new StpError('ESTPDRIVER', `${place} is a ring, and driver ${this.driver} has none`);
    return this.#native;
  }

  /** Creates a file with one block; false where the path exists. */
  #writeFirstBlock(place: string, payload: Uint8Array): boolean {
    if (payload.length > BLOCK_PAYLOAD_BYTES) throw new StpError('EINVAL', `a payload of ${payload.length} bytes`);
    const file = PlainFile.create(place, this.#control);
    if (file === undefined) return false;
    try {
      new FileBlockWriter(file).write(0, payload);
      return true;
    } catch (error) {
      removeFile(place);
      throw error;
    } finally {
      file.close();
    }
  }

  #checkDirectory(place: string): void {
    awaitGroup(place, this.access, this.access.directoryMode);
    const stat = io.lstatSync(place, { throwIfNoEntry: false });
    if (stat?.isDirectory() !== true) throw new StpError('ESTPCORRUPT', `${place} is not a directory`, 'mkdir');
    const why = distrust(stat, this.access);
    if (why !== undefined) throw new StpError('EACCES', `${place} ${why}`, 'mkdir');
  }

  /** The path of what is to be made or removed. */
  #own(name: string): string {
    const place = this.#place(name);
    if (this.#pinned !== undefined && inodeOf(this.#pinned.place) !== this.#pinned.inode)
      throw new StpError('ENOENT', `${this.#pinned.place} is not this process's any more: the region was removed`);
    return place;
  }

  #place(name: string): string {
    if (!PATH.test(name)) throw new StpError('EINVAL', `${JSON.stringify(name)} is not a path inside a region`);
    return path.join(this.root, name);
  }
}

/** '' where there is no such file. */
function inodeOf(place: string): string {
  try {
    const { dev, ino } = io.lstatSync(place);
    return `${dev} ${ino}`;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return '';
    throw fileError(error, 'lstat', place);
  }
}

function checkWhole(file: PlainFile, { capacityBytes }: LinkInfo): void {
  if (file.sizeBytes() < linkFileBytes(capacityBytes))
    throw new StpError('ESTPCORRUPT', `${file.path} is cut short`, 'open');
}

/** What stays is left to recovery. */
function removeQuietly(place: string): void {
  try {
    removeFile(place);
  } catch {
    // See above.
  }
}

function mapRing(native: Native, file: PlainFile, link: LinkInfo, writable: boolean): ReturnType<typeof ringMemory> {
  const mapping = native.map(file.fd, linkFileBytes(link.capacityBytes), writable);
  return ringMemory(mapping.buffer, LINK_AT.words, LINK_AT.data, link.capacityBytes, () => {
    mapping.release();
  });
}
