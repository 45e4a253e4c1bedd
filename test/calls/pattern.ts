/**
 * Streams whose every byte is known: byte n of stream s is a function of (s, n), so that a byte lost, doubled or out of
 * place shows wherever a check begins.
 */

/** No multiple of any buffer, frame or ring, so that no two places of one look alike. */
const PERIOD_BYTES = 1_000_003;
const CHUNK_BYTES_MAX = 1 << 18;
const STREAM_STEP_BYTES = 7919;

let table: Buffer | undefined;

/** Bytes `from` to `from + length` of a stream; valid for good, not to be written. At most 256 KiB. */
export function pattern(stream: number, from: number, length: number): Buffer {
  table ??= makeTable();
  const at = (from + stream * STREAM_STEP_BYTES) % PERIOD_BYTES;
  return table.subarray(at, at + length);
}

function makeTable(): Buffer {
  const bytes = Buffer.allocUnsafe(PERIOD_BYTES + CHUNK_BYTES_MAX);
  let state = 0x2545_f491;
  for (let i = 0; i < PERIOD_BYTES; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  bytes.copy(bytes, PERIOD_BYTES, 0, CHUNK_BYTES_MAX);
  return bytes;
}
