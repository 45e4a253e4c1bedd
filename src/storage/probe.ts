/**
 * What a directory can do, measured: from one side, and between two sides that take turns through two files, each with one writer.
 *
 * All is synchronous and ends by itself: every wait has a limit. Files and O_DIRECT are used as the driver `direct` would use them there.
 */
import fs from 'node:fs';
import path from 'node:path';
import { StpError } from '../errors';
import { BLOCK_BYTES } from '../layout';
import { PRIVATE } from './access';
import { FileBlockReader, FileBlockWriter } from './block-file';
import { fileSystemOf } from './file-system';
import { makeFifo, removeFifo } from './fifo';
import { fileError, removeFile } from './files';
import { PlainFile } from './positioned-file';

/** Where the measurements lie inside the directory; removed again. */
export const PROBE_DIRECTORY = '.stp-doctor';

const PINGS_MAX = 200;
const PING_MS_MAX = 3000;
const STREAM_BYTES = 1 << 20;
const STREAM_MS = 300;
const TEAR_MS = 100;
const TEAR_BYTES = [512, 4096, 65_536] as const;
const LOOK_MS = 5;
const ANSWER_MS = 60_000;

export interface OneSide {
  readonly fileSystem: string;
  /** All who see it share one page cache. */
  readonly local: boolean;
  /** Reads and writes pass the page cache by when they are asked to. */
  readonly odirect: boolean;
  readonly fifos: boolean;
  /** link(2), which puts a region's header in place in one step. */
  readonly links: boolean;
  readonly rename: boolean;
  readonly freeBytes: number | undefined;
  readonly writeBlockP50Ms: number;
  readonly readBlockP50Ms: number;
  /** Writes of 1 MiB, as the driver makes them. */
  readonly writeMBs: number;
}

export interface TwoSides {
  readonly roundTripP50Ms: number;
  readonly roundTripP99Ms: number;
  /** Half a round trip: until a block that was written is seen on the other side. */
  readonly visibleP50Ms: number;
  readonly visibleP99Ms: number;
  /** Reads that showed two writes at once, by size. */
  readonly torn: readonly { readonly bytes: number; readonly reads: number; readonly torn: number }[];
  /** How far the other clock is ahead. */
  readonly clockSkewMs: number;
  /** What the other side told of itself. */
  readonly other: string;
}

const pauseWord = new Int32Array(new SharedArrayBuffer(4));
const pauseMs = (ms: number): void => {
  Atomics.wait(pauseWord, 0, 0, ms);
};

function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

function timed(act: () => void): number {
  const began = performance.now();
  act();
  return performance.now() - began;
}

function tryTo(act: () => void): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}

/** Makes the place of the measurements; throws EACCES, EROFS, ENOSPC, ENOENT ... */
function openPlace(directory: string): string {
  const place = path.join(path.resolve(directory), PROBE_DIRECTORY);
  try {
    fs.mkdirSync(place, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw fileError(error, 'mkdir', place);
    if (!fs.lstatSync(place).isDirectory()) throw new StpError('ESTPCORRUPT', `${place} is not a directory`, 'mkdir');
  }
  return place;
}

function createFile(place: string, direct: boolean): PlainFile {
  removeFile(place);
  const file = PlainFile.create(place, { direct, access: PRIVATE });
  if (file === undefined) throw new StpError('EBUSY', `${place}: somebody else measures here`);
  return file;
}

/** Measures what one side can tell. */
export function probeOneSide(directory: string): OneSide {
  const { name, local } = fileSystemOf(directory);
  const place = openPlace(directory);
  const mine = path.join(place, `one-${process.pid}`);
  const other = `${mine}-other`;
  const file = createFile(mine, !local);
  try {
    const block = file.takeMemory(BLOCK_BYTES);
    const big = file.takeMemory(STREAM_BYTES);
    const writes = Array.from({ length: 30 }, () => timed(() => { file.writeAt(block, 0, BLOCK_BYTES, 0); }));
    const reads = Array.from({ length: 30 }, () => timed(() => { file.readAt(block, 0, BLOCK_BYTES, 0); }));
    let bytes = 0;
    const began = performance.now();
    while (performance.now() - began < STREAM_MS) {
      file.writeAt(big, 0, STREAM_BYTES, bytes % (4 * STREAM_BYTES));
      bytes += STREAM_BYTES;
    }
    const writeMBs = bytes / 1e3 / (performance.now() - began);
    const links = tryTo(() => { fs.linkSync(mine, other); });
    removeFile(other);
    const rename = tryTo(() => {
      fs.renameSync(mine, other);
      fs.renameSync(other, mine);
    });
    const fifos = tryTo(() => {
      if (!makeFifo(other, PRIVATE)) throw new Error('no FIFOs');
    });
    if (fifos) removeFifo(other);
    const { bavail, bsize } = fs.statfsSync(place);
    return {
      fileSystem: name, local, odirect: file.direct, fifos, links, rename, freeBytes: bavail * bsize,
      writeBlockP50Ms: percentile(writes, 0.5), readBlockP50Ms: percentile(reads, 0.5), writeMBs,
    };
  } finally {
    file.close();
    removeFile(mine);
    tryTo(() => { fs.rmdirSync(place); });
  }
}

interface Turn {
  readonly n: number;
  readonly op: 'hello' | 'ping' | 'write' | 'bye';
  readonly bytes: number;
  readonly atMs: number;
  readonly who: string;
}

const WHO_LENGTH_MAX = 100;

/** ESTPCORRUPT where the other file holds no turn. */
function decodeTurn(text: string, place: string): Turn {
  let value: Partial<Record<keyof Turn, unknown>>;
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    value = {};
  }
  const { n, op, bytes, atMs, who } = value;
  const known = op === 'hello' || op === 'ping' || op === 'write' || op === 'bye';
  if (!known || typeof n !== 'number' || typeof bytes !== 'number' || typeof atMs !== 'number' || typeof who !== 'string') {
    throw new StpError('ESTPCORRUPT', `${place} holds nothing that stp doctor writes`);
  }
  return { n, op, bytes, atMs, who: who.slice(0, WHO_LENGTH_MAX).replace(/[^\x20-\x7e]/gu, '?') };
}

/** One side of a conversation: writes turns into its own file and reads those of the other. */
class Side {
  readonly place: string;
  readonly direct: boolean;
  readonly #name: string;
  readonly #otherName: string;
  readonly #file: PlainFile;
  readonly #writer: FileBlockWriter;
  #reader: FileBlockReader | undefined;
  #last = '';

  constructor(directory: string, name: string, otherName: string) {
    this.direct = !fileSystemOf(directory).local;
    this.place = openPlace(directory);
    this.#name = name;
    this.#otherName = otherName;
    this.#file = createFile(path.join(this.place, name), this.direct);
    this.#writer = new FileBlockWriter(this.#file);
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
    this.#reader?.close();
    this.#file.close();
    tryTo(() => { removeFile(path.join(this.place, this.#name)); });
    tryTo(() => { fs.rmdirSync(this.place); });
  }
}

/** The side that measures: waits for the other for at most `limitMs`. ETIMEDOUT where it does not come. */
export function probeTwoSides(directory: string, who: string, limitMs: number): TwoSides {
  const side = new Side(directory, 'peer', 'join');
  try {
    let n = Date.now();
    const ask = (op: Turn['op'], bytes: number, meanwhile?: () => void): Turn => {
      n += 1;
      side.say({ n, op, bytes, atMs: Date.now(), who });
      meanwhile?.();
      return side.hear((turn) => turn.n === n, ANSWER_MS, op === 'ping');
    };
    n += 1;
    side.say({ n, op: 'hello', bytes: 0, atMs: Date.now(), who });
    const { who: other } = side.hear((turn) => turn.n === n, limitMs, false);
    const trips: number[] = [];
    let best = Infinity;
    let clockSkewMs = 0;
    for (const began = performance.now(); trips.length < PINGS_MAX && performance.now() - began < PING_MS_MAX; ) {
      let answer: Turn | undefined;
      const sentAtMs = Date.now();
      const ms = timed(() => { answer = ask('ping', 0); });
      trips.push(ms);
      if (ms < best && answer !== undefined) {
        best = ms;
        clockSkewMs = answer.atMs - (sentAtMs + ms / 2);
      }
    }
    const torn = TEAR_BYTES.map((bytes) => {
      let seen = { reads: 0, torn: 0 };
      ask('write', bytes, () => { seen = countTorn(side, bytes); });
      return { bytes, ...seen };
    });
    ask('bye', 0);
    const p50 = percentile(trips, 0.5);
    const p99 = percentile(trips, 0.99);
    return { roundTripP50Ms: p50, roundTripP99Ms: p99, visibleP50Ms: p50 / 2, visibleP99Ms: p99 / 2, torn, clockSkewMs: Math.round(clockSkewMs), other };
  } finally {
    side.close();
  }
}

/** Reads what the other side writes again and again; every write fills its bytes with one value. */
function countTorn(side: Side, bytes: number): { reads: number; torn: number } {
  const name = `data-${bytes}`;
  const seen = { reads: 0, torn: 0 };
  const ends = performance.now() + 2 * TEAR_MS;
  let file: PlainFile | undefined;
  while (performance.now() < ends) {
    if (file === undefined) {
      if (fs.readdirSync(side.place).includes(name)) file = PlainFile.open(path.join(side.place, name), { direct: side.direct, access: PRIVATE });
      continue;
    }
    const memory = file.takeMemory(Math.max(bytes, BLOCK_BYTES));
    const got = file.readAt(memory, 0, memory.length, 0);
    if (got === memory.length) {
      seen.reads += 1;
      if (!memory.subarray(0, bytes).every((byte) => byte === memory[0])) seen.torn += 1;
    }
    file.giveMemory(memory);
  }
  file?.close();
  return seen;
}

/** The side that answers, until the other has all it wants. ETIMEDOUT where nobody asks within `limitMs`. Who asked. */
export function answerProbe(directory: string, who: string, limitMs: number): string {
  const side = new Side(directory, 'join', 'peer');
  try {
    let turn = side.hear(({ op, atMs }) => op === 'hello' && atMs > 0, limitMs, false);
    for (;;) {
      if (turn.op === 'write') writeAgainAndAgain(side, turn.bytes);
      side.say({ ...turn, atMs: Date.now(), who });
      if (turn.op === 'bye') return turn.who;
      turn = side.hear(() => true, ANSWER_MS, true);
    }
  } finally {
    side.close();
  }
}

function writeAgainAndAgain(side: Side, bytes: number): void {
  if (!(TEAR_BYTES as readonly number[]).includes(bytes)) throw new StpError('ESTPCORRUPT', `the other side asks for writes of ${bytes} bytes`);
  const place = path.join(side.place, `data-${bytes}`);
  const file = createFile(place, side.direct);
  const memory = file.takeMemory(Math.max(bytes, BLOCK_BYTES));
  const ends = performance.now() + 2 * TEAR_MS;
  for (let value = 1; performance.now() < ends; value = (value % 255) + 1) {
    memory.fill(value, 0, bytes);
    file.writeAt(memory, 0, memory.length, 0);
  }
  file.giveMemory(memory);
  file.close();
  removeFile(place);
}
