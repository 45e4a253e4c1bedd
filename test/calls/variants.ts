/** The ways in which a region can carry bytes on this machine: what holds for one has to hold for all. */
import os from 'node:os';
import { fileSystemOf, loadNative } from '../../src/storage';
import { memoryDirectory } from '../memory-directory';
import { type ActorOptions } from './actor';

export interface Variant {
  readonly title: string;
  readonly under: string;
  readonly options: Pick<ActorOptions, 'driver' | 'withoutKoffi'>;
  /** For tap: why it can't run here. */
  readonly skip: { readonly skip?: string };
}

const mappable = (under: string): { skip?: string } => {
  if (loadNative() === undefined) return { skip: 'koffi is missing' };
  return fileSystemOf(under).local ? {} : { skip: `${under} is not local` };
};

export const MAPPED: Variant = {
  title: 'mapped',
  under: memoryDirectory(),
  options: { driver: 'mapped' },
  skip: mappable(memoryDirectory()),
};
export const DIRECT: Variant = { title: 'direct', under: memoryDirectory(), options: { driver: 'direct' }, skip: {} };
const MAPPED_ON_DISK: Variant = {
  title: 'mapped, on disk',
  under: os.tmpdir(),
  options: { driver: 'mapped' },
  skip: mappable(os.tmpdir()),
};
export const WITHOUT_KOFFI: Variant = {
  title: 'without koffi, on disk',
  under: os.tmpdir(),
  options: { driver: 'auto', withoutKoffi: true },
  skip: {},
};

/** The two drivers. */
export const DRIVERS: readonly Variant[] = [MAPPED, DIRECT];
/** The drivers on memory and on disk, with and without native code. */
export const VARIANTS: readonly Variant[] = [MAPPED, DIRECT, MAPPED_ON_DISK, WITHOUT_KOFFI];
