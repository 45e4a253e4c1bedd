/** Frames: what the writer and the reader of a log of frames must agree on, besides layout/link-file.ts. */
import { BLOCK_BYTES, FrameHeader, LinkStatus } from '../layout';

/**
 * Longest frame, header and padding included, bytes. FUSE and NFS cut a write or a read into requests of 128 KiB or a
 * power of two above it, each a trip: full frames leave no rest that takes one more.
 */
export const FRAME_MAX_BYTES = 256 * 1024;
export const FRAME_HEADER_BYTES = FrameHeader.sizeBytes;

/** Words of a frame's header. */
export const FRAME_WORD = {
  magic: FrameHeader.fields.magic.at / 4,
  crc: FrameHeader.fields.crc.at / 4,
  sequence: FrameHeader.fields.sequence.at / 4,
  lengthBytes: FrameHeader.fields.lengthBytes.at / 4,
  read: FrameHeader.fields.read.at / 4,
  position: FrameHeader.fields.position.at / 4,
  tag: FrameHeader.fields.tag.at / 4,
} as const;

/** Offsets in the payload of the status block. */
export const STATUS_AT = {
  read: LinkStatus.fields.read.at,
  asleep: LinkStatus.fields.asleep.at,
  frames: LinkStatus.fields.frames.at,
  sizeBytes: LinkStatus.sizeBytes,
} as const;
/** The status block's index in its file. */
export const STATUS_INDEX = 1;

/** A reader shows how far it has read when so much of the log has come since it last did. */
const SHOWN_SHARE = 1 / 4;

/** Bytes after which a reader shows how far it has read. */
export function shownBytes(capacityBytes: number): number {
  return capacityBytes * SHOWN_SHARE;
}

/**
 * Longest frame of a log of `capacityBytes`: small enough that the end of a lap and one frame fit together into
 * what a writer knows to be free at least once its reader has caught up.
 */
export function frameMaxBytes(capacityBytes: number): number {
  return Math.min(FRAME_MAX_BYTES, Math.floor((capacityBytes * (1 - SHOWN_SHARE)) / 2 / BLOCK_BYTES) * BLOCK_BYTES);
}

/**
 * Offset of the frame after one that ends at `end`: there, or at the start of the next lap where the longest frame
 * would not fit any more. Writer and reader so agree on it without a word, and no burst is cut in two by the end of a
 * lap.
 */
export function nextFrameAt(end: number, capacityBytes: number): number {
  return end > capacityBytes - frameMaxBytes(capacityBytes) ? 0 : end;
}

/** Offset of a log's first frame, where its positions do not begin at 0. */
export function offsetOf(startPosition: number, capacityBytes: number): number {
  return nextFrameAt((startPosition >>> 0) % capacityBytes, capacityBytes);
}

/** Bytes of file that a frame with `recordBytes` of records takes. */
export function paddedBytes(recordBytes: number): number {
  return (FRAME_HEADER_BYTES + recordBytes + BLOCK_BYTES - 1) & ~(BLOCK_BYTES - 1);
}
