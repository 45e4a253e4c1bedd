/** What the programs share: data that tells when it was damaged, and the line by which they answer. */
import { createHash } from 'node:crypto';

/** `size` bytes that are the same in every process and repeat nowhere near. */
export function bytes(size, seed = 1) {
  const words = new Uint32Array(Math.ceil(size / 4));
  let state = seed;
  for (let i = 0; i < words.length; i += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[i] = state;
  }
  return Buffer.from(words.buffer).subarray(0, size);
}

export function checksum(data) {
  return createHash('sha256').update(data).digest('hex').slice(0, 16);
}

/** The first line of a server tells its port, that of a client its result. */
export function tell(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** What the server has told. */
export function told() {
  return JSON.parse(process.argv[2]);
}

export function must(truth, what) {
  if (!truth) throw new Error(`wrong: ${what}`);
}

/** What fake timers take over: all but nextTick and queueMicrotask, without which http itself stands still. */
export const FAKED = [
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'setImmediate',
  'Date',
  'performance',
  'hrtime',
];
