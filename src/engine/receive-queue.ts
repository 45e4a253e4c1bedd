/**
 * Bytes of one socket that arrived and were not read: at most its receive window.
 *
 * While the owner is told of a record, the record itself, still in the log, is the end of the queue (`lend`), so that a
 * reader that takes it at once copies it once. What is left is copied when the call returns (`keep`): the log must not
 * wait for slow readers.
 */
const CHUNK_BYTES = 8192;

interface Chunk {
  readonly bytes: Buffer;
  end: number;
}

/** Of all queues that are empty; frozen, so that nothing can be put in. */
const NO_CHUNKS: Chunk[] = [];
Object.freeze(NO_CHUNKS);

export class ReceiveQueue {
  /** Bytes that can be read. */
  lengthBytes = 0;
  #chunks = NO_CHUNKS;
  /** Where the first chunk begins. */
  #start = 0;
  #lent: Buffer | null = null;
  #lentAt = 0;
  #lentEnd = 0;

  /**
   * Makes `bytes[at..end)` the end of the queue without a copy. Must be followed by {@link keep} before the log moves
   * on.
   */
  lend(bytes: Buffer, at: number, end: number): void {
    this.#lent = bytes;
    this.#lentAt = at;
    this.#lentEnd = end;
    this.lengthBytes += end - at;
  }

  /** Takes all of the lent bytes away, without a copy: a view that is good until {@link keep}. Null: none are lent. */
  takeLent(): Uint8Array | null {
    const lent = this.#lent;
    const lengthBytes = this.#lentEnd - this.#lentAt;
    if (lent === null || lengthBytes !== this.lengthBytes) return null;
    this.#lent = null;
    this.lengthBytes = 0;
    return new Uint8Array(lent.buffer, lent.byteOffset + this.#lentAt, lengthBytes);
  }

  /** Takes what is left of the lent bytes into memory of our own. */
  keep(): void {
    const lent = this.#lent;
    this.#lent = null;
    if (lent !== null && this.#lentEnd > this.#lentAt) this.#copyIn(lent, this.#lentAt, this.#lentEnd);
  }

  push(bytes: Buffer, at: number, end: number): void {
    this.lengthBytes += end - at;
    this.#copyIn(bytes, at, end);
  }

  /** Copies up to `to - from` bytes out; takes them away unless `peek`. Returns the number copied. */
  read(into: Uint8Array, from: number, to: number, peek: boolean): number {
    let at = from;
    let start = this.#start;
    let taken = 0;
    for (const chunk of this.#chunks) {
      if (at === to) break;
      const n = Math.min(to - at, chunk.end - start);
      chunk.bytes.copy(into, at, start, start + n);
      at += n;
      start += n;
      if (start < chunk.end) break;
      taken += 1;
      start = 0;
    }
    const lent = this.#lent;
    const fromLent = lent === null ? 0 : Math.min(to - at, this.#lentEnd - this.#lentAt);
    if (lent !== null && fromLent > 0) lent.copy(into, at, this.#lentAt, this.#lentAt + fromLent);
    if (!peek) {
      if (taken > 0) this.#chunks.splice(0, taken);
      this.#start = this.#chunks.length === 0 ? 0 : start;
      this.#lentAt += fromLent;
      this.lengthBytes -= at - from + fromLent;
    }
    return at - from + fromLent;
  }

  /** Puts bytes back at the front. They are copied. */
  unread(bytes: Uint8Array): void {
    const first = this.#chunks[0];
    if (first !== undefined && this.#start > 0)
      this.#chunks[0] = { bytes: first.bytes.subarray(this.#start), end: first.end - this.#start };
    this.#start = 0;
    this.#chunks = [{ bytes: Buffer.from(bytes), end: bytes.length }, ...this.#chunks];
    this.lengthBytes += bytes.length;
  }

  /** All bytes, copied, and left where they are. */
  snapshot(): Buffer {
    const all = Buffer.allocUnsafe(this.lengthBytes);
    this.read(all, 0, all.length, true);
    return all;
  }

  clear(): void {
    this.#chunks = NO_CHUNKS;
    this.#start = 0;
    this.#lent = null;
    this.lengthBytes = 0;
  }

  #copyIn(bytes: Buffer, at: number, end: number): void {
    const last = this.#chunks.at(-1);
    let from = at;
    if (last !== undefined) {
      const n = Math.min(end - from, last.bytes.length - last.end);
      bytes.copy(last.bytes, last.end, from, from + n);
      last.end += n;
      from += n;
    }
    if (from === end) return;
    // The first chunk fits exactly (it is mostly read whole); those behind it leave room, so that many small records
    // share one.
    const size = last === undefined ? end - from : Math.max(CHUNK_BYTES, end - from);
    const chunk = Buffer.allocUnsafe(size);
    bytes.copy(chunk, 0, from, end);
    const added = { bytes: chunk, end: end - from };
    if (this.#chunks === NO_CHUNKS) this.#chunks = [added];
    else this.#chunks.push(added);
  }
}
