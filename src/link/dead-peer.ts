/** What a process of this kernel that died has left behind. */
import { StpError } from '../errors';
import { type Region, type ScbValues } from '../region';
import { type Link } from './link';

type Blocks = (index: number) => ScbValues | undefined;

export interface Leftovers {
  /** Sockets here whose bytes it had not taken in, by index; undefined where its log does not tell. */
  readonly unread: Set<number> | undefined;
  /** Its socket control blocks, by index; undefined where its file is removed already, or can't be read. */
  readonly blocks: Blocks | undefined;
}

/** `region`: where the process still has its number; undefined where that region was removed. */
export function leftoversOf(link: Link, region: Region | undefined): Leftovers {
  return { unread: link.unread(), blocks: region === undefined ? undefined : blocksOf(region, link.process) };
}

function blocksOf(region: Region, process: number): Blocks | undefined {
  try {
    return region.socketsOf(process);
  } catch (error) {
    if (error instanceof StpError) return undefined;
    throw error;
  }
}
