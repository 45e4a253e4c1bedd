/**
 * Which driver a region's directory gets, and why.
 *
 * `mapped` needs koffi, a file system whose readers share one page cache, and mapped memory that was just tried there
 * and holds what it is given. What is not known to be local gets `direct`: whether another host sees the directory
 * can't be measured from one side, and a wrong guess loses data. Nor is memory mapped there between processes of one
 * host: its pages are written back to a server, and where that fails the kernel drops them.
 */
import os from 'node:os';
import { StpError } from '../errors';
import { fileSystemOf } from './file-system';
import { mappingWorks } from './mapping-probe';
import { loadNative, whyNoNative } from './native';

export type WantedDriver = 'auto' | 'mapped' | 'direct';

/** Stable codes of why a driver was chosen. */
export type DriverReason = 'local' | 'asked' | 'not-local' | 'no-native' | 'not-mappable';

export interface DriverChoice {
  readonly driver: 'mapped' | 'direct';
  readonly reason: DriverReason;
  /** The reason in words. */
  readonly detail: string;
  readonly localFs: boolean;
  /** The directory lies in the memory of this host. */
  readonly inMemory: boolean;
}

interface Obstacle {
  readonly reason: DriverReason;
  readonly detail: string;
  /** It may pass, and this is the error until then. */
  readonly failure?: StpError;
}

/**
 * Local file systems that write each block to a new place. Blocks that were reserved are no room then: a store into
 * mapped memory on a volume or a quota that is full ends the process with SIGBUS (seen on btrfs), where a write is told
 * ENOSPC or EDQUOT.
 */
export const COPY_ON_WRITE: ReadonlySet<string> = new Set(['btrfs', 'zfs', 'bcachefs']);

/**
 * Chooses; `directory` need not exist yet. ESTPDRIVER where `mapped` was asked for and is not possible, ENOBUFS or
 * EMFILE where it is not just now.
 */
export function chooseDriver(directory: string, wanted: WantedDriver): DriverChoice {
  if (os.endianness() !== 'LE')
    throw new StpError('ESTPDRIVER', 'the format of a region is little endian, this machine is not');
  const { name, local, inMemory } = fileSystemOf(directory);
  const place = { localFs: local, inMemory };
  if (wanted === 'direct')
    return { driver: 'direct', reason: 'asked', detail: `direct was asked for, on ${name}`, ...place };
  if (wanted === 'auto' && COPY_ON_WRITE.has(name)) {
    const twice = `${name} takes room for blocks that were reserved once more`;
    const detail = `${twice}: a full volume would end who has mapped them`;
    return { driver: 'direct', reason: 'not-mappable', detail, ...place };
  }
  const obstacle = mappedObstacle(directory, name, local);
  if (obstacle === undefined) {
    const reason = wanted === 'mapped' ? 'asked' : 'local';
    return {
      driver: 'mapped',
      reason,
      detail: `${name} is local, and memory mapped there holds what it is given`,
      ...place,
    };
  }
  const { reason, detail, failure } = obstacle;
  if (wanted === 'mapped') throw failure ?? new StpError('ESTPDRIVER', `mapped: ${detail}`);
  return { driver: 'direct', reason, detail, ...place };
}

function mappedObstacle(directory: string, name: string, local: boolean): Obstacle | undefined {
  if (!local) return { reason: 'not-local', detail: `file system ${name} is not known to be local to this host` };
  if (loadNative() === undefined) return { reason: 'no-native', detail: whyNoNative() };
  // Undefined, where no file could be made: that is told by what comes next.
  const works = mappingWorks(directory);
  if (works instanceof StpError)
    return {
      reason: 'not-mappable',
      detail: `${name} is local, but no memory can be mapped just now: ${works.message}`,
      failure: works,
    };
  if (works === false)
    return {
      reason: 'not-mappable',
      detail: `${name} is local, but what is stored into mapped memory there is not what is read`,
    };
  return undefined;
}
