/**
 * One side of a measurement between two: it says turns in a file of its own and hears those of the other. What both sides of a measurement use is here too.
 *
 * All is synchronous and ends by itself: every wait has a limit. Files and O_DIRECT are used as the driver `direct` would use them there.
 */
import fs from 'node:fs';
import path from 'node:path';
import { StpError } from '../errors';
import { PRIVATE } from './access';
import { FileBlockReader, FileBlockWriter } from './block-file';
import { fileSystemOf } from './file-system';
import { fileError, removeFile } from './files';
import { PlainFile } from './positioned-file';

/** Where the measurements lie inside the directory; removed again. */
export const PROBE_DIRECTORY = '.stp-doctor';

const LOOK_MS = 5;

const pauseWord = new Int32Array(new SharedArrayBuffer(4));

export function pauseMs(ms: number): void {
  Atomics.wait(pauseWord, 0, 0, ms);
}

export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

export function timed(act: () => void): number {
  const began = performance.now();
  act();
  return performance.now() - began;
}

export function tryTo(act: () => void): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}

/** Makes the place of the measurements; throws EACCES, EROFS, ENOSPC, ENOENT ... */
export function openPlace(directory: string): string {
  const place = path.join(path.resolve(directory), PROBE_DIRECTORY);
  try {
    fs.mkdirSync(place, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw fileError(error, 'mkdir', place);
    if (!fs.lstatSync(place).isDirectory()) throw new StpError('ESTPCORRUPT', `${place} is not a directory`, 'mkdir');
  }
  return place;
}

export function createFile(place: string, direct: boolean): PlainFile {
  removeFile(place);
  const file = PlainFile.create(place, { direct, access: PRIVATE });
  if (file === undefined) throw new StpError('EBUSY', `${place}: somebody else measures here`);
  return file;
}

export type TurnKind = 'hello' | 'ping' | 'write' | 'map-make' | 'map-open' | 'map-store' | 'map-watch' | 'rename' | 'exclusive' | 'lock' | 'bye';

export interface Turn {
  readonly n: number;
  readonly op: TurnKind;
  readonly bytes: number;
  readonly atMs: number;
  readonly who: string;
  /** What an answer tells; each kind has its own. */
  readonly values: readonly number[];
}

const KINDS: readonly string[] = ['hello', 'ping', 'write', 'map-make', 'map-open', 'map-store', 'map-watch', 'rename', 'exclusive', 'lock', 'bye'] satisfies TurnKind[];
const WHO_LENGTH_MAX = 100;
const VALUES_MAX = 8;

/** ESTPCORRUPT where the other file holds no turn. */
function decodeTurn(text: string, place: string): Turn {
  let value: Partial<Record<keyof Turn, unknown>>;
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    value = {};
  }
  const { n, op, bytes, atMs, who, values } = value;
  const numbers = Array.isArray(values) && values.length <= VALUES_MAX && values.every((one): one is number => typeof one === 'number');
  const known = typeof op === 'string' && KINDS.includes(op);
  if (!known || !numbers || typeof n !== 'number' || typeof bytes !== 'number' || typeof atMs !== 'number' || typeof who !== 'string') {
    throw new StpError('ESTPCORRUPT', `${place} holds nothing that this version of stp doctor writes`);
  }
  return { n, op: op as TurnKind, bytes, atMs, who: who.slice(0, WHO_LENGTH_MAX).replace(/[^\x20-\x7e]/gu, '?'), values };
}

/** One side of a conversation: writes turns into its own file and reads those of the other. */
export class Side {
  /** True for the side that measures. */
  readonly leads: boolean;
  /** Mapped memory that the other side looks at, and that we look at. */
  shown: Int32Array | undefined;
  watched: Int32Array | undefined;
  readonly place: string;
  readonly direct: boolean;
  readonly #name: string;
  readonly #otherName: string;
  readonly #file: PlainFile;
  readonly #writer: FileBlockWriter;
  #reader: FileBlockReader | undefined;
  #last = '';

  /** Things to remove at the end, and what to do before. */
  readonly #left: string[] = [];
  readonly #ends: (() => void)[] = [];

  constructor(directory: string, leads: boolean) {
    this.leads = leads;
    const [name, otherName] = leads ? ['peer', 'join'] : ['join', 'peer'];
    this.direct = !fileSystemOf(directory).local;
    this.place = openPlace(directory);
    this.#name = name;
    this.#otherName = otherName;
    this.#file = createFile(path.join(this.place, name), this.direct);
    this.#writer = new FileBlockWriter(this.#file);
  }

  /** Path of a file of the measurements that is removed at the end; what an earlier run left there is removed now. */
  fresh(name: string): string {
    const place = this.at(name);
    removeFile(place);
    this.#left.push(place);
    return place;
  }

  at(name: string): string {
    return path.join(this.place, name);
  }

  /** Opens a file of the other side as soon as it is listed and has its size, until `endsMs`. */
  awaitFile(name: string, bytes: number, endsMs: number, direct = this.direct): PlainFile | undefined {
    while (performance.now() < endsMs) {
      // By list first: a network file system remembers for seconds that a name was not there.
      const file = fs.readdirSync(this.place).includes(name) ? PlainFile.open(this.at(name), { direct, access: PRIVATE }) : undefined;
      if (file !== undefined && file.sizeBytes() >= bytes) return file;
      file?.close();
      pauseMs(1);
    }
    return undefined;
  }

  atEnd(act: () => void): void {
    this.#ends.push(act);
  }

  say(turn: Turn): void {
    this.#writer.write(0, Buffer.from(JSON.stringify(turn)));
  }

  /** The next turn of the other side that `fits`. ETIMEDOUT where none comes. */
  hear(fits: (turn: Turn) => boolean, limitMs: number, quick: boolean): Turn {
    for (const began = performance.now(); performance.now() - began < limitMs; ) {
      const turn = this.#look();
      if (turn !== undefined && fits(turn)) return turn;
      if (!quick || this.#reader === undefined) pauseMs(LOOK_MS);
    }
    throw new StpError('ETIMEDOUT', `nothing came from the other side in ${limitMs / 1000} s`);
  }

  #look(): Turn | undefined {
    // By list first: a network file system remembers for seconds that a name was not there.
    if (this.#reader === undefined) {
      if (!fs.readdirSync(this.place).includes(this.#otherName)) return undefined;
      const file = PlainFile.open(path.join(this.place, this.#otherName), { direct: this.direct, access: PRIVATE });
      if (file === undefined) return undefined;
      this.#reader = new FileBlockReader(file);
    }
    const block = this.#reader.read(0);
    if (block === undefined) return undefined;
    const text = Buffer.from(block.payload).toString();
    if (text === this.#last) return undefined;
    this.#last = text;
    return decodeTurn(text, path.join(this.place, this.#otherName));
  }

  close(): void {
    for (const act of this.#ends) tryTo(act);
    for (const place of this.#left) tryTo(() => { removeFile(place); });
    this.#reader?.close();
    this.#file.close();
    tryTo(() => { removeFile(path.join(this.place, this.#name)); });
    tryTo(() => { fs.rmdirSync(this.place); });
  }
}
