/**
 * What a directory can do, measured: from one side, and between two sides that take turns through two files, each with
 * one writer.
 */
import fs from 'node:fs';
import path from 'node:path';
import { StpError } from '../errors';
import { BLOCK_BYTES } from '../layout';
import { fileSystemOf } from './file-system';
import { makeFifo, removeFifo } from './fifo';
import { removeFile } from './files';
import { mappingWorks } from './mapping-probe';
import {
  clearExclusive,
  clearLock,
  countTorn,
  countUnderLock,
  EXCLUSIVE_FILES,
  lookByName,
  makeMapping,
  type MappingVerdict,
  openMapping,
  raceToCreate,
  readStream,
  renameAgainAndAgain,
  type Renames,
  storeMapped,
  TEAR_BYTES,
  type TornReads,
  verdictOf,
  watchMapping,
  writeAgainAndAgain,
  writeStream,
} from './probe-pair';
import { PlainFile } from './positioned-file';
import {
  createFile,
  openPlace,
  percentile,
  type Place,
  Side,
  timed,
  tryTo,
  type Turn,
  type TurnKind,
} from './probe-side';
import { dateMs, nowMs } from '../host';

const PINGS_MAX = 200;
const PING_MS_MAX = 3000;
const STREAM_BYTES = 1 << 20;
const STREAM_MS = 300;
const ANSWER_MS = 60_000;

export interface OneSide {
  readonly fileSystem: string;
  /** All processes that see it share one page cache. */
  readonly local: boolean;
  /** It lies in the memory of this host. */
  readonly inMemory: boolean;
  /** Reads and writes pass the page cache by when they are asked to. Where it is local, we do not ask. */
  readonly odirect: boolean;
  readonly fifos: boolean;
  /** link(2), which puts a region's header in place in one step. */
  readonly links: boolean;
  readonly rename: boolean;
  /**
   * What is stored into a mapped file is read back by another mapping and by a read: undefined where nothing can be
   * mapped, or just now nothing more.
   */
  readonly mapping: boolean | undefined;
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
  /** What we can read while the other side writes, in chunks of 1 MiB. */
  readonly readMBs: number;
  /** Reads that showed two writes at once, by size. */
  readonly torn: readonly TornReads[];
  /** What one side sees of what the other stores into mapped memory: we of theirs, they of ours. */
  readonly mapping: { readonly theirs: MappingVerdict; readonly ours: MappingVerdict };
  /**
   * One number that both count up under a lock (mkdir): updates, those that were lost, and how long it took to get the
   * lock and give it back.
   */
  readonly lock: { readonly updates: number; readonly lost: number; readonly p50Ms: number; readonly p99Ms: number };
  /** Looks at a name while the other side renames new files to it. */
  readonly rename: Renames;
  /** Files that both tried to create as a process claims its number, and those that not exactly one of them created. */
  readonly exclusive: { readonly files: number; readonly doubles: number };
  /** How far the other clock is ahead. */
  readonly clockSkewMs: number;
  /** What the other side told of itself. */
  readonly other: string;
  /** Its file system is local to it. */
  readonly otherLocal: boolean;
}

function mappingOf(place: string): boolean | undefined {
  const works = mappingWorks(place);
  return works instanceof StpError ? undefined : works;
}

/** Measures what one side can tell. */
export function probeOneSide(directory: string): OneSide {
  const { name, local, inMemory } = fileSystemOf(directory);
  const place = openPlace(directory);
  const { access } = place;
  const mine = path.join(place.path, `one-${process.pid}`);
  const other = `${mine}-other`;
  const { bavail, bsize } = fs.statfsSync(place.path);
  const file = createFile(mine, !local, access);
  try {
    // A server that gives what we make to another user shows now.
    PlainFile.open(mine, { direct: false, access })?.close();
    const block = file.takeMemory(BLOCK_BYTES);
    const big = file.takeMemory(STREAM_BYTES);
    const writes = Array.from({ length: 30 }, () =>
      timed(() => {
        file.writeAt(block, 0, BLOCK_BYTES, 0);
      }),
    );
    const reads = Array.from({ length: 30 }, () =>
      timed(() => {
        file.readAt(block, 0, BLOCK_BYTES, 0);
      }),
    );
    let bytes = 0;
    const began = nowMs();
    while (nowMs() - began < STREAM_MS) {
      file.writeAt(big, 0, STREAM_BYTES, bytes % (4 * STREAM_BYTES));
      bytes += STREAM_BYTES;
    }
    const writeMBs = bytes / 1e3 / (nowMs() - began);
    const links = tryTo(() => {
      fs.linkSync(mine, other);
    });
    removeFile(other);
    const rename = tryTo(() => {
      fs.renameSync(mine, other);
      fs.renameSync(other, mine);
    });
    const fifos = tryTo(() => {
      if (!makeFifo(other, access)) throw new Error('no FIFOs');
    });
    if (fifos) removeFifo(other);
    return {
      fileSystem: name,
      local,
      inMemory,
      odirect: local ? takesDirect(place, other) : file.direct,
      fifos,
      links,
      rename,
      mapping: mappingOf(place.path),
      freeBytes: bavail * bsize,
      writeBlockP50Ms: percentile(writes, 0.5),
      readBlockP50Ms: percentile(reads, 0.5),
      writeMBs,
    };
  } finally {
    file.close();
    tryTo(() => {
      removeFile(mine);
    });
    tryTo(() => {
      fs.rmdirSync(place.path);
    });
  }
}

function takesDirect({ access }: Place, name: string): boolean {
  const file = createFile(name, true, access);
  try {
    const block = file.takeMemory(BLOCK_BYTES);
    file.writeAt(block, 0, BLOCK_BYTES, 0);
    file.giveMemory(block);
    return file.direct;
  } finally {
    file.close();
    removeFile(name);
  }
}

type Ask = (op: TurnKind, bytes?: number, meanwhile?: () => void) => Turn;

/** The side that measures: waits for the other for at most `limitMs`. ETIMEDOUT where it does not come. */
export function probeTwoSides(directory: string, who: string, limitMs: number): TwoSides {
  const side = new Side(directory, true);
  try {
    clearLock(side);
    clearExclusive(side);
    let n = dateMs() + 1;
    side.say({ n, op: 'hello', bytes: 0, atMs: dateMs(), who, values: [] });
    const { who: other, values } = side.hear((turn) => turn.n === n, limitMs, false);
    const ask: Ask = (op, bytes = 0, meanwhile) => {
      n += 1;
      side.say({ n, op, bytes, atMs: dateMs(), who, values: [] });
      meanwhile?.();
      return side.hear((turn) => turn.n === n, ANSWER_MS, op === 'ping');
    };
    const trips = pingPong(ask);
    const torn = TEAR_BYTES.map((bytes) => {
      let seen: TornReads = { bytes, reads: 0, torn: 0 };
      ask('write', bytes, () => {
        seen = countTorn(side, bytes);
      });
      return seen;
    });
    let readMBs = 0;
    ask('stream', 0, () => {
      readMBs = readStream(side);
    });
    const told = {
      readMBs,
      torn,
      mapping: mapBothWays(side, ask),
      rename: renameThere(side, ask),
      exclusive: createBoth(side, ask),
      lock: lockBoth(side, ask),
    };
    // The other side ends with its answer, and takes it away.
    tryTo(() => {
      ask('bye');
    });
    return { ...trips, ...told, other, otherLocal: values[0] === 1 };
  } finally {
    side.close();
  }
}

function pingPong(
  ask: Ask,
): Pick<TwoSides, 'roundTripP50Ms' | 'roundTripP99Ms' | 'visibleP50Ms' | 'visibleP99Ms' | 'clockSkewMs'> {
  const trips: number[] = [];
  let best = Infinity;
  let clockSkewMs = 0;
  for (const began = nowMs(); trips.length < PINGS_MAX && nowMs() - began < PING_MS_MAX;) {
    let answer: Turn | undefined;
    const sentAtMs = dateMs();
    const ms = timed(() => {
      answer = ask('ping');
    });
    trips.push(ms);
    if (ms < best && answer !== undefined) {
      best = ms;
      clockSkewMs = answer.atMs - (sentAtMs + ms / 2);
    }
  }
  const p50 = percentile(trips, 0.5);
  const p99 = percentile(trips, 0.99);
  return {
    roundTripP50Ms: p50,
    roundTripP99Ms: p99,
    visibleP50Ms: p50 / 2,
    visibleP99Ms: p99 / 2,
    clockSkewMs: Math.round(clockSkewMs),
  };
}

function mapBothWays(side: Side, ask: Ask): TwoSides['mapping'] {
  const there = (op: TurnKind): number | undefined => ask(op).values[0];
  // A file is mapped by both before anything is stored into it: what is read from it for the first time proves nothing.
  const theirs =
    there('map-make') === 1 && openMapping(side) && there('map-store') === 1
      ? verdictOf(watchMapping(side))
      : 'impossible';
  const ours =
    makeMapping(side) && there('map-open') === 1 && storeMapped(side) ? verdictOf(there('map-watch')) : 'impossible';
  return { theirs, ours };
}

function renameThere(side: Side, ask: Ask): Renames {
  let seen: Renames = { reads: 0, missing: 0, wrong: 0 };
  ask('rename', 0, () => {
    seen = lookByName(side);
  });
  return seen;
}

function createBoth(side: Side, ask: Ask): TwoSides['exclusive'] {
  let won = 0;
  const [theirs = 0] = ask('exclusive', 0, () => {
    won = raceToCreate(side);
  }).values;
  clearExclusive(side);
  return { files: EXCLUSIVE_FILES, doubles: Math.abs(won + theirs - EXCLUSIVE_FILES) };
}

function lockBoth(side: Side, ask: Ask): TwoSides['lock'] {
  let ours = { updates: 0, value: 0, p50Ms: 0, p99Ms: 0 };
  const [updates = 0, value = 0] = ask('lock', 0, () => {
    ours = countUnderLock(side);
  }).values;
  const all = ours.updates + updates;
  return { updates: all, lost: all - Math.max(ours.value, value), p50Ms: ours.p50Ms, p99Ms: ours.p99Ms };
}

/**
 * The side that answers, until the other has all it wants. ETIMEDOUT where no side asks within `limitMs`. Returns what
 * the side that asked calls itself.
 */
export function answerProbe(directory: string, who: string, limitMs: number): string {
  const side = new Side(directory, false);
  try {
    let turn = side.hear(({ op, atMs }) => op === 'hello' && atMs > 0, limitMs, false);
    for (;;) {
      const values = answer(side, turn);
      side.say({ ...turn, atMs: dateMs(), who, values });
      if (turn.op === 'bye') return turn.who;
      // A greeting may have been left by one that was killed.
      const greeted = turn.op === 'hello';
      turn = side.hear(() => true, greeted ? limitMs : ANSWER_MS, !greeted);
    }
  } finally {
    side.close();
  }
}

/** Does the part of the side that answers; the numbers of its answer. */
function answer(side: Side, { op, bytes }: Turn): number[] {
  switch (op) {
    case 'hello':
      return [side.direct ? 0 : 1];
    case 'write':
      writeAgainAndAgain(side, bytes);
      return [];
    case 'stream':
      writeStream(side);
      return [];
    case 'map-make':
      return [makeMapping(side) ? 1 : 0];
    case 'map-open':
      return [openMapping(side) ? 1 : 0];
    case 'map-store':
      return [storeMapped(side) ? 1 : 0];
    case 'map-watch':
      return [watchMapping(side)];
    case 'rename':
      renameAgainAndAgain(side);
      return [];
    case 'exclusive':
      return [raceToCreate(side)];
    case 'lock': {
      const { updates, value } = countUnderLock(side);
      return [updates, value];
    }
    case 'ping':
    case 'bye':
      return [];
  }
}
