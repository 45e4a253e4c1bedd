/** What lies in a log and will not be delivered any more: whose bytes they are. */
import {
  RECORD_HEADER_BYTES,
  RECORD_LENGTH_MASK,
  RECORD_PAYLOAD_MAX_BYTES,
  RECORD_TYPE_SHIFT,
  RecordType,
} from '../layout';
import { type LogReader } from '../storage';
import { padded } from './records';

/** Steps of a walk: more can't be in a log. */
const RECORDS_MAX = 1 << 20;

/** Indexes of the sockets from which bytes come. */
export function sourcesOf(reader: LogReader): Set<number> {
  return walk(reader, (words, word) => (words[word + 1] ?? 0) >>> 0);
}

/** Indexes of the sockets for which bytes are. */
export function targetsOf(reader: LogReader): Set<number> {
  return walk(reader, (words, word) => (words[word + 2] ?? 0) >>> 0);
}

function walk(reader: LogReader, indexOf: (words: Int32Array, word: number) => number): Set<number> {
  const found = new Set<number>();
  for (let left = RECORDS_MAX; left > 0; left--) {
    const run = reader.poll();
    if (run < RECORD_HEADER_BYTES) break;
    const { words } = reader;
    const word = reader.at >> 2;
    const typeAndLength = words[word] ?? 0;
    const lengthBytes = typeAndLength & RECORD_LENGTH_MASK;
    const total = RECORD_HEADER_BYTES + padded(lengthBytes);
    if (lengthBytes > RECORD_PAYLOAD_MAX_BYTES || total > run) break;
    if (typeAndLength >>> RECORD_TYPE_SHIFT === RecordType.data) found.add(indexOf(words, word));
    reader.consume(total);
  }
  return found;
}
