/**
 * Becoming a member of a region: directory, header, a process number with its empty file, and the liveness FIFO.
 * Nothing tells of the process yet; all of it can be given back.
 */
import path from 'node:path';
import { crashPoint } from '../crash-points';
import { StpError } from '../errors';
import { PROCESS_BLOCKS, REGION_PATHS } from '../layout';
import { accessOf, type BlockWriter, chooseDriver, FileStorage, io, loadNative, type Storage } from '../storage';
import { checkRegionDirectory, makeRegionDirectory } from './directory';
import { type LivenessFifo, makeLivenessFifo, closeLivenessFifo } from './liveness-fifo';
import { awaitHeader, createHeader, makeDirectories, type RegionFacts, type RegionLimits } from './header';
import { agreedBootId, isGuessedBootId, type Machine, machine, sharingId } from './machine';
import { type RegionOptions } from './options';
import {
  decodeIdentity,
  livenessFifoPathOf,
  encodeIdentity,
  type MutableProcessInfo,
  ownIdentity,
  processPath,
} from './process-info';
import { claimNumber, listNumbers, removeUnlessHighest } from './process-numbers';
import { randomId } from './random-id';

/** What tests and special openers may replace. */
export interface RegionSetup {
  /** Limits of the region, where this opener turns out to be its creator. */
  readonly limits?: Partial<RegionLimits>;
  /** A storage other than the directory's own. */
  readonly storage?: Storage;
  /** A machine other than this one. */
  readonly machine?: Machine;
}

export interface Membership {
  readonly storage: Storage;
  readonly facts: RegionFacts;
  readonly self: MutableProcessInfo;
  readonly machine: Machine;
  readonly file: BlockWriter;
  readonly livenessFifo: LivenessFifo | undefined;
  /** The directory is local to us, and may be served to other hosts. */
  readonly mayBeServed: boolean;
  /** Why this driver, in words. */
  readonly driverDetail: string;
}

/** Becomes a member; undefined where the region was removed meanwhile and one may try again. */
export function takeMembership(
  options: RegionOptions,
  limits: Partial<RegionLimits>,
  setup: RegionSetup,
): Membership | undefined {
  if (setup.storage === undefined) makeRegionDirectory(options.directory, options.mode);
  crashPoint('open.directory');
  try {
    const opened =
      setup.storage === undefined
        ? openStorage(options)
        : { storage: setup.storage, driverDetail: 'given', mayBeServed: false };
    const { storage } = opened;
    const facts = openHeader(storage, limits);
    if (facts === undefined) return undefined;
    crashPoint('open.header');
    makeDirectories(storage);
    return sitDown(opened, facts, options, setup.machine ?? machine());
  } catch (error) {
    if (error instanceof StpError && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Gives a membership back as well as it can be done. Never throws. */
export function giveUpMembership(membership: Membership): void {
  // Where the file stays, being the highest, it must not look like a living process of this pid.
  membership.self.state = 'left';
  quietly(() => {
    membership.file.write(PROCESS_BLOCKS.identity, encodeIdentity(membership.self));
  });
  giveUpPlace(membership.storage, membership.self.number, membership.file, membership.livenessFifo);
}

/**
 * Closes and removes what a process number brought: its file, unless it is the highest, and its liveness FIFO. Never
 * throws.
 */
export function giveUpPlace(
  storage: Storage,
  number: number,
  file: BlockWriter,
  livenessFifo: LivenessFifo | undefined,
): void {
  quietly(() => {
    file.close();
  });
  quietly(() => removeUnlessHighest(storage, number));
  crashPoint('leave.file');
  if (livenessFifo === undefined) return;
  closeLivenessFifo(livenessFifo);
  quietly(() => storage.remove(livenessFifoPathOf(number)));
  crashPoint('leave.liveness-fifo');
}

/** For closing: no caller can do more about what fails now, and recovery finds what is left. */
export function quietly(act: () => unknown): void {
  try {
    act();
  } catch {
    // See above.
  }
}

/** True where the region is still the one of `facts`, and the file of process `number` is in it. */
export function isStillThere(storage: Storage, facts: RegionFacts, number: number): boolean {
  return awaitHeader(storage)?.id === facts.id && listNumbers(storage).includes(number);
}

/** True where the directory is gone and can be made anew, or holds a region again. */
export function isReplaceable(storage: Storage): boolean {
  const { root } = storage;
  return io.existsSync(root) ? storage.info(REGION_PATHS.header) !== undefined : io.existsSync(path.dirname(root));
}

interface Opened {
  readonly storage: Storage;
  readonly driverDetail: string;
  readonly mayBeServed: boolean;
}

function openStorage(options: RegionOptions): Opened {
  checkRegionDirectory(options.directory, 'write', options.mode);
  const choice = chooseDriver(options.directory, options.driver);
  const storage = new FileStorage(options.directory, {
    driver: choice.driver,
    local: choice.localFs,
    access: accessOf(options.directory),
  });
  return { storage, driverDetail: choice.detail, mayBeServed: choice.localFs && !choice.inMemory };
}

/** The header, made where there is none; undefined where it vanished again at once. */
function openHeader(storage: Storage, limits: Partial<RegionLimits>): RegionFacts | undefined {
  const facts = awaitHeader(storage);
  if (facts !== undefined) return facts;
  createHeader(storage, limits);
  return awaitHeader(storage);
}

function sitDown(
  { storage, driverDetail, mayBeServed }: Opened,
  facts: RegionFacts,
  options: RegionOptions,
  machine: Machine,
): Membership {
  const bootId = isGuessedBootId(machine.bootId)
    ? agreedBootId(machine.bootId, bootIdsInUse(storage))
    : sharingId(machine.bootId, storage.mount());
  // A process that dies between its number and its identity leaves a riddle for some minutes: what takes time comes
  // before.
  loadNative();
  const { number, file } = claimNumber(storage);
  storage.pin(processPath(number));
  crashPoint('open.number');
  let livenessFifo: LivenessFifo | undefined;
  try {
    livenessFifo = makeLivenessFifo(storage, number);
    crashPoint('open.liveness-fifo');
    const self = ownIdentity({
      number,
      epoch: randomId(),
      regionId: facts.id,
      system: options.system,
      group: options.group,
      canMap: storage.mechanisms.has('ring'),
      canFrame: storage.mechanisms.has('frames'),
      hasLivenessFifo: livenessFifo !== undefined,
      bootId,
      machine,
    });
    return { storage, facts, self, machine: { ...machine, bootId }, file, livenessFifo, driverDetail, mayBeServed };
  } catch (error) {
    giveUpPlace(storage, number, file, livenessFifo);
    throw error;
  }
}

function bootIdsInUse(storage: Storage): Set<string> {
  const ids = new Set<string>();
  for (const number of listNumbers(storage)) {
    quietly(() => {
      const reader = storage.openBlocks(processPath(number));
      try {
        const block = reader?.read(PROCESS_BLOCKS.identity);
        if (block !== undefined) ids.add(decodeIdentity(block.payload, number).bootId);
      } finally {
        reader?.close();
      }
    });
  }
  return ids;
}
