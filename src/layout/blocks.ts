/**
 * Blocks: the unit in which everything but a mapped log is published.
 *
 * A block is written whole by its one writer. The sequence grows with every write and the CRC covers the rest of the
 * block, so a reader on another host that catches a torn block sees a mismatch: it is late, not corrupt, and is read
 * again.
 */
import { defineLayout } from './define-layout';

/** The one size of blocks; also the alignment that O_DIRECT wants. */
export const BLOCK_BYTES = 4096;
/** "STPB", little endian. */
export const BLOCK_MAGIC = 0x4250_5453;

export const BlockHeader = defineLayout(
  'BlockHeader',
  32,
  {
    magic: { at: 0, kind: 'u32', writer: 'owner', doc: 'BLOCK_MAGIC' },
    crc: { at: 4, kind: 'u32', writer: 'owner', doc: 'CRC-32 of the block from byte 8 to the end of its payload' },
    sequence: { at: 8, kind: 'u64', writer: 'owner', doc: 'how often this block was written; first write is 1' },
    lengthBytes: { at: 16, kind: 'u32', writer: 'owner', doc: 'bytes of payload that follow the header' },
    index: {
      at: 20,
      kind: 'u32',
      writer: 'owner',
      doc: 'position of the block in its file: a block copied elsewhere is not taken',
    },
  },
  { doc: 'Head of every block; the payload follows at byte 32.' },
);

/** Where the CRC begins: it covers all that follows it. */
export const BLOCK_CRC_FROM = 8;
export const BLOCK_PAYLOAD_BYTES = BLOCK_BYTES - BlockHeader.sizeBytes;
