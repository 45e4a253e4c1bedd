/**
 * Memory for bytes that arrive in bulk.
 *
 * V8 frees some 32 MiB of received chunks at a time, and glibc gives each of them back to the system where more than
 * 128 KiB are free at the end of the heap, only to ask for them again at once: 100,000 page faults a second, half of
 * the speed. glibc raises that limit by itself when it frees a large block that it had mapped (mallopt(3),
 * M_MMAP_THRESHOLD, "dynamic"), to twice its size. So one such block is taken and dropped, untouched, once a process
 * receives in bulk. Elsewhere (musl, macOS) this does nothing but take and give back addresses.
 */

/** So many full chunks make a bulk. */
const BULK_CHUNKS = 256;
/** glibc takes blocks of up to 32 MiB into account, its own header included. */
const BLOCK_BYTES = 32 * 1024 * 1024 - 65_536;

let chunks = 0;

/** To be called once for each full chunk. */
export function countChunk(): void {
  if (chunks > BULK_CHUNKS) return;
  chunks += 1;
  if (chunks === BULK_CHUNKS) Buffer.allocUnsafeSlow(BLOCK_BYTES);
}
