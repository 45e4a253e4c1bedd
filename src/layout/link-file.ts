/**
 * The file `links/A-B`: the log from process A to process B, and how far A has read the log B-A. Its only writer is A.
 *
 * Block 0 is an ordinary block, written once, and names the two processes and the format. A `ring` is memory that both
 * map: words, each alone in its cache line, then the data. It lies in a file of its own, `links/A-B.N`, which begins
 * with the same block 0 and loses its name as soon as B has mapped it: what has no name can't be cut short while
 * processes have it mapped, which would end them. `frames` are for plain file I/O and follow block 0: a status block,
 * then frames at multiples of 4096 bytes. Records are the same in both (see records.ts).
 */
import { defineLayout } from './define-layout';

export const LinkFormat = { ring: 1, frames: 2 } as const;

/** Where the parts lie in the file, in bytes. */
export const LINK_AT = { header: 0, words: 4096, status: 4096, data: 8192 } as const;

export const LinkHeader = defineLayout(
  'LinkHeader',
  64,
  {
    format: { at: 0, kind: 'u32', writer: 'creator', doc: '1 ring, 2 frames' },
    capacityBytes: { at: 4, kind: 'u32', writer: 'creator', doc: 'bytes of data after LINK_AT.data' },
    from: { at: 8, kind: 'u32', writer: 'creator', doc: 'number of the process that writes' },
    to: { at: 12, kind: 'u32', writer: 'creator', doc: 'number of the process that reads' },
    fromEpoch: { at: 16, kind: 'u64', writer: 'creator', doc: 'epoch of the writer' },
    toEpoch: { at: 24, kind: 'u64', writer: 'creator', doc: 'epoch of the reader' },
    regionId: { at: 32, kind: 'u64', writer: 'creator', doc: 'id of the region' },
    ring: {
      at: 40,
      kind: 'u32',
      writer: 'creator',
      doc: 'of a ring: a random number, the N of `links/A-B.N`; frames: 0',
    },
  },
  { doc: 'Payload of block 0 of a link file, and of the file of its ring.' },
);

const ASLEEP_DOC =
  'bit 0: the writer of this file sleeps, ring its bell once for this value; ' +
  'bit 1: also when room is made for it; bit 2: it has given the link up; the rest counts sleeps';

/**
 * Positions in a ring begin so many bytes before the end of a lap: what happens at that end happens once before V8 has
 * compiled the code around it, which it would else have to undo and compile again.
 */
export const RING_FIRST_LAP_BYTES = 2048;

/** All words are the writer's own; each has a cache line, so that polling one does not slow stores to another. */
export const RingWords = defineLayout(
  'RingWords',
  320,
  {
    head: {
      at: 0,
      kind: 'u32',
      writer: 'owner',
      doc: `published up to here, modulo 2^32; first capacityBytes - ${RING_FIRST_LAP_BYTES}; stored last`,
    },
    read: {
      at: 64,
      kind: 'u32',
      writer: 'owner',
      doc: 'position up to which the writer of this file has read the opposite log',
    },
    asleep: {
      at: 128,
      kind: 'u32',
      writer: 'owner',
      doc: ASLEEP_DOC,
    },
    lapEnd: {
      at: 192,
      kind: 'u32',
      writer: 'owner',
      doc:
        'position where the records of the last finished lap end; ' +
        'from there to the start of the next lap lies nothing; stored before head',
    },
    portChanges: {
      at: 256,
      kind: 'u32',
      writer: 'owner',
      doc: "changes of the writer's port table, stored after they are in its file",
    },
  },
  { doc: 'Words of a ring, at LINK_AT.words.' },
);

export const LinkStatus = defineLayout(
  'LinkStatus',
  16,
  {
    read: {
      at: 0,
      kind: 'u32',
      writer: 'owner',
      doc: 'position up to which the writer of this file has read the opposite log',
    },
    asleep: {
      at: 4,
      kind: 'u32',
      writer: 'owner',
      doc: ASLEEP_DOC,
    },
    frames: {
      at: 8,
      kind: 'u32',
      writer: 'owner',
      doc:
        'frames written so far, modulo 2^32: a reader that still does not find one of them after a while knows ' +
        'that it is damaged',
    },
  },
  { doc: 'Payload of the status block of a log of frames, at LINK_AT.status; for when there is nothing else to send.' },
);

/** Bits of the asleep word, and how far the count of sleeps is shifted. */
export const ASLEEP = { sleeps: 1, wantsRoom: 2, givenUp: 4, countShift: 3 } as const;

/** "STPF", little endian. */
export const FRAME_MAGIC = 0x4650_5453;

export const FrameHeader = defineLayout(
  'FrameHeader',
  32,
  {
    magic: { at: 0, kind: 'u32', writer: 'owner', doc: 'FRAME_MAGIC' },
    crc: { at: 4, kind: 'u32', writer: 'owner', doc: 'CRC-32 of the frame from byte 8 to the end of its records' },
    sequence: {
      at: 8,
      kind: 'u64',
      writer: 'owner',
      doc: 'number of the frame in its log, from 1: what an older lap left behind is not taken for new',
    },
    lengthBytes: { at: 16, kind: 'u32', writer: 'owner', doc: 'bytes of records that follow' },
    read: { at: 20, kind: 'u32', writer: 'owner', doc: 'as LinkStatus.read, at the time of the frame' },
    position: { at: 24, kind: 'u32', writer: 'owner', doc: 'position of the frame in the log, bytes modulo 2^32' },
    tag: {
      at: 28,
      kind: 'u32',
      writer: 'owner',
      doc: 'CRC-32 of the payload of block 0: what a payload of an older lap left behind is not taken for a frame',
    },
  },
  {
    doc:
      'Head of a frame; records follow, and the frame is padded to a multiple of 4096 bytes. ' +
      'The next one follows it, or begins the next lap where less than the longest frame (256 KiB, ' +
      'at most three eighths of the log) is left of this one.',
  },
);

/**
 * Where the CRC of a frame begins. It starts from a seed, CRC-32 of the payload of block 0, that is also the frame's
 * tag: the epochs in it are not known outside the region, so that bytes sent through a log can't pass for a frame of
 * it.
 */
export const FRAME_CRC_FROM = 8;
