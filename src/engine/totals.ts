/** Byte counts since a connection began, as CREDIT carries them: without an object for each. */
import { Total } from '../layout';

const U32 = 0x1_0000_0000;
/** A count has 53 bits, so many of them in its upper word. */
const UPPER_BITS = 0x1f_ffff;
// Of the class that a program's bytes most often have: code that copies them is compiled for one class.
const payload = new Uint8Array(Total.sizeBytes);
const view = new DataView(payload.buffer);

/** The payload; good until the next call. */
export function totalPayload(bytes: number): Uint8Array {
  view.setUint32(0, bytes % U32, true);
  view.setUint32(4, Math.floor(bytes / U32), true);
  return payload;
}

/** The count in a payload that is at least as long as Total. */
export function totalIn(bytes: Buffer, at: number): number {
  const lower = bytes.readUInt32LE(at);
  const upper = bytes.readUInt32LE(at + 4) & UPPER_BITS;
  // A product is a double: the first one in a field of small integers undoes all compiled code that reads such objects.
  return upper === 0 ? lower : lower + upper * U32;
}
