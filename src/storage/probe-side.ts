/**
 * One side of a measurement between two: it says turns in a file of its own and hears those of the other. What both
 * sides of a measurement use is here too.
 *
 * All is synchronous and ends by itself: every wait has a limit. Files and O_DIRECT are used as the driver `direct`
 * would use them there.
 */
import fs from 'node:fs';
import path from 'node:path';
import { StpError } from '../errors';
import { type Access, accessOf, admitGroupToDirectory, awaitGroup, distrust } from './access';
import { FileBlockReader, FileBlockWriter } from './block-file';
import { fileSystemOf } from './file-system';
import { codeOf, fileError, type FileIdentity, makeDirectory, removeFile } from './files';
import { PlainFile } from './positioned-file';
import { dateMs, nowMs } from '../host';

/** Where the measurements lie inside the directory; removed again. */
export const PROBE_DIRECTORY = '.stp-doctor';

const LOOK_MS = 5;
/** How often a side looks whether its file and that of the other are still the same. */
const CHECK_MS = 500;

const pauseWord = new Int32Array(new SharedArrayBuffer(4));

export function pauseMs(ms: number): void {
  Atomics.wait(pauseWord, 0, 0, ms);
}

export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

export function timed(act: () => void): number {
  const began = nowMs();
  act();
  return nowMs() - began;
}

export function tryTo(act: () => void): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}

/** Where measurements lie, and which users may use them: those who may use a region there. */
export interface Place {
  readonly path: string;
  readonly access: Access;
}

/**
 * Makes the place of the measurements, and takes away what one that was killed has left there long ago. Throws EACCES,
 * EROFS, ENOSPC, ENOENT ...
 */
export function openPlace(directory: string): Place {
  const place = { path: path.join(path.resolve(directory), PROBE_DIRECTORY), access: accessOf(directory) };
  if (makeDirectory(place.path, place.access.directoryMode)) {
    admitGroupToDirectory(place.path, place.access);
  } else {
    checkPlace(place);
    clearOld(place.path);
  }
  return place;
}

function checkPlace({ path: place, access }: Place): void {
  awaitGroup(place, access, access.directoryMode);
  const stat = fs.lstatSync(place, { throwIfNoEntry: false });
  if (stat?.isDirectory() !== true) throw new StpError('ESTPCORRUPT', `${place} is not a directory`, 'mkdir');
  const why = distrust(stat, access);
  if (why !== undefined) throw new StpError('EACCES', `${place} ${why}`, 'mkdir');
}

/** What is so old belongs to no side that still measures, milliseconds; clocks of hosts differ. */
const OLD_MS = 3_600_000;

function clearOld(place: string): void {
  for (const name of listOf(place)) {
    const file = path.join(place, name);
    tryTo(() => {
      const stat = fs.lstatSync(file);
      if (dateMs() - stat.mtimeMs <= OLD_MS) return;
      if (stat.isDirectory()) fs.rmSync(file, { recursive: true });
      else removeFile(file);
    });
  }
}

/** Makes a file for us and the users the place is for, in the place of one that an earlier run may have left. */
export function createFile(place: string, direct: boolean, access: Access): PlainFile {
  removeFile(place);
  const file = PlainFile.create(place, { direct, access });
  if (file === undefined) throw new StpError('EBUSY', `${place}: somebody else measures here`);
  return file;
}

function listOf(place: string): string[] {
  try {
    return fs.readdirSync(place);
  } catch (error) {
    throw fileError(error, 'readdir', place);
  }
}

/** Which file a name leads to; undefined: to none, or to one that the file system knows no more. */
function identityOf(place: string): FileIdentity | undefined {
  try {
    return fs.lstatSync(place, { throwIfNoEntry: false });
  } catch (error) {
    if (codeOf(error) === 'ESTALE' || codeOf(error) === 'ENOENT') return undefined;
    throw fileError(error, 'lstat', place);
  }
}

function isSame(a: FileIdentity, b: FileIdentity): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}

export type TurnKind =
  | 'hello'
  | 'ping'
  | 'write'
  | 'stream'
  | 'map-make'
  | 'map-open'
  | 'map-store'
  | 'map-watch'
  | 'rename'
  | 'exclusive'
  | 'lock'
  | 'bye';

export interface Turn {
  readonly n: number;
  readonly op: TurnKind;
  readonly bytes: number;
  readonly atMs: number;
  readonly who: string;
  /** What an answer tells; each kind has its own. */
  readonly values: readonly number[];
}

const KINDS: readonly string[] = [
  'hello',
  'ping',
  'write',
  'stream',
  'map-make',
  'map-open',
  'map-store',
  'map-watch',
  'rename',
  'exclusive',
  'lock',
  'bye',
] satisfies TurnKind[];
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
  const numbers =
    Array.isArray(values) &&
    values.length <= VALUES_MAX &&
    values.every((one): one is number => typeof one === 'number');
  const known = typeof op === 'string' && KINDS.includes(op);
  if (
    !known ||
    !numbers ||
    typeof n !== 'number' ||
    typeof bytes !== 'number' ||
    typeof atMs !== 'number' ||
    typeof who !== 'string'
  ) {
    throw new StpError('ESTPCORRUPT', `${place} holds nothing that this version of stp doctor writes`);
  }
  return {
    n,
    op: op as TurnKind,
    bytes,
    atMs,
    who: who.slice(0, WHO_LENGTH_MAX).replace(/[^\x20-\x7e]/gu, '?'),
    values,
  };
}

/**
 * The place, and the file that a side speaks through. A side that has just ended may take the place away in between.
 */
function openWith(directory: string, name: string, direct: boolean): { place: Place; file: PlainFile } {
  for (let tries = 1; ; tries++) {
    const place = openPlace(directory);
    try {
      return { place, file: createFile(path.join(place.path, name), direct, place.access) };
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || tries === OPEN_TRIES_MAX) throw error;
    }
  }
}

const OPEN_TRIES_MAX = 3;

/** One side of a conversation: writes turns into its own file and reads those of the other. */
export class Side {
  /** True for the side that measures. */
  readonly leads: boolean;
  /** Mapped memory that the other side looks at, and that we look at. */
  shown: Int32Array | undefined;
  watched: Int32Array | undefined;
  readonly place: string;
  readonly access: Access;
  readonly direct: boolean;
  readonly #name: string;
  readonly #otherName: string;
  readonly #file: PlainFile;
  readonly #identity: FileIdentity;
  readonly #writer: FileBlockWriter;
  #reader: FileBlockReader | undefined;
  /** The file that is read. */
  #otherIdentity: FileIdentity | undefined;
  /** The two have begun to measure. */
  #met = false;
  #checkedMs = 0;
  #last = '';

  /** Things to remove at the end, and what to do before. */
  readonly #left: string[] = [];
  readonly #ends: (() => void)[] = [];

  constructor(directory: string, leads: boolean) {
    this.leads = leads;
    const [name, otherName] = leads ? ['peer', 'join'] : ['join', 'peer'];
    this.direct = !fileSystemOf(directory).local;
    const { file, place } = openWith(directory, name, this.direct);
    this.place = place.path;
    this.access = place.access;
    this.#name = name;
    this.#otherName = otherName;
    this.#file = file;
    this.#identity = fs.fstatSync(file.fd);
    this.#writer = new FileBlockWriter(file);
  }

  /** Makes a file of the measurements, which is removed at the end. */
  create(name: string, direct = this.direct): PlainFile {
    return createFile(this.fresh(name), direct, this.access);
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
    while (nowMs() < endsMs) {
      // By list first: a network file system remembers for seconds that a name was not there.
      const file = listOf(this.place).includes(name)
        ? PlainFile.open(this.at(name), { direct, access: this.access })
        : undefined;
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
    try {
      this.#writer.write(0, Buffer.from(JSON.stringify(turn)));
    } catch (error) {
      this.#check();
      throw error;
    }
  }

  /** The next turn of the other side that `fits`. ETIMEDOUT where none comes. */
  hear(fits: (turn: Turn) => boolean, limitMs: number, quick: boolean): Turn {
    for (const began = nowMs(); nowMs() - began < limitMs;) {
      const turn = this.#look();
      if (turn !== undefined && fits(turn)) {
        this.#met = true;
        return turn;
      }
      if (nowMs() - this.#checkedMs > CHECK_MS) this.#check();
      if (!quick || this.#reader === undefined) pauseMs(LOOK_MS);
    }
    throw new StpError('ETIMEDOUT', `nothing came from the other side in ${limitMs / 1000} s`);
  }

  #look(): Turn | undefined {
    if (this.#reader === undefined && !this.#openOther()) return undefined;
    let block: { readonly payload: Uint8Array } | undefined;
    try {
      block = this.#reader?.read(0);
    } catch (error) {
      // Read on where the file was replaced; what is wrong otherwise is told by the error.
      this.#check();
      if (this.#reader !== undefined) throw error;
    }
    if (block === undefined) return undefined;
    const text = Buffer.from(block.payload).toString();
    if (text === this.#last) return undefined;
    this.#last = text;
    return decodeTurn(text, path.join(this.place, this.#otherName));
  }

  #openOther(): boolean {
    // By list first: a network file system remembers for seconds that a name was not there.
    if (!listOf(this.place).includes(this.#otherName)) return false;
    const file = PlainFile.open(this.at(this.#otherName), { direct: this.direct, access: this.access });
    if (file === undefined) return false;
    this.#reader = new FileBlockReader(file);
    this.#otherIdentity = fs.fstatSync(file.fd);
    return true;
  }

  /**
   * Looks whether both files are still those that we use. A side that was killed leaves its file behind, and the next
   * one of its kind puts another in its place.
   */
  #check(): void {
    this.#checkedMs = nowMs();
    const mine = identityOf(this.at(this.#name));
    if (mine === undefined) throw new StpError('ENOENT', `${this.at(this.#name)} was removed while it was used`);
    if (!isSame(mine, this.#identity)) throw new StpError('EBUSY', `another stp doctor --${this.#name} has begun here`);
    if (this.#otherIdentity === undefined) return;
    const theirs = identityOf(this.at(this.#otherName));
    if (theirs !== undefined && isSame(theirs, this.#otherIdentity)) return;
    // The answering side answers the next one too: the first may have been left by one that was killed.
    if (this.#met && (this.leads || theirs === undefined))
      throw new StpError(
        theirs === undefined ? 'ECONNRESET' : 'EBUSY',
        theirs === undefined
          ? `stp doctor --${this.#otherName} has ended`
          : `another stp doctor --${this.#otherName} has begun`,
      );
    this.#reader?.close();
    this.#reader = undefined;
    this.#otherIdentity = undefined;
  }

  close(): void {
    for (const act of this.#ends) tryTo(act);
    for (const place of this.#left)
      tryTo(() => {
        removeFile(place);
      });
    this.#reader?.close();
    this.#file.close();
    // Unless another of our kind has begun.
    tryTo(() => {
      const now = identityOf(this.at(this.#name));
      if (now !== undefined && isSame(now, this.#identity)) removeFile(this.at(this.#name));
    });
    tryTo(() => {
      fs.rmdirSync(this.place);
    });
  }
}
