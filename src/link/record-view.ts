/**
 * The record of a log that lies at its reader, taken in once: the peer may write over what was read.
 *
 * One object for each link, filled again for each record, so that a record costs no object and is handed on as one
 * argument. Invariant: nothing is checked here; who takes it in checks it before it hands it on.
 */
import { RECORD_HEADER_BYTES, RECORD_LENGTH_MASK, RECORD_TYPE_SHIFT } from '../layout';
import { type LogReader } from '../storage';

const NO_BYTES = Buffer.alloc(0);

export class RecordView {
  type = 0;
  source = 0;
  socket = 0;
  generation = 0;
  /** Where its payload lies. */
  bytes: Buffer = NO_BYTES;
  at = 0;
  lengthBytes = 0;

  take(reader: LogReader): void {
    const { words, at } = reader;
    const word = at >> 2;
    const typeAndLength = words[word] ?? 0;
    this.type = typeAndLength >>> RECORD_TYPE_SHIFT;
    this.lengthBytes = typeAndLength & RECORD_LENGTH_MASK;
    this.source = (words[word + 1] ?? 0) >>> 0;
    this.socket = (words[word + 2] ?? 0) >>> 0;
    this.generation = (words[word + 3] ?? 0) >>> 0;
    this.bytes = reader.bytes;
    this.at = at + RECORD_HEADER_BYTES;
  }

  /** The memory of the log goes. */
  clear(): void {
    this.moveTo(NO_BYTES, 0);
  }

  /** The payload lies elsewhere. */
  moveTo(bytes: Buffer, lengthBytes: number): void {
    this.bytes = bytes;
    this.at = 0;
    this.lengthBytes = lengthBytes;
  }
}
