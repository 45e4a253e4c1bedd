/**
 * Which driver a region's directory gets, and why. `mapped` needs koffi and a file system whose readers share one page cache.
 */
import os from 'node:os';
import { StpError } from '../errors';
import { fileSystemOf } from './file-system';
import { loadNative, whyNoNative } from './native';

export type WantedDriver = 'auto' | 'mapped' | 'direct';

/** Stable codes of why a driver was chosen. */
export type DriverReason = 'local' | 'asked' | 'not-local' | 'no-native';

export interface DriverChoice {
  readonly driver: 'mapped' | 'direct';
  readonly reason: DriverReason;
  /** The reason in words. */
  readonly detail: string;
  readonly localFs: boolean;
}

/** Chooses; `directory` need not exist yet. ESTPDRIVER where `mapped` was asked for and is not possible. */
export function chooseDriver(directory: string, wanted: WantedDriver): DriverChoice {
  if (os.endianness() !== 'LE') throw new StpError('ESTPDRIVER', 'the format of a region is little endian, this machine is not');
  const { name, local } = fileSystemOf(directory);
  if (wanted === 'direct') return { driver: 'direct', reason: 'asked', detail: `direct was asked for, on ${name}`, localFs: local };
  const obstacle = mappedObstacle(name, local);
  if (obstacle === undefined) {
    const reason = wanted === 'mapped' ? 'asked' : 'local';
    return { driver: 'mapped', reason, detail: `${name} is local and can be mapped`, localFs: local };
  }
  if (wanted === 'mapped') throw new StpError('ESTPDRIVER', `mapped: ${obstacle.detail}`);
  return { driver: 'direct', ...obstacle, localFs: local };
}

function mappedObstacle(name: string, local: boolean): { reason: DriverReason; detail: string } | undefined {
  if (!local) return { reason: 'not-local', detail: `file system ${name} is not known to be local to this host` };
  if (loadNative() === undefined) return { reason: 'no-native', detail: whyNoNative() };
  return undefined;
}
