/**
 * What a process holds of one link: the link, its ends of the bells, and what it knows of the files. The table of links
 * (link-table.ts) alone changes it.
 */
import { type ProcessInfo } from '../region';
import { closeFifo, closeQuietly, hasFifoReader } from '../storage';
import { type BellReader } from './bell';
import { type Link } from './link';

export interface Ends {
  readonly info: ProcessInfo;
  readonly link: Link;
  /** Both on this kernel, and FIFOs work. */
  readonly hasBells: boolean;
  /** Listens to the peer's bell. */
  bell: BellReader | null;
  /** The bell where this process can't listen to it: the peer must find it open all the same. */
  readonly heldFd: number | undefined;
  /** Which file the peer's log is; 0: it is not open, or that can't be told. */
  peerFile: number;
  /** Which file our log is; 0: it has lost its name already; undefined: that can't be told. */
  readonly ownFile: number | undefined;
  /**
   * The peer gave the link up and began another before we had opened its log: what lies under its name is for our next
   * link.
   */
  superseded: boolean;
  /** Since when the peer's log is there and can't be opened for a reason that may pass; 0: it is not so. */
  unopenedSinceMs: number;
  /** Times in a row that a file which must be there was not. */
  missing: number;
  bellWriter: number | null;
  /** The peer's bell rang: it has a writer, so its end will tell of the peer's death. */
  heard: boolean;
}

/** Of a link that has just been made, before the peer has its end. */
export function newEnds(known: Pick<Ends, 'info' | 'link' | 'hasBells' | 'heldFd' | 'ownFile'>): Ends {
  return {
    ...known,
    bell: null,
    bellWriter: null,
    missing: 0,
    peerFile: 0,
    superseded: false,
    unopenedSinceMs: 0,
    heard: false,
  };
}

/**
 * True where the end of the peer's bell tells of its death. A peer that died before it opened its end leaves a bell
 * that never ends.
 */
export function willHear(ends: Ends): boolean {
  return ends.bell !== null && ends.heard;
}

/**
 * How often the peer's port table has changed; undefined where it does not show that in memory, or may be dead. Costs
 * one system call.
 */
export function portChangesOf({ link, bellWriter }: Ends): number | undefined {
  if (link.in === null || link.peerGone || link.failure !== null) return undefined;
  return bellWriter !== null && hasFifoReader(bellWriter) ? link.in.peerPortChanges() : undefined;
}

export function closeBells(ends: Ends): void {
  ends.bell?.close();
  if (ends.heldFd !== undefined) closeFifo(ends.heldFd);
  if (ends.bellWriter !== null) closeQuietly(ends.bellWriter);
}
