/** Plain files between two hosts, as fast as they go: what the efficiency of a link is measured against. */
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';

const WASM_PAGE_BYTES = 65_536;

/** Memory that O_DIRECT takes, as much as is wanted: what the driver has for itself comes in small pieces. */
function aligned(bytes: number): Buffer {
  const { WebAssembly: wasm } = globalThis as unknown as {
    WebAssembly: { Memory: new (options: { initial: number }) => { buffer: ArrayBuffer } };
  };
  return Buffer.from(new wasm.Memory({ initial: Math.ceil(bytes / WASM_PAGE_BYTES) }).buffer);
}

/** One file that this process writes or reads, block by block, past the page cache. */
export class RawFile {
  readonly #descriptor: number;
  readonly #memory: Buffer;

  /** A file to write is made with all its blocks. */
  constructor(path: string, bytes: number, writes: boolean, buffered = false) {
    const { O_RDWR, O_RDONLY, O_CREAT, O_DIRECT, O_DSYNC } = constants;
    this.#memory = aligned(bytes);
    this.#descriptor = openSync(
      path,
      writes ? O_RDWR | O_CREAT | O_DIRECT | O_DSYNC : O_RDONLY | (buffered ? 0 : O_DIRECT),
      0o600,
    );
    if (writes) this.write(0, bytes, 0, bytes);
  }

  /** A file of another, read through the page cache. */
  static buffered(path: string, bytes: number): RawFile {
    return new RawFile(path, bytes, false, true);
  }

  /** Writes `bytes` at block number `index` with `sequence` at both ends. */
  write(sequence: number, bytes: number, index: number, stride: number): void {
    this.#memory.writeUInt32LE(sequence, 0);
    this.#memory.writeUInt32LE(sequence, bytes - 4);
    writeSync(this.#descriptor, this.#memory, 0, bytes, index * stride);
  }

  /** Reads until `sequence` is there, whole; the number of reads. */
  await(sequence: number, bytes: number, index: number): number {
    for (let reads = 1; ; reads++) {
      const got = readSync(this.#descriptor, this.#memory, 0, bytes, index * bytes);
      if (
        got === bytes &&
        this.#memory.readUInt32LE(0) === sequence &&
        this.#memory.readUInt32LE(bytes - 4) === sequence
      )
        return reads;
    }
  }

  /** The number that stands at the begin. */
  look(): number {
    readSync(this.#descriptor, this.#memory, 0, 4096, 0);
    return this.#memory.readUInt32LE(0);
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
