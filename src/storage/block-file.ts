/**
 * Files of blocks over a positioned file: every block is written whole, with a sequence and a CRC (see
 * layout/blocks.ts).
 *
 * Invariant: one writer per file, which keeps its sequences in memory; a writer made for a new file starts them at 1.
 * All blocks pass through one scratch page: nothing here may be interrupted by other code.
 */
import { crc32 } from 'node:zlib';
import { StpError } from '../errors';
import { BLOCK_BYTES, BLOCK_CRC_FROM, BLOCK_MAGIC, BLOCK_PAYLOAD_BYTES, BlockHeader } from '../layout';
import { type PositionedFile, type SameFile } from './positioned-file';
import { type BlockReader, type BlockWriter, type ReadBlock } from './storage';

const AT = {
  magic: BlockHeader.fields.magic.at,
  crc: BlockHeader.fields.crc.at,
  sequence: BlockHeader.fields.sequence.at,
  lengthBytes: BlockHeader.fields.lengthBytes.at,
  index: BlockHeader.fields.index.at,
  payload: BlockHeader.sizeBytes,
} as const;
const U32 = 0x1_0000_0000;
/** Longest file of blocks, blocks: far above any region's, and far below what a position can't hold. */
export const BLOCK_INDEX_MAX = 0xff_ffff;

/** A torn block is whole a moment later; the first looks come at once, the others a little apart. */
const LOOKS_AT_ONCE = 8;
export const LOOKS_APART = 16;

/** What a page holds: a block, nothing (never written), or something that is no block (yet). */
export type PageState = 'block' | 'empty' | 'wrong';

/** Makes `page` block `index`: header and CRC around the payload, zeros after it. */
export function sealBlock(page: Buffer, index: number, sequence: number, payload: Uint8Array): void {
  page.set(payload, AT.payload);
  page.fill(0, AT.payload + payload.length);
  page.fill(0, 0, AT.payload);
  page.writeUInt32LE(BLOCK_MAGIC, AT.magic);
  page.writeUInt32LE(sequence % U32, AT.sequence);
  page.writeUInt32LE(Math.floor(sequence / U32), AT.sequence + 4);
  page.writeUInt32LE(payload.length, AT.lengthBytes);
  page.writeUInt32LE(index, AT.index);
  page.writeUInt32LE(crc32(page.subarray(BLOCK_CRC_FROM, AT.payload + payload.length)), AT.crc);
}

/** Checks a page that was read as block `index`. */
export function checkBlock(page: Buffer, index: number): PageState {
  if (page.readUInt32LE(AT.magic) !== BLOCK_MAGIC) return isEmpty(page) ? 'empty' : 'wrong';
  const lengthBytes = page.readUInt32LE(AT.lengthBytes);
  if (lengthBytes > BLOCK_PAYLOAD_BYTES || page.readUInt32LE(AT.index) !== index) return 'wrong';
  const crc = crc32(page.subarray(BLOCK_CRC_FROM, AT.payload + lengthBytes));
  return crc === page.readUInt32LE(AT.crc) ? 'block' : 'wrong';
}

/** Sequence of a checked block. */
export function blockSequence(page: Buffer): number {
  return page.readUInt32LE(AT.sequence) + (page.readUInt32LE(AT.sequence + 4) & 0x1f_ffff) * U32;
}

/** Payload of a checked block, still inside the page. */
export function blockPayload(page: Buffer): Buffer {
  return page.subarray(AT.payload, AT.payload + page.readUInt32LE(AT.lengthBytes));
}

function isEmpty(page: Buffer): boolean {
  for (let at = 0; at < BLOCK_BYTES; at += 4) if (page.readUInt32LE(at) !== 0) return false;
  return true;
}

function checkIndex(index: number): void {
  if (!Number.isInteger(index) || index < 0 || index > BLOCK_INDEX_MAX) {
    throw new StpError('EINVAL', `block index ${index} is not from 0 to ${BLOCK_INDEX_MAX}`);
  }
}

/** Writes blocks of a file that was just created. */
export class FileBlockWriter implements BlockWriter {
  readonly #file: PositionedFile;
  /** Last sequence of each block that was written. Blocks may lie far apart. */
  readonly #sequences = new Map<number, number>();

  constructor(file: PositionedFile) {
    this.#file = file;
  }

  same(): SameFile | undefined {
    return this.#file.same?.();
  }

  write(index: number, payload: Uint8Array, sequenceMin = 1): void {
    checkIndex(index);
    if (payload.length > BLOCK_PAYLOAD_BYTES) {
      throw new StpError('EINVAL', `a payload of ${payload.length} bytes; a block takes ${BLOCK_PAYLOAD_BYTES}`);
    }
    const sequence = Math.max((this.#sequences.get(index) ?? 0) + 1, sequenceMin);
    const page = this.#file.scratch();
    sealBlock(page, index, sequence, payload);
    this.#file.writeAt(page, 0, BLOCK_BYTES, index * BLOCK_BYTES);
    this.#sequences.set(index, sequence);
  }

  close(): void {
    this.#file.close();
  }
}

/** True where the head of a page is that of a block known before, by its sequence and CRC. */
export function isSameBlock(page: Buffer, sequence: number, crc: number): boolean {
  return (
    page.readUInt32LE(AT.crc) === crc && page.readUInt32LE(AT.magic) === BLOCK_MAGIC && blockSequence(page) === sequence
  );
}

/** The CRC that a block carries. */
export function blockCrc(page: Buffer): number {
  return page.readUInt32LE(AT.crc);
}

/** The first blocks of a file are read again and again, and mostly unchanged. */
const KEPT_BLOCKS = 4;

interface KeptBlock {
  readonly crc: number;
  readonly block: ReadBlock;
}

/**
 * Reads blocks of a file that another process writes.
 *
 * A head that is the same as at the last look belongs to the block that was found whole then: it is given again without
 * another check, and is right even where the payload is just being replaced.
 */
export class FileBlockReader implements BlockReader {
  readonly #file: PositionedFile;
  readonly #kept: (KeptBlock | undefined)[] = [undefined, undefined, undefined, undefined];

  constructor(file: PositionedFile) {
    this.#file = file;
  }

  get sizeBytes(): number {
    return this.#file.sizeBytes();
  }

  read(index: number): ReadBlock | undefined {
    checkIndex(index);
    for (let look = 1; ; look++) {
      const page = this.#file.scratch();
      const bytes = this.#file.readAt(page, 0, BLOCK_BYTES, index * BLOCK_BYTES);
      if (bytes === 0) return undefined;
      const kept = this.#kept[index];
      if (kept !== undefined && bytes === BLOCK_BYTES && isSameBlock(page, kept.block.sequence, kept.crc))
        return kept.block;
      const state = bytes === BLOCK_BYTES ? checkBlock(page, index) : 'wrong';
      if (state === 'empty') return undefined;
      if (state === 'block') return this.#take(page, index);
      if (look === LOOKS_AT_ONCE + LOOKS_APART) break;
      if (look >= LOOKS_AT_ONCE) this.#file.pause();
    }
    throw new StpError('ESTPCORRUPT', `block ${index} of ${this.#file.path} is damaged`, 'read');
  }

  close(): void {
    this.#file.close();
  }

  #take(page: Buffer, index: number): ReadBlock {
    const block = { sequence: blockSequence(page), payload: Buffer.from(blockPayload(page)) };
    if (index < KEPT_BLOCKS) this.#kept[index] = { crc: blockCrc(page), block };
    return block;
  }
}
