/** Frames: what the writer and the reader of a log of frames must agree on, besides layout/link-file.ts. */
import { BLOCK_BYTES, FrameHeader, LinkStatus } from '../layout';

/** Longest frame, header and padding included, bytes: beyond it a single write gains nothing. */
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

/**
 * Longest frame of a log of `capacityBytes`: small enough that a skipped end of a lap and one frame fit together into
 * three quarters of the log, which is what a writer knows to be free at least once its reader has caught up.
 */
export function frameMaxBytes(capacityBytes: number): number {
  return Math.min(FRAME_MAX_BYTES, Math.floor(capacityBytes / 4 / BLOCK_BYTES) * BLOCK_BYTES);
}

/** Bytes of file that a frame with `recordBytes` of records takes. */
export function paddedBytes(recordBytes: number): number {
  return (FRAME_HEADER_BYTES + recordBytes + BLOCK_BYTES - 1) & ~(BLOCK_BYTES - 1);
}
