/**
 * The file `region`: created once, read by every opener, checked field by field.
 *
 * The creator puts it in place in one step, after the directories, so a process that finds it finds a whole region.
 * While the mark of a reset (REMOVING_PATH) is there, the header counts for nothing: openers wait until it is gone,
 * with the region or without.
 */
import { StpError } from '../errors';
import { FORMAT_VERSION, REGION_MAGIC, REGION_PATHS, RegionHeader, SOCKETS_MAX } from '../layout';
import { type Storage } from '../storage';
import { pause } from './pause';
import { randomId } from './random-id';
import { dateMs } from '../host';

export interface RegionLimits {
  /** Sockets that one process may hold. */
  readonly socketsMax: number;
  /** Capacity of one mapped log, bytes, a power of two. */
  readonly ringBytes: number;
  /** Capacity of one direct log, bytes, a multiple of 4096. */
  readonly framesBytes: number;
  /** A process of another host is dead when its heartbeat stood still for so long, milliseconds. */
  readonly leaseMs: number;
}

export interface RegionFacts {
  /** Random number that tells this region from one made later in its place. */
  readonly id: number;
  readonly createdAtMs: number;
  readonly limits: RegionLimits;
}

/**
 * A log that holds more than its reader misses while it collects garbage (a third of a millisecond of every ten) keeps
 * both ends busy; one that fits the processor's cache is enough where room is scarce: containers have 64 MB of shared
 * memory.
 */
const RING_BYTES = 1_048_576;
const SMALL_RING_BYTES = 262_144;
const ROOM_FOR_RINGS_BYTES = 256 * RING_BYTES;
/** Six of the longest frames: four that are under way, one that is being read, and one that is being written. */
const FRAMES_BYTES = 1536 * 1024;

/** As many as a system lets one process open files, by default. */
const SOCKETS_USUAL = 1_000_000;

/** Limits of a region made on a volume with so many bytes free; undefined: not known. */
export function defaultLimits(freeBytes: number | undefined): RegionLimits {
  const hasSpace = freeBytes !== undefined && freeBytes >= ROOM_FOR_RINGS_BYTES;
  return {
    socketsMax: SOCKETS_USUAL,
    ringBytes: hasSpace ? RING_BYTES : SMALL_RING_BYTES,
    framesBytes: FRAMES_BYTES,
    leaseMs: 5000,
  };
}

/** The mark of a reset: there from before it looks for live processes until all is removed, or left as it was. */
export const REMOVING_PATH = 'region.removing';

/** A file system without link(2) shows a header for a moment before its bytes; no longer than this, milliseconds. */
const HALF_MADE_MS = 500;
const HALF_MADE_STEP_MS = 5;

const LOG_BYTES_MIN = 4096;
const LOG_BYTES_MAX = 0x4000_0000;
const FRAMES_UNIT_BYTES = 4096;
export const LEASE_MS_MIN = 100;
export const LEASE_MS_MAX = 3_600_000;

/** Checks limits; `fail` is called with what is wrong. */
export function checkLimits(limits: RegionLimits, fail: (field: string) => never): void {
  const { socketsMax, ringBytes, framesBytes, leaseMs } = limits;
  if (!isIn(socketsMax, 1, SOCKETS_MAX)) fail('socketsMax');
  if (!isIn(ringBytes, LOG_BYTES_MIN, LOG_BYTES_MAX) || (ringBytes & (ringBytes - 1)) !== 0) fail('ringBytes');
  if (!isIn(framesBytes, LOG_BYTES_MIN, LOG_BYTES_MAX) || framesBytes % FRAMES_UNIT_BYTES !== 0) fail('framesBytes');
  if (!isIn(leaseMs, LEASE_MS_MIN, LEASE_MS_MAX)) fail('leaseMs');
}

/** Longest wait for a reset to come to its end, milliseconds; after that it has died. */
const RESET_WAIT_MS = 2000;
const RESET_STEP_MS = 5;
/** Longest wait for a header that is listed and can't be opened: caches of network file systems, milliseconds. */
const HEADER_WAIT_MS = 10_000;

/**
 * Reads the header; undefined where there is none. Where a reset is under way, waits for what becomes of it, and takes
 * its mark away where it died. Errors as readHeader.
 */
export function awaitHeader(storage: Storage): RegionFacts | undefined {
  for (let waitedMs = 0; ; waitedMs += RESET_STEP_MS) {
    // Only a name that is listed is opened: a network file system remembers for seconds that a name was not there.
    const names = storage.list('');
    if (!names.includes(REMOVING_PATH)) {
      const facts = names.includes(REGION_PATHS.header) ? readHeader(storage) : undefined;
      if (facts !== undefined || !names.includes(REGION_PATHS.header)) return facts;
      // Listed and then gone, or not to be opened yet: look again.
      if (waitedMs >= HEADER_WAIT_MS)
        throw new StpError('ESTPREGION', `the file '${REGION_PATHS.header}' in ${storage.root} can't be opened`);
    } else if (waitedMs >= RESET_WAIT_MS) {
      storage.remove(REMOVING_PATH);
    }
    pause(RESET_STEP_MS);
  }
}

/**
 * Reads the header; undefined where there is none. ESTPREGION: not a header; ESTPVERSION: of another version;
 * ESTPCORRUPT: damaged. Waits a moment for one that is being written.
 */
export function readHeader(storage: Storage): RegionFacts | undefined {
  for (let waitedMs = 0; ; waitedMs += HALF_MADE_STEP_MS) {
    const reader = storage.openBlocks(REGION_PATHS.header);
    if (reader === undefined) return undefined;
    try {
      const block = reader.read(0);
      if (block !== undefined) return decodeHeader(block.payload);
    } finally {
      reader.close();
    }
    if (waitedMs >= HALF_MADE_MS)
      throw new StpError('ESTPREGION', `the file '${REGION_PATHS.header}' in ${storage.root} is cut short`);
    pause(HALF_MADE_STEP_MS);
  }
}

/**
 * Makes the directories and the header with the limits that were chosen and the usual ones, unless another process does
 * it first; false then.
 */
export function createHeader(storage: Storage, chosen: Partial<RegionLimits>): boolean {
  const limits = { ...defaultLimits(storage.freeBytes()), ...chosen };
  makeDirectories(storage);
  const payload = new Uint8Array(RegionHeader.sizeBytes);
  RegionHeader.encode(
    { magic: REGION_MAGIC, version: FORMAT_VERSION, id: randomId(), createdAtMs: dateMs(), ...limits },
    payload,
  );
  return storage.publishOnce(REGION_PATHS.header, payload);
}

/** The directories of a region; harmless where they are there. ESTPCORRUPT: something else is in the place of one. */
export function makeDirectories(storage: Storage): void {
  for (const directory of [REGION_PATHS.processes, REGION_PATHS.links, REGION_PATHS.bells]) {
    try {
      storage.makeDirectory(directory);
    } catch (error) {
      // It was there and then it was not: a reset removed it in between.
      if (storage.info(directory) === undefined)
        throw new StpError('ENOENT', `${directory} was removed`, 'mkdir', { cause: error });
      throw error;
    }
  }
}

/** The checked facts of a header block. */
export function decodeHeader(payload: Uint8Array): RegionFacts {
  const file = `the file '${REGION_PATHS.header}'`;
  if (payload.length < RegionHeader.fields.socketsMax.at)
    throw new StpError('ESTPREGION', `${file} is too short for a region's`);
  // Another version may have another layout behind the version word, a shorter one too.
  const whole = new Uint8Array(RegionHeader.sizeBytes);
  whole.set(payload.subarray(0, whole.length));
  const values = RegionHeader.decode(whole);
  if (values.magic !== REGION_MAGIC) throw new StpError('ESTPREGION', `${file} is not a region's`);
  if (values.version !== FORMAT_VERSION) {
    throw new StpError(
      'ESTPVERSION',
      `${file} has version ${values.version}, this stp-net reads ${FORMAT_VERSION}; ` +
        `'stp reset' of the other version removes it`,
    );
  }
  if (payload.length < RegionHeader.sizeBytes) throw new StpError('ESTPCORRUPT', `${file} is cut short`);
  const limits = {
    socketsMax: values.socketsMax,
    ringBytes: values.ringBytes,
    framesBytes: values.framesBytes,
    leaseMs: values.leaseMs,
  };
  checkLimits(limits, (field) => {
    throw new StpError('ESTPCORRUPT', `${file}: ${field} is impossible`);
  });
  return { id: values.id, createdAtMs: values.createdAtMs, limits };
}

function isIn(value: number, low: number, high: number): boolean {
  return Number.isInteger(value) && value >= low && value <= high;
}
