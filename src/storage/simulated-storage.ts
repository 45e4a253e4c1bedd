/**
 * Storage of one simulated process on a {@link SimulatedDisk}: the same blocks and frames as on a real disk, rings in
 * plain memory.
 */
import { StpError } from '../errors';
import { BLOCK_BYTES, LINK_AT, RingWords } from '../layout';
import { PRIVATE } from './access';
import { FileBlockReader, FileBlockWriter } from './block-file';
import { FrameReader } from './frame-reader';
import { FrameWriter, reserveFrames } from './frame-writer';
import { decodeLinkHeader, encodeLinkHeader, linkFileBytes, type LinkInfo, type Mechanism } from './link-header';
import { RingReader, RingWriter, type RingMemory } from './ring-log';
import { SimulatedFile, SimulatedHandle, type SimulatedDisk, type SimulatedRing } from './simulated-disk';
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

export { SimulatedDisk, type SimulatedDiskOptions } from './simulated-disk';

export interface SimulatedStorageOptions {
  /** Number of the process, for crashes. */
  readonly process: number;
  /** Processes of one host see each other's writes at once. Default: a host of its own. */
  readonly host?: number;
  /** Position at which logs begin; writer and reader must agree. */
  readonly startPosition?: number;
}

export class SimulatedStorage implements Storage {
  readonly driver = 'simulated';
  readonly root = '(simulated)';
  readonly access = PRIVATE;
  readonly shared: boolean;
  readonly mechanisms: ReadonlySet<Mechanism> = new Set<Mechanism>(['ring', 'frames']);
  readonly process: number;
  readonly host: number;
  readonly #disk: SimulatedDisk;
  readonly #startPosition: number;

  constructor(disk: SimulatedDisk, options: SimulatedStorageOptions) {
    this.#disk = disk;
    this.process = options.process;
    // Hosts without a given number are apart from those with one.
    this.host = options.host ?? -1 - options.process;
    this.shared = options.host === undefined;
    this.#startPosition = options.startPosition ?? 0;
  }

  mount(): undefined {
    return undefined;
  }

  isRemoved(): boolean {
    return false;
  }

  pin(): void {
    // This disk has one directory.
  }

  makeDirectory(path: string): void {
    this.#disk.checkAlive(this.process);
    if (this.#disk.files.has(path)) throw new StpError('ESTPCORRUPT', `${path} is not a directory`, 'mkdir');
    this.#disk.directories.add(path);
  }

  list(path: string): string[] {
    this.#disk.checkAlive(this.process);
    const prefix = path === '' || path === '.' ? '' : `${path}/`;
    const names = new Set<string>();
    for (const place of [...this.#disk.directories, ...this.#disk.files.keys()]) {
      if (place.startsWith(prefix)) names.add(place.slice(prefix.length).split('/', 1)[0] ?? '');
    }
    return [...names].filter((name) => name !== '');
  }

  remove(path: string): boolean {
    this.#disk.checkAlive(this.process);
    const file = this.#disk.files.get(path);
    if (file === undefined) return false;
    this.#disk.onOperation?.();
    this.#disk.forget(file);
    return this.#disk.files.delete(path);
  }

  info(path: string): FileInfo | undefined {
    const file = this.#disk.files.get(path);
    return file === undefined ? undefined : { sizeBytes: file.sizeBytes, modifiedAtMs: file.modifiedAtTick, id: 0 };
  }

  freeBytes(): undefined {
    return undefined;
  }

  createBlocks(path: string): BlockWriter | undefined {
    const file = this.#create(path);
    return file === undefined ? undefined : new FileBlockWriter(this.#handle(path, file));
  }

  openBlocks(path: string): BlockReader | undefined {
    this.#disk.checkAlive(this.process);
    const file = this.#disk.files.get(path);
    return file === undefined ? undefined : new FileBlockReader(this.#handle(path, file));
  }

  publishOnce(path: string, payload: Uint8Array): boolean {
    const writer = this.createBlocks(path);
    if (writer === undefined) return false;
    try {
      writer.write(0, payload);
    } catch (error) {
      this.remove(path);
      throw error;
    }
    return true;
  }

  createLog(path: string, identity: LogIdentity, mechanism: Mechanism, capacityBytes: number): LogWriter {
    const header = encodeLinkHeader(identity, mechanism, capacityBytes);
    const link = decodeLinkHeader(header, path);
    const file = this.#create(path);
    if (file === undefined) throw new StpError('ESTPCORRUPT', `${path} exists already`, 'open');
    const handle = this.#handle(path, file);
    try {
      reserveFrames(handle, capacityBytes);
      const writer =
        mechanism === 'ring' ? this.#createRing(file, link, path) : new FrameWriter(handle, link, this.#startPosition);
      new FileBlockWriter(handle).write(LINK_AT.header / BLOCK_BYTES, header);
      return writer;
    } catch (error) {
      this.remove(path);
      throw error;
    }
  }

  removeLog(path: string): boolean {
    return this.remove(path);
  }

  openLog(path: string, largest?: LogSizes): LogReader | undefined {
    this.#disk.checkAlive(this.process);
    const file = this.#disk.files.get(path);
    if (file === undefined) return undefined;
    const handle = this.#handle(path, file);
    const header = new FileBlockReader(handle).read(LINK_AT.header / BLOCK_BYTES);
    if (header === undefined) return undefined;
    const link = decodeLinkHeader(header.payload, path, largest);
    const shared = file.host !== this.host;
    if (!shared && handle.sizeBytes() < linkFileBytes(link.capacityBytes))
      throw new StpError('ESTPCORRUPT', `${path} is cut short`, 'open');
    if (link.mechanism === 'ring') return this.#openRing(file, link, path);
    const now = (): number => this.#disk.nowTick + 1;
    return new FrameReader(handle, link, {
      startPosition: this.#startPosition,
      lateMs: this.#disk.options.lateTicks,
      now,
      shared,
    });
  }

  #create(path: string): SimulatedFile | undefined {
    this.#disk.checkAlive(this.process);
    if (this.#disk.files.has(path)) return undefined;
    this.#disk.onOperation?.();
    const file = new SimulatedFile(this.process, this.host, this.#disk.options.delayTicksMax > 0);
    this.#disk.files.set(path, file);
    return file;
  }

  #handle(path: string, file: SimulatedFile): SimulatedHandle {
    return new SimulatedHandle(this.#disk, file, path, this.process, this.host);
  }

  #createRing(file: SimulatedFile, link: LinkInfo, path: string): RingWriter {
    const words = RingWords.sizeBytes / 4;
    const written = new Int32Array(words);
    const late = this.#disk.options.ringDelayTicksMax > 0;
    const ring: SimulatedRing = {
      data: new ArrayBuffer(link.capacityBytes),
      written,
      seen: late ? new Int32Array(words) : written,
      pending: [],
      last: new Int32Array(words),
    };
    const writer = new RingWriter(memoryOf(ring, ring.written), link.identity, path, this.#startPosition);
    ring.last.set(ring.written);
    if (late) ring.seen.set(ring.written);
    file.ring = ring;
    this.#disk.watchRing(file);
    return writer;
  }

  #openRing(file: SimulatedFile, link: LinkInfo, path: string): RingReader {
    if (file.ring === undefined) throw new StpError('ESTPCORRUPT', `${path} has no memory`, 'open');
    return new RingReader(memoryOf(file.ring, file.ring.seen), link.identity, path, this.#startPosition);
  }
}

function memoryOf(ring: SimulatedRing, control: Int32Array): RingMemory {
  return {
    control,
    bytes: Buffer.from(ring.data),
    words: new Int32Array(ring.data),
    release(): void {
      // Left to the garbage collector.
    },
  };
}
