/**
 * What a region needs from a directory: blocks that one process writes and others read, and logs.
 *
 * Three drivers implement this and one conformance suite holds them to it:
 *   mapped     logs are rings in mapped files (one kernel); needs koffi
 *   direct     logs are frames written and read with plain file I/O, O_DIRECT where page caches are not shared
 *   simulated  in memory, with seeded delays, torn reads, full disks and crashes; for tests
 *
 * Invariants: one writer per file. All is synchronous. Positions count bytes modulo 2^32 and compare with
 * `(a - b) >>> 0`. Every failure is a StpError (ENOSPC, EIO, ESTPCORRUPT, ...); nothing read is trusted.
 */

import { type Access } from './access';
import { type SameFile } from './positioned-file';

export type DriverName = 'mapped' | 'direct' | 'simulated';

/** A file of 4096-byte blocks, as its one writer sees it. */
export interface BlockWriter {
  /**
   * Publishes a block. `payload` has at most BLOCK_PAYLOAD_BYTES and may be reused on return. Grows the file as needed.
   * The sequence is one more than that of our last write of the block, and at least `sequenceMin`: for a block that two
   * threads of a process write in turn.
   */
  write(index: number, payload: Uint8Array, sequenceMin?: number): void;
  /** For another thread of this process that is to write the same file; undefined where that is not possible. */
  same(): SameFile | undefined;
  /** Closes; the file stays. */
  close(): void;
}

export interface ReadBlock {
  readonly sequence: number;
  /** May be kept, but not changed: it is given again while the block stays the same. */
  readonly payload: Uint8Array;
}

/** A file of blocks, as other processes see it. */
export interface BlockReader {
  /**
   * Reads one block; undefined where it was never written (a hole or the end of the file). A torn block is read again a
   * bounded number of times; one that stays wrong throws ESTPCORRUPT.
   */
  read(index: number): ReadBlock | undefined;
  readonly sizeBytes: number;
  close(): void;
}

/** Bytes of data in a log, by its mechanism. */
export interface LogSizes {
  readonly ring: number;
  readonly frames: number;
}

/** What the two ends of a log must agree on. */
export interface LogIdentity {
  readonly from: number;
  readonly to: number;
  readonly fromEpoch: number;
  readonly toEpoch: number;
  readonly regionId: number;
}

/**
 * The writing end of a log. Records are built in place: claim room, fill `bytes`/`words` at `at`, commit, publish.
 * Every claim is one contiguous run, 8-byte aligned; the driver pads the end of a lap or frame itself, so a record
 * never wraps.
 */
export interface LogWriter {
  readonly identity: LogIdentity;
  /** Where a claimed record is built. Read both again after every claim: a driver may swap them. */
  readonly bytes: Buffer;
  /** The same memory as 32-bit words (index = offset / 4). */
  readonly words: Int32Array;
  /** Offset of the claimed run in `bytes`; valid after a claim that returned more than 0. */
  readonly at: number;
  /**
   * Most bytes that one claim can ever return. A claim of so many is granted, at the latest, when the reader has caught
   * up.
   */
  readonly claimMaxBytes: number;
  /**
   * Asks for a contiguous run of at least `minBytes` and at most `wantBytes` (both multiples of 8). Returns the length
   * granted, a multiple of 8, or 0 when there is no room now. A claim not committed is forgotten by the next. It may
   * send out what was committed before (a full frame), and does so only when it then grants something. EINVAL where
   * `minBytes` is more than claimMaxBytes.
   */
  claim(minBytes: number, wantBytes: number): number;
  /**
   * Takes the first `bytes` (multiple of 8) of the claimed run into the log. Not visible to the reader before
   * publish().
   */
  commit(bytes: number): void;
  /** True while something is to be published. */
  readonly dirty: boolean;
  /** How many full frames claims have sent out; 0 for a ring. What was committed before such a claim is visible. */
  readonly spills: number;
  /** Bytes that are committed and not visible yet. */
  readonly pendingBytes: number;
  /**
   * Makes all that is committed visible, with the read position and asleep word last set; or the read position alone,
   * see acknowledge().
   */
  publish(): void;
  /** Bytes that are free for claims right now, as far as known from the last released(). */
  readonly freeBytes: number;
  /** The reader of this log has told that it has read up to `position`. ESTPCORRUPT where that can't be true. */
  released(position: number): void;
  /**
   * Tells how far we have read the opposite log. A ring shows it at once; frames carry it with the next frame, and
   * where none comes publish() writes it in the status block when it moved by a quarter of the capacity since it was
   * last shown.
   */
  acknowledge(position: number): void;
  /** Publishes the asleep word (odd: ring my bell once). Visible on return. */
  setAsleep(word: number): void;
  /** Shows how often our port table has changed, where that costs no more than a store; see peerPortChanges(). */
  showPortChanges(count: number): void;
  /**
   * What the reader of this log has not consumed, for a look after its end: from `position`, or from the beginning
   * where it has never read. Must not be used after close(). Undefined where it can't be told so exactly.
   */
  unreadFrom(position: number | undefined): LogReader | undefined;
  /** Removes the mapping and closes; `bytes` and `words` become empty. The log stays. */
  close(): void;
}

/** The reading end of a log. Never writes to the file. */
export interface LogReader {
  readonly identity: LogIdentity;
  /** What poll() found lies here. Read both again after every poll. */
  readonly bytes: Buffer;
  readonly words: Int32Array;
  /** Offset of what is left of the found run. */
  readonly at: number;
  /**
   * Looks for published bytes: the length of the next contiguous run of whole records (a multiple of 8; the unused end
   * of a lap is skipped and never part of a run), 0 when there is none. The run stays valid until it is consumed or the
   * log is closed; another poll may find it grown. ESTPCORRUPT where what lies there can't be.
   */
  poll(): number;
  /**
   * Gives back the first `bytes` (multiple of 8) of the run, `at` moves on; the writer may overwrite them after the
   * next acknowledge.
   */
  consume(bytes: number): void;
  /** Position up to which all was consumed: what the other direction acknowledges. */
  readonly position: number;
  /**
   * How far the writer of this log says it has read the opposite log; unchecked, released() checks. Fresh: may cost a
   * read.
   */
  peerRead(): number;
  /** The same as far as what was read last tells: costs nothing. */
  readonly peerReadSeen: number;
  /**
   * The asleep word of the writer of this log. Fresh: may cost a read. Like peerRead it can throw EIO and ESTPCORRUPT.
   */
  peerAsleep(): number;
  /**
   * How often the port table of the writer of this log has changed, modulo 2^32. Read before a look at the table: what
   * was seen there holds while this is the same. Undefined where it can't be told without a trip to the storage.
   */
  peerPortChanges(): number | undefined;
  /**
   * True where something was published that poll() can't read yet (or ever: then it throws after a while, if it is
   * asked again). A reader that would sleep must come back by the clock. May cost a read and throw.
   */
  late(): boolean;
  /**
   * Takes the names away by which other processes could reach the bytes of a ring, and cut them short while a process
   * has them mapped. A reader that can't go on with the log leaves the names, and may open it again.
   */
  detach(): void;
  close(): void;
}

export interface FileInfo {
  readonly sizeBytes: number;
  readonly modifiedAtMs: number;
  /** Differs from that of a file made later under the same name; 0 where it is not known. */
  readonly id: number;
}

/** One directory, the root of a region. All paths are relative to it, with '/' between parts. */
export interface Storage {
  readonly driver: DriverName;
  /** The directory, for messages. */
  readonly root: string;
  /** Which users may use what is made here. */
  readonly access: Access;
  /** True where readers on other kernels may exist (network or cluster file system): heartbeats are needed. */
  readonly shared: boolean;
  /**
   * Which mount of a shared file system this is, in words of this kernel; undefined where the storage is not shared.
   * Two mounts of one volume have page caches and FIFOs of their own, as two hosts have.
   */
  mount(): string | undefined;
  /**
   * `path` is a file of ours that stays open. From now on only the directory that holds it is meant: nothing is made
   * in, or removed from, another one that takes its place (ENOENT), until the file is removed by us. Not where the
   * storage is shared: there inodes may change.
   */
  pin(path: string): void;
  /** True where the pinned file is not in its place any more: the region was removed, or moved away. */
  isRemoved(): boolean;
  /** Makes a directory inside the root unless it is there. */
  makeDirectory(path: string): void;
  /** Names in a directory ('' is the root), in no order; empty where there is no such directory. */
  list(path: string): string[];
  /** Removes a file; false where it was not there. */
  remove(path: string): boolean;
  info(path: string): FileInfo | undefined;
  /** Bytes that new files may take, as far as the file system tells; others may take them first. */
  freeBytes(): number | undefined;
  /** Creates a file of blocks that does not exist yet; undefined where the path exists already. */
  createBlocks(path: string): BlockWriter | undefined;
  /** Opens a file of blocks for reading; undefined where there is none. */
  openBlocks(path: string): BlockReader | undefined;
  /** Puts `payload` as block 0 of a new file in place in one step; false where the path exists already. */
  publishOnce(path: string, payload: Uint8Array): boolean;
  /**
   * Creates a log with all its blocks reserved (ENOSPC here, never later). `mechanism` says how; a driver that can't
   * offer it throws ESTPDRIVER, a path that exists already ESTPCORRUPT, a capacity that does not fit EINVAL (rings: a
   * power of two from 4096; frames: a multiple of 4096 from 16384).
   */
  createLog(path: string, identity: LogIdentity, mechanism: 'ring' | 'frames', capacityBytes: number): LogWriter;
  /**
   * Opens a log for reading; undefined where there is none yet, or it is not finished. The mechanism is read from the
   * file. One that says it is larger than `largest` is ESTPCORRUPT, before any memory is taken for it.
   */
  openLog(path: string, largest?: LogSizes): LogReader | undefined;
  /** Removes a log with all that belongs to it; false where it was not there. */
  removeLog(path: string): boolean;
  /** Mechanisms that createLog and openLog take here. */
  readonly mechanisms: ReadonlySet<'ring' | 'frames'>;
}
