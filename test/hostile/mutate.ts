/**
 * Damage of every kind, drawn from a seed: what a broken disk, another version or an enemy leaves in the place of good
 * bytes.
 */
import { type Random } from '../engine/random';

/** Numbers at which checks go wrong. */
const LIMITS = [
  0, 1, 2, 7, 8, 255, 256, 4095, 4096, 4097, 65_535, 65_536, 0x7fff_ffff, 0x8000_0000, 0xffff_fff8, 0xffff_ffff,
] as const;

/** A 32-bit number that is likely to be at a limit of something. */
export function limitNumber(random: Random): number {
  if (random.chance(0.3)) return random.below(64);
  const limit = random.pick(LIMITS);
  return random.chance(0.2) ? (limit + random.between(-8, 8)) >>> 0 : limit;
}

type Damage = (bytes: Buffer, random: Random) => Buffer;

function flipBits(bytes: Buffer, random: Random): Buffer {
  for (let left = random.between(1, 8); left > 0 && bytes.length > 0; left--) {
    const at = random.below(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  }
  return bytes;
}

function setWords(bytes: Buffer, random: Random): Buffer {
  for (let left = random.between(1, 4); left > 0 && bytes.length >= 4; left--)
    bytes.writeUInt32LE(limitNumber(random), random.below(bytes.length >> 2) * 4);
  return bytes;
}

/** Most fields that matter lie at the beginning. */
function setEarlyWords(bytes: Buffer, random: Random): Buffer {
  setWords(bytes.subarray(0, Math.min(bytes.length, 64)), random);
  return bytes;
}

function scribble(bytes: Buffer, random: Random): Buffer {
  const from = random.below(bytes.length + 1);
  const to = Math.min(bytes.length, from + random.between(1, 64));
  for (let at = from; at < to; at++) bytes[at] = random.below(256);
  return bytes;
}

function swapParts(bytes: Buffer, random: Random): Buffer {
  const unit = random.pick([4, 8, 32, 256, 4096]);
  const count = Math.floor(bytes.length / unit);
  if (count < 2) return bytes;
  const [a, b] = [random.below(count) * unit, random.below(count) * unit];
  const part = Buffer.from(bytes.subarray(a, a + unit));
  bytes.copyWithin(a, b, b + unit);
  bytes.set(part, b);
  return bytes;
}

const DAMAGES: readonly Damage[] = [
  flipBits,
  flipBits,
  setWords,
  setEarlyWords,
  setEarlyWords,
  scribble,
  swapParts,
  (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1)),
  (bytes, random) => Buffer.concat([bytes, Buffer.alloc(random.between(1, 64), random.below(256))]),
  (bytes, random) => bytes.fill(random.pick([0, 255])),
  (bytes, random) => Buffer.from(random.bytes(Math.min(bytes.length, 512))),
];

/** A damaged copy; now and then one that is whole. */
export function damaged(bytes: Uint8Array, random: Random): Buffer {
  let copy: Buffer = Buffer.from(bytes);
  for (let left = random.chance(0.02) ? 0 : random.between(1, 3); left > 0; left--)
    copy = random.pick(DAMAGES)(copy, random);
  return copy;
}
