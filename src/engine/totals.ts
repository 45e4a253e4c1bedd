/** Byte counts since a connection began, as CREDIT carries them: without an object for each. */
import { Total } from '../layout';

const U32 = 0x1_0000_0000;
/** A count has 53 bits, so many of them in its upper word. */
const UPPER_BITS = 0x1f_ffff;
const payload = Buffer.alloc(Total.sizeBytes);

/** The payload; good until the next call. */
export function totalPayload(bytes: number): Buffer {
  payload.writeUInt32LE(bytes % U32, 0);
  payload.writeUInt32LE(Math.floor(bytes / U32), 4);
  return payload;
}

/** The count in a payload that is at least as long as Total. */
export function totalIn(bytes: Buffer, at: number): number {
  const upper = bytes.readUInt32LE(at + 4) & UPPER_BITS;
  // A product would be kept as a double: the first one in a field of small integers undoes all compiled code that
  // reads such objects.
  return upper === 0 ? bytes.readUInt32LE(at) : bytes.readUInt32LE(at) + upper * U32;
}
