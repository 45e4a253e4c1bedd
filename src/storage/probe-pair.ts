/**
 * What two sides measure together. Each measurement has a part for the side that leads and one for the side that
 * answers; both run at the same time.
 */
import fs from 'node:fs';
import { StpError } from '../errors';
import { BLOCK_BYTES } from '../layout';
import { FileBlockReader, FileBlockWriter } from './block-file';
import { makeDirectory, removeFile } from './files';
import { loadNative } from './native';
import { PlainFile } from './positioned-file';
import { createFile, pauseMs, percentile, type Side, timed, tryTo } from './probe-side';
import { nowMs } from '../host';

/**
 * Sizes of what is read while it is written, bytes. A file is written in blocks: of the first only a part is looked at.
 */
export const TEAR_BYTES: readonly number[] = [64, 512, 4096, 65_536, 1_048_576];
/** How long one side does something while the other looks, milliseconds. */
const LOOK_MS = 200;
/**
 * A side that gets no processor begins so late at most, milliseconds: the other waits for it, and both do each thing at
 * least once.
 */
const MEET_MS = 10_000;
/** For what a network file system shows late, milliseconds. */
const LATE_MS = 500;

// --- torn reads ---

export interface TornReads {
  readonly bytes: number;
  readonly reads: number;
  readonly torn: number;
}

/** Reads what the other side writes again and again; every write fills its bytes with one value. */
export function countTorn(side: Side, bytes: number): TornReads {
  let reads = 0;
  let torn = 0;
  const length = Math.max(bytes, BLOCK_BYTES);
  const file = side.awaitFile(`data-${bytes}`, length, nowMs() + MEET_MS);
  if (file === undefined) return { bytes, reads, torn };
  const memory = file.takeMemory(length);
  const began = nowMs();
  while (nowMs() - began < (reads === 0 ? MEET_MS : LOOK_MS)) {
    if (file.readAt(memory, 0, length, 0) !== length) continue;
    reads += 1;
    // All bytes are the same where each is like the next.
    if (memory.compare(memory, 1, bytes, 0, bytes - 1) !== 0) torn += 1;
  }
  file.giveMemory(memory);
  file.close();
  return { bytes, reads, torn };
}

export function writeAgainAndAgain(side: Side, bytes: number): void {
  if (!TEAR_BYTES.includes(bytes))
    throw new StpError('ESTPCORRUPT', `the other side asks for writes of ${bytes} bytes`);
  const file = side.create(`data-${bytes}`);
  const memory = file.takeMemory(Math.max(bytes, BLOCK_BYTES));
  const ends = nowMs() + LOOK_MS;
  for (let value = 1, writes = 0; writes === 0 || nowMs() < ends; value = (value % 255) + 1, writes++) {
    memory.fill(value, 0, bytes);
    file.writeAt(memory, 0, memory.length, 0);
  }
  file.giveMemory(memory);
  file.close();
}

// --- throughput ---

/** What is written at once, bytes: as a log of frames under load. */
const CHUNK_BYTES = 1 << 20;
/** Chunks that lie in the file: a reader that is late by more has missed some. */
const CHUNKS = 4;
const STREAM = 'stream';
const STREAM_MS = 500;

/** Writes one chunk after the other, each with its number at both ends. */
export function writeStream(side: Side): void {
  const file = side.create(STREAM);
  const memory = file.takeMemory(CHUNK_BYTES);
  const ends = nowMs() + STREAM_MS;
  for (let n = 1; n === 1 || nowMs() < ends; n++) {
    memory.writeUInt32LE(n, 0);
    memory.writeUInt32LE(n, CHUNK_BYTES - 4);
    file.writeAt(memory, 0, CHUNK_BYTES, ((n - 1) % CHUNKS) * CHUNK_BYTES);
  }
  file.giveMemory(memory);
  file.close();
}

/** MB/s of whole chunks that were read while the other side wrote them; 0 where none was. */
export function readStream(side: Side): number {
  const file = side.awaitFile(STREAM, CHUNK_BYTES, nowMs() + MEET_MS);
  if (file === undefined) return 0;
  const memory = file.takeMemory(CHUNK_BYTES);
  let [chunks, last] = [0, 0];
  const began = nowMs();
  while (nowMs() - began < (chunks === 0 ? MEET_MS : STREAM_MS)) {
    if (file.readAt(memory, 0, CHUNK_BYTES, (last % CHUNKS) * CHUNK_BYTES) !== CHUNK_BYTES) continue;
    const n = memory.readUInt32LE(0);
    if (n <= last || memory.readUInt32LE(CHUNK_BYTES - 4) !== n) continue;
    chunks += 1;
    last = n;
  }
  file.giveMemory(memory);
  file.close();
  return (chunks * CHUNK_BYTES) / 1e3 / (nowMs() - began);
}

// --- mapped memory ---

/** What one side sees of what the other stores into a mapped file, which both had mapped before. */
export type MappingVerdict = 'seen' | 'not seen' | 'impossible';

const STORED = 0x5354_5003;
const VERDICTS: readonly MappingVerdict[] = ['impossible', 'not seen', 'seen'];
const mapName = (leads: boolean): string => `map-${leads ? 'a' : 'b'}`;

/** Makes a file and maps it. False: that is impossible. */
export function makeMapping(side: Side): boolean {
  const file = side.create(mapName(side.leads), false);
  side.atEnd(() => {
    file.close();
  });
  file.writeAt(Buffer.alloc(BLOCK_BYTES), 0, BLOCK_BYTES, 0);
  // Else a network file system keeps it to itself, and the other side finds an empty file.
  fs.fsyncSync(file.fd);
  side.shown = mapped(side, file, true);
  return side.shown !== undefined;
}

/** Maps the file of the other side, and looks at it. False: that is impossible. */
export function openMapping(side: Side): boolean {
  const file = side.awaitFile(mapName(!side.leads), BLOCK_BYTES, nowMs() + LATE_MS, false);
  if (file === undefined) return false;
  side.atEnd(() => {
    file.close();
  });
  // A page that can't be read would end the process when it is touched.
  if (file.readAt(Buffer.alloc(BLOCK_BYTES), 0, BLOCK_BYTES, 0) !== BLOCK_BYTES) return false;
  side.watched = mapped(side, file, false);
  return side.watched !== undefined && Atomics.load(side.watched, 0) === 0;
}

export function storeMapped(side: Side): boolean {
  if (side.shown === undefined) return false;
  Atomics.store(side.shown, 0, STORED);
  return true;
}

/** Waits for what the other side has stored; a number for {@link verdictOf}. */
export function watchMapping(side: Side): number {
  if (side.watched === undefined) return VERDICTS.indexOf('impossible');
  for (const ends = nowMs() + LATE_MS; nowMs() < ends;) {
    if (Atomics.load(side.watched, 0) === STORED) return VERDICTS.indexOf('seen');
    pauseMs(1);
  }
  return VERDICTS.indexOf('not seen');
}

export function verdictOf(value: number | undefined): MappingVerdict {
  return VERDICTS[value ?? 0] ?? 'impossible';
}

function mapped(side: Side, file: PlainFile, writable: boolean): Int32Array | undefined {
  try {
    const mapping = loadNative()?.map(file.fd, BLOCK_BYTES, writable);
    if (mapping === undefined) return undefined;
    side.atEnd(() => {
      mapping.release();
    });
    return new Int32Array(mapping.buffer);
  } catch {
    return undefined;
  }
}

// --- rename ---

export interface Renames {
  /** Looks by name. */
  readonly reads: number;
  /** Looks that found no file, or one that the file system no longer knew. */
  readonly missing: number;
  /** Looks that found neither the old nor the new file. */
  readonly wrong: number;
}

const NAMED = 'named';

/** Puts new files in the place of one, again and again. */
export function renameAgainAndAgain(side: Side): void {
  const place = side.fresh(NAMED);
  const next = side.fresh(`${NAMED}-next`);
  const ends = nowMs() + LOOK_MS;
  for (let value = 1, renames = 0; renames === 0 || nowMs() < ends; value = (value % 255) + 1, renames++) {
    const file = createFile(next, side.direct, side.access);
    const memory = file.takeMemory(BLOCK_BYTES).fill(value);
    file.writeAt(memory, 0, BLOCK_BYTES, 0);
    file.giveMemory(memory);
    file.close();
    fs.renameSync(next, place);
  }
}

export function lookByName(side: Side): Renames {
  let [reads, missing, wrong] = [0, 0, 0];
  side.awaitFile(NAMED, BLOCK_BYTES, nowMs() + MEET_MS)?.close();
  const ends = nowMs() + LOOK_MS;
  while (reads === 0 || nowMs() < ends) {
    reads += 1;
    const found = lookOnce(side);
    if (found === 'missing') missing += 1;
    if (found === 'wrong') wrong += 1;
  }
  return { reads, missing, wrong };
}

function lookOnce(side: Side): 'right' | 'missing' | 'wrong' {
  try {
    const file = PlainFile.open(side.at(NAMED), { direct: side.direct, access: side.access });
    if (file === undefined) return 'missing';
    const memory = file.takeMemory(BLOCK_BYTES);
    try {
      const whole = file.readAt(memory, 0, BLOCK_BYTES, 0) === BLOCK_BYTES;
      return whole && memory[0] !== 0 && memory.compare(memory, 1, BLOCK_BYTES, 0, BLOCK_BYTES - 1) === 0
        ? 'right'
        : 'wrong';
    } finally {
      file.giveMemory(memory);
      file.close();
    }
  } catch {
    return 'missing';
  }
}

// --- creation ---

/** Files that both sides try to create. */
export const EXCLUSIVE_FILES = 60;

/** Creates files that the other side creates as well, as processes claim their numbers; how many were ours. */
export function raceToCreate(side: Side): number {
  let won = 0;
  for (let i = 0; i < EXCLUSIVE_FILES; i++) {
    const file = PlainFile.createLinked(side.at(`exclusive-${i}`), side.place, { direct: false, access: side.access });
    if (file === undefined) continue;
    file.close();
    won += 1;
  }
  return won;
}

export function clearExclusive(side: Side): void {
  for (const name of fs.readdirSync(side.place)) if (name.startsWith('exclusive-')) removeFile(side.at(name));
}

// --- locks ---

export interface LockCount {
  readonly updates: number;
  /** The highest number that this side wrote. */
  readonly value: number;
  /** Taking the lock and giving it back. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const LOCK_ROUNDS_MAX = 100;
const LOCK_MS = 400;
const LOCK_WAIT_MS_MAX = 5000;
const countName = (leads: boolean): string => `count-${leads ? 'a' : 'b'}`;

/**
 * Adds one to a number that both sides have, under a lock that is a directory. Each writes into a file of its own: two
 * writers in one file stall on some file systems. Where no update is lost the highest number is the count of all.
 */
export function countUnderLock(side: Side): LockCount {
  const mine = side.create(countName(side.leads));
  side.atEnd(() => {
    mine.close();
  });
  const writer = new FileBlockWriter(mine);
  let value = 0;
  const write = (): void => {
    writer.write(0, Buffer.from(String(value)));
  };
  write();
  const file = side.awaitFile(countName(!side.leads), BLOCK_BYTES, nowMs() + MEET_MS);
  if (file === undefined) return { updates: 0, value: 0, p50Ms: 0, p99Ms: 0 };
  const theirs = new FileBlockReader(file);
  side.atEnd(() => {
    theirs.close();
  });
  const times: number[] = [];
  const ends = nowMs() + LOCK_MS;
  while (times.length === 0 || (times.length < LOCK_ROUNDS_MAX && nowMs() < ends)) {
    const lockedMs = timed(() => {
      lock(side);
    });
    try {
      const next = Math.max(value, numberIn(theirs)) + 1;
      // A moment in which a lock that is none shows.
      pauseMs(1);
      value = next;
      write();
    } finally {
      times.push(
        lockedMs +
          timed(() => {
            fs.rmdirSync(side.at(LOCK));
          }),
      );
    }
    // The side that has just had the lock is too quick for the other.
    pauseMs(1);
  }
  return { updates: times.length, value, p50Ms: percentile(times, 0.5), p99Ms: percentile(times, 0.99) };
}

/** The number that the other side has written; ESTPCORRUPT for anything else. */
function numberIn(reader: FileBlockReader): number {
  const block = reader.read(0);
  const value = block === undefined ? 0 : Number(Buffer.from(block.payload).toString());
  if (!Number.isSafeInteger(value) || value < 0)
    throw new StpError('ESTPCORRUPT', 'the other side counts with something that is no number');
  return value;
}

const LOCK = 'lock';

function lock(side: Side): void {
  for (const began = nowMs(); nowMs() - began < LOCK_WAIT_MS_MAX;) {
    if (makeDirectory(side.at(LOCK), 0o700)) return;
    pauseMs(1);
  }
  throw new StpError('ETIMEDOUT', `the lock was not to be had in ${LOCK_WAIT_MS_MAX / 1000} s`);
}

/** Takes away a lock that an earlier run may have left. */
export function clearLock(side: Side): void {
  tryTo(() => {
    fs.rmdirSync(side.at(LOCK));
  });
}
