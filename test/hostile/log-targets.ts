/**
 * Readers of logs, with the link that cuts them into records: rings and frames, every byte of which the peer may have
 * chosen.
 */
import { type IncomingRecord } from '../../src/engine';
import { LINK_AT, RecordType } from '../../src/layout';
import { Link } from '../../src/link';
import { type LinkOwner, type LinkSink } from '../../src/link/link';
import { type LogReader, type LogWriter } from '../../src/storage';
import { FrameReader } from '../../src/storage/frame-reader';
import { FrameWriter } from '../../src/storage/frame-writer';
import { decodeLinkHeader, encodeLinkHeader, linkFileBytes } from '../../src/storage/link-header';
import { type RingMemory, ringMemory, RingReader, RingWriter } from '../../src/storage/ring-log';
import { type Random } from '../engine/random';
import { MemoryFile } from './memory-file';
import { damaged, limitNumber } from './mutate';
import { type Target } from './target';

const CAPACITY_BYTES = 16_384;
const IDENTITY = { from: 1, to: 2, fromEpoch: 11, toEpoch: 12, regionId: 77 };
const TURNS_MAX = 64;

/** Looks at all that is delivered. */
class Watcher implements LinkOwner, LinkSink {
  readonly sink = this;
  turn = 0;
  readonly polling = false;
  records = 0;
  moreAtHand = false;
  quick = false;
  readonly lastTurns = new Int32Array(64);
  bytes = 0;

  publishLater(): void {
    // The test publishes.
  }

  roomMade(): void {
    // Nobody waits.
  }

  record(_link: Link, { type, socket, bytes, at, lengthBytes }: IncomingRecord): void {
    const inside = Number.isInteger(at) && at >= 0 && lengthBytes >= 0 && at + lengthBytes <= bytes.length;
    if (!inside || type < 0 || type > 0xffff || socket < 0)
      throw new RangeError(`record of ${lengthBytes} bytes at ${at} of ${bytes.length}`);
    this.bytes += lengthBytes;
  }
}

/** Nothing is ever sent by it. */
function emptyRing(): RingWriter {
  return new RingWriter(ringOf(new ArrayBuffer(linkFileBytes(4096)), 4096), IDENTITY, 'out');
}

function ringOf(buffer: ArrayBuffer, capacityBytes: number): RingMemory {
  return ringMemory(buffer, LINK_AT.words, LINK_AT.data, capacityBytes, () => undefined);
}

/** Fills a log with records as a link does. */
function fill(out: LogWriter, random: Random): void {
  const link = new Link(new Watcher(), 2, 12, out);
  for (let left = random.between(1, 12); left > 0; left--) {
    const type = random.pick(Object.values(RecordType).filter((value) => value !== RecordType.pad));
    const payload = Buffer.alloc(random.pick([0, 8, 16, 100, 1000]), left);
    link.append(
      type,
      { index: random.below(4), remoteSocket: random.below(4), remoteGeneration: 1 },
      payload,
      0,
      payload.length,
    );
    if (random.chance(0.5)) link.publish();
  }
  link.publish();
}

function isOver(link: Link): boolean {
  return link.failure !== null;
}

/** A reader that never comes to an end, or reads past one, is the finding. */
function drain(reader: LogReader): void {
  const watcher = new Watcher();
  const link = new Link(watcher, 2, 12, emptyRing());
  link.in = reader;
  while (watcher.turn < TURNS_MAX && !isOver(link)) {
    watcher.turn++;
    link.ringAgain();
    if (!link.poll()) break;
  }
  if (watcher.bytes > TURNS_MAX * 4 * CAPACITY_BYTES)
    throw new RangeError(`${watcher.bytes} bytes out of a log of ${CAPACITY_BYTES}`);
  const { failure } = link;
  link.close();
  if (failure !== null) throw failure;
}

function readRing(random: Random): void {
  const buffer = new ArrayBuffer(linkFileBytes(CAPACITY_BYTES));
  const start = random.chance(0.3) ? limitNumber(random) & ~7 : 0;
  fill(new RingWriter(ringOf(buffer, CAPACITY_BYTES), IDENTITY, 'ring', start), random);
  // The size of a mapping is fixed: what is cut off or added is not there.
  const all = Buffer.from(buffer, LINK_AT.words);
  const part = random.chance(0.4)
    ? all.subarray(0, 256)
    : all.subarray(LINK_AT.data - LINK_AT.words, LINK_AT.data - LINK_AT.words + 4096);
  part.set(damaged(part, random).subarray(0, part.length));
  drain(new RingReader(ringOf(buffer, CAPACITY_BYTES), IDENTITY, 'ring', start));
}

function readFrames(random: Random): void {
  const header = encodeLinkHeader(IDENTITY, 'frames', CAPACITY_BYTES);
  const link = decodeLinkHeader(header, 'frames');
  const bytes = Buffer.alloc(linkFileBytes(CAPACITY_BYTES));
  fill(new FrameWriter(new MemoryFile(bytes), link), random);
  const damagedBytes = damaged(random.chance(0.5) ? bytes.subarray(0, LINK_AT.data + 64) : bytes, random);
  const whole =
    damagedBytes.length < bytes.length && random.chance(0.8)
      ? Buffer.concat([damagedBytes, bytes.subarray(damagedBytes.length)])
      : damagedBytes;
  let nowMs = 1;
  drain(new FrameReader(new MemoryFile(whole), link, { lateMs: 5, now: () => (nowMs += 1) }));
}

function release(random: Random): void {
  const out = new RingWriter(ringOf(new ArrayBuffer(linkFileBytes(CAPACITY_BYTES)), CAPACITY_BYTES), IDENTITY, 'ring');
  fill(out, random);
  const free = out.freeBytes;
  out.released(limitNumber(random));
  if (out.freeBytes < free || out.freeBytes > CAPACITY_BYTES) throw new RangeError(`${out.freeBytes} bytes are free`);
}

export function logTargets(): Target[] {
  return [
    { name: 'ring', errors: ['ESTPCORRUPT'], run: readRing },
    { name: 'frames', errors: ['ESTPCORRUPT'], run: readFrames },
    { name: 'positions of readers', errors: ['ESTPCORRUPT'], run: release },
  ];
}
