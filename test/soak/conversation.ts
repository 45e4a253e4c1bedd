/**
 * One connection of a soak: the client sends a stream of a random length and gets another back, each byte of both
 * checked; half-closed by either end as soon as it has sent all.
 */
import * as stp from '../../src/index';
import { pattern } from '../calls/pattern';
import { type Random } from '../engine/random';
import { decodeOpening, encodeOpening, type Life, type Opening, OPENING_BYTES } from './messages';

const CHUNK_BYTES_MAX = 60_000;
const READ_BYTES = 65_536;
/** An end that waits so long for the next byte waits for ever, milliseconds. */
export const STALL_MS = 180_000;

/** What the other end did that no living end does. */
export class Mismatch extends Error {}

export async function readOpening(s: number): Promise<Opening> {
  const buffer = Buffer.alloc(OPENING_BYTES);
  for (let at = 0; at < OPENING_BYTES;) {
    const n = await stp.STPrecv(s, buffer.subarray(at));
    if (n === 0) throw new Mismatch(`the stream ended after ${at} bytes of the opening`);
    at += n;
  }
  return decodeOpening(buffer);
}

/** Sends `bytes` bytes of a stream in pieces of random sizes. */
export async function feed(s: number, random: Random, stream: number, bytes: number): Promise<void> {
  for (let at = 0; at < bytes;) {
    const n = Math.min(random.chance(0.3) ? random.between(1, 200) : random.between(200, CHUNK_BYTES_MAX), bytes - at);
    await stp.STPsend(s, pattern(stream, at, n));
    at += n;
  }
}

/** Receives bytes `from` to `to` of a stream. */
export async function drain(s: number, stream: number, from: number, to: number): Promise<void> {
  const into = Buffer.allocUnsafe(READ_BYTES);
  for (let at = from; at < to;) {
    const n = await stp.STPrecv(s, into, Math.min(into.length, to - at));
    if (n === 0) throw new Mismatch(`stream ${stream} ended at ${at} of ${to}`);
    if (Buffer.compare(into.subarray(0, n), pattern(stream, at, n)) !== 0)
      throw new Mismatch(`stream ${stream} is wrong between ${at} and ${at + n}`);
    at += n;
  }
}

async function drainEnd(s: number): Promise<void> {
  if ((await stp.STPrecv(s, Buffer.alloc(1))) !== 0) throw new Mismatch('there is more than was sent');
}

/** The client's part, over a connected socket; `met` is told who answered. */
export async function ask(s: number, random: Random, opening: Opening, met: (server: Life) => void): Promise<void> {
  const answer = async (): Promise<void> => {
    met(await readOpening(s));
    await drain(s, opening.stream + 1, 0, opening.bytes);
    await drainEnd(s);
  };
  const question = async (): Promise<void> => {
    await stp.STPsend(s, encodeOpening(opening));
    await feed(s, random, opening.stream, opening.bytes);
    stp.STPshutdown(s, 1);
  };
  await both(question(), answer());
  await stp.STPclose(s);
}

/** The server's part from byte `at` of the question on, its opening not yet sent. */
export async function respond(s: number, random: Random, self: Life, opening: Opening, at: number): Promise<void> {
  const answer = async (): Promise<void> => {
    await stp.STPsend(s, encodeOpening({ ...opening, ...self }));
    await feed(s, random, opening.stream + 1, opening.bytes);
    stp.STPshutdown(s, 1);
  };
  const question = async (): Promise<void> => {
    await drain(s, opening.stream, at, opening.bytes);
    await drainEnd(s);
  };
  await both(answer(), question());
  await stp.STPclose(s);
}

/** Both to their ends, also where one fails: a failure of the bytes is worth more than that of the connection. */
async function both(...parts: readonly Promise<void>[]): Promise<void> {
  const failures = (await Promise.allSettled(parts)).flatMap((end) =>
    end.status === 'rejected' ? [end.reason as Error] : [],
  );
  failures.sort((a, b) => Number(b instanceof Mismatch) - Number(a instanceof Mismatch));
  if (failures[0] !== undefined) throw failures[0];
}
