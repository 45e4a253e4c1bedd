/**
 * Bytes of records in the memory of a log: copied, padded, and small ones joined.
 *
 * What is joined lies in one memory for all links of the process: it is good until the next call of gather().
 */
import { RECORD_HEADER_BYTES, RECORD_LENGTH_MASK, RECORD_TYPE_SHIFT, RecordType } from '../layout';
import { type LogReader } from '../storage';
import { type RecordView } from './record-view';

/** Records of more bytes than this are worth a turn of their own. */
export const GATHER_BYTES_MAX = 2048;
/** What gather() has joined; the sink is done with it when it returns. */
const gatherMemory = Buffer.alloc(32_768);

/** Smaller copies are cheaper in a loop than through the native call, also before V8 has compiled the loop. */
const LOOP_COPY_BYTES = 16;

export function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}

export function copyBytes(source: Uint8Array, from: number, to: number, target: Buffer, at: number): void {
  if (to - from <= LOOP_COPY_BYTES) {
    for (let i = from, j = at; i < to; i++, j++) target[j] = source[i] ?? 0;
  } else {
    target.set(from === 0 && to === source.length ? source : source.subarray(from, to), at);
  }
}

/**
 * Small records of one socket that lie one after another are given to the sink as one: a reader that fell behind a
 * writer of small messages catches up by it. `record`, the first of them, becomes all of them. Bytes of log taken, 0
 * where there is nothing to join; what does not fit is left to be checked like any other.
 */
export function gather(reader: LogReader, run: number, record: RecordView): number {
  const { words, bytes, at } = reader;
  const { source, socket, generation, lengthBytes: firstBytes } = record;
  let used = 0;
  let filled = 0;
  let lengthBytes = firstBytes;
  for (;;) {
    copyBytes(
      bytes,
      at + used + RECORD_HEADER_BYTES,
      at + used + RECORD_HEADER_BYTES + lengthBytes,
      gatherMemory,
      filled,
    );
    filled += lengthBytes;
    used += RECORD_HEADER_BYTES + padded(lengthBytes);
    if (run - used < RECORD_HEADER_BYTES) break;
    const word = (at + used) >> 2;
    const typeAndLength = words[word] ?? 0;
    lengthBytes = typeAndLength & RECORD_LENGTH_MASK;
    if (typeAndLength >>> RECORD_TYPE_SHIFT !== RecordType.data || (words[word + 1] ?? 0) >>> 0 !== source) break;
    if ((words[word + 2] ?? 0) >>> 0 !== socket || (words[word + 3] ?? 0) >>> 0 !== generation) break;
    if (
      lengthBytes > GATHER_BYTES_MAX ||
      filled + lengthBytes > gatherMemory.length ||
      RECORD_HEADER_BYTES + padded(lengthBytes) > run - used
    )
      break;
  }
  if (filled === firstBytes) return 0;
  record.moveTo(gatherMemory, filled);
  return used;
}
