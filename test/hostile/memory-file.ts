/** A file of bytes in memory, as long as it is and no longer: what is read past its end is not there. */
import { BLOCK_BYTES } from '../../src/layout';
import { type PositionedFile } from '../../src/storage/positioned-file';

export class MemoryFile implements PositionedFile {
  readonly path = 'memory';
  readonly #bytes: Buffer;
  readonly #scratch = Buffer.alloc(BLOCK_BYTES);

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  readAt(target: Buffer, at: number, length: number, position: number): number {
    if (at < 0 || length < 0 || position < 0 || at + length > target.length)
      throw new RangeError(`a read of ${length} bytes at ${position} into ${target.length - at}`);
    if (position >= this.#bytes.length) return 0;
    return this.#bytes.copy(target, at, position, Math.min(this.#bytes.length, position + length));
  }

  writeAt(source: Buffer, at: number, length: number, position: number): void {
    if (position < 0 || position + length > this.#bytes.length)
      throw new RangeError(`a write of ${length} bytes at ${position}`);
    source.copy(this.#bytes, position, at, at + length);
  }

  sizeBytes(): number {
    return this.#bytes.length;
  }

  pause(): void {
    // Nobody writes meanwhile.
  }

  takeMemory(bytes: number): Buffer {
    return Buffer.alloc(bytes);
  }

  giveMemory(): void {
    // Collected.
  }

  scratch(): Buffer {
    return this.#scratch;
  }

  close(): void {
    // Nothing is open.
  }
}
