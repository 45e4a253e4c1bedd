/** What every storage must do, whatever it is made of. */
import type t from 'tap';
import { type StpError } from '../../src/errors';
import {
  BLOCK_BYTES,
  BLOCK_PAYLOAD_BYTES,
  FRAME_CRC_FROM,
  FRAME_MAGIC,
  FrameHeader,
  LINK_AT,
  LinkHeader,
  RingWords,
} from '../../src/layout';
import { type LogReader, type LogWriter, type Storage } from '../../src/storage';
import { sealBlock } from '../../src/storage/block-file';
import { encodeLinkHeader, seedOf } from '../../src/storage/link-header';
import { crc32 } from 'node:zlib';
import { seededRandom } from '../../src/storage/simulated-disk';
import { IDENTITY, type Kit, OPPOSITE, type Site, tellRead } from './kits';

type Test = Pick<typeof t, 'test' | 'equal' | 'ok' | 'same' | 'throws' | 'comment' | 'not' | 'teardown'>;

/** Small, and for frames not a power of two: laps end everywhere. */
const CAPACITY = { ring: 16_384, frames: 13 * BLOCK_BYTES } as const;
const START = { origin: 0, wrapping: 2 ** 32 - 64 * 4096 } as const;

/** A site that is removed with its test. */
export function site(test: Test, kit: Kit, options?: Parameters<Kit['make']>[0]): Site {
  const made = kit.make(options);
  test.teardown(() => {
    made.remove();
  });
  return made;
}

export function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as StpError).code;
  }
  return 'nothing thrown';
}

function pattern(length: number, seed: number): Uint8Array {
  const random = seededRandom(seed);
  return Uint8Array.from({ length }, () => Math.floor(random() * 256));
}

export function blockSuite(test: Test, kit: Kit): void {
  void test.test('blocks come back as written, and count how often they were', (tt) => {
    const here = site(tt, kit);
    const writer = here.a.createBlocks('blocks');
    if (writer === undefined) throw new Error('not created');
    for (let round = 1; round <= 3; round++) {
      for (const [index, length] of [
        [0, 0],
        [1, 1],
        [5, 1000],
        [2, BLOCK_PAYLOAD_BYTES],
      ] as const) {
        writer.write(index, pattern(length, round * 10 + index));
      }
    }
    here.settle();
    const reader = here.b.openBlocks('blocks');
    if (reader === undefined) throw new Error('not opened');
    for (const [index, length] of [
      [0, 0],
      [1, 1],
      [5, 1000],
      [2, BLOCK_PAYLOAD_BYTES],
    ] as const) {
      const block = reader.read(index);
      tt.equal(block?.sequence, 3);
      tt.same(Buffer.from(block?.payload ?? []), Buffer.from(pattern(length, 30 + index)));
    }
    tt.equal(reader.read(3), undefined, 'a hole');
    tt.equal(reader.read(6), undefined, 'past the end');
    tt.equal(reader.sizeBytes, 6 * BLOCK_BYTES);
    tt.equal(
      codeOf(() => {
        writer.write(-1, pattern(1, 1));
      }),
      'EINVAL',
    );
    tt.equal(
      codeOf(() => {
        writer.write(0.5, pattern(1, 1));
      }),
      'EINVAL',
    );
    tt.equal(
      codeOf(() => {
        writer.write(0, pattern(BLOCK_PAYLOAD_BYTES + 1, 1));
      }),
      'EINVAL',
    );
    tt.equal(
      codeOf(() => reader.read(NaN)),
      'EINVAL',
    );
    writer.close();
    reader.close();
    tt.end();
  });

  void test.test('a block read while it is written is whole, old or new, and never goes back', (tt) => {
    const here = site(tt, kit, { seed: 7 });
    const writer = here.a.createBlocks('blocks');
    writer?.write(0, pattern(4000, 0));
    here.settle();
    const reader = here.b.openBlocks('blocks');
    let last = 1;
    for (let round = 2; round < 200; round++) {
      writer?.write(0, pattern(4000, round - 1));
      here.tick();
      const block = reader?.read(0);
      if (block === undefined || block.sequence < last) throw new Error(`block ${block?.sequence ?? 0} after ${last}`);
      last = block.sequence;
      if (Buffer.compare(block.payload, pattern(4000, last - 1)) !== 0) throw new Error(`block ${last} is mixed`);
    }
    here.settle();
    tt.equal(reader?.read(0)?.sequence, 199);
    tt.end();
  });

  void test.test('a damaged, misplaced or half block is ESTPCORRUPT, and others are still read', (tt) => {
    const here = site(tt, kit);
    const writer = here.a.createBlocks('blocks');
    for (let index = 0; index < 4; index++) writer?.write(index, pattern(100, index));
    here.overwrite('blocks', BLOCK_BYTES + 60, Uint8Array.of(1, 2, 3, 4, 5));
    here.overwrite('blocks', 2 * BLOCK_BYTES + 16, Uint8Array.of(255, 255, 255, 255));
    const stray = Buffer.alloc(BLOCK_BYTES);
    sealBlock(stray, 3, 5, pattern(100, 9));
    writer?.write(4, pattern(100, 4));
    here.overwrite('blocks', 4 * BLOCK_BYTES, stray);
    const reader = here.b.openBlocks('blocks');
    tt.equal(
      codeOf(() => reader?.read(4)),
      'ESTPCORRUPT',
      'a block of another place',
    );
    tt.equal(
      codeOf(() => reader?.read(1)),
      'ESTPCORRUPT',
      'payload',
    );
    tt.equal(
      codeOf(() => reader?.read(2)),
      'ESTPCORRUPT',
      'length',
    );
    tt.equal(reader?.read(3)?.payload.length, 100);
    here.truncate('blocks', 3 * BLOCK_BYTES + 200);
    tt.equal(
      codeOf(() => reader?.read(3)),
      'ESTPCORRUPT',
      'half a block',
    );
    tt.equal(reader?.read(0)?.payload.length, 100);
    tt.end();
  });

  void test.test('a path is created once, published once, listed and removed', (tt) => {
    const here = site(tt, kit);
    here.a.makeDirectory('sub');
    here.b.makeDirectory('sub');
    tt.ok(here.a.createBlocks('sub/one'));
    tt.equal(here.b.createBlocks('sub/one'), undefined);
    tt.equal(here.a.publishOnce('sub/two', pattern(50, 1)), true);
    tt.equal(here.b.publishOnce('sub/two', pattern(50, 2)), false);
    here.settle();
    tt.same(Buffer.from(here.b.openBlocks('sub/two')?.read(0)?.payload ?? []), Buffer.from(pattern(50, 1)));
    tt.same(here.b.list('sub').sort(), ['one', 'two']);
    tt.same(here.b.list(''), ['sub']);
    tt.same(here.b.list('none'), []);
    tt.equal(here.b.info('sub/two')?.sizeBytes, BLOCK_BYTES);
    tt.equal(here.b.info('sub/none'), undefined);
    tt.equal(here.b.openBlocks('sub/none'), undefined);
    tt.equal(here.b.openLog('sub/none'), undefined);
    tt.equal(here.b.remove('sub/two'), true);
    tt.equal(here.b.remove('sub/two'), false);
    tt.equal(
      codeOf(() => {
        here.a.makeDirectory('sub/one');
      }),
      'ESTPCORRUPT',
    );
    tt.end();
  });
}

/** Both directions between two processes, so that positions travel as they do in a link. */
interface Pair {
  readonly out: LogWriter;
  readonly in: LogReader;
  /** B's log to A, and A's view of it: how B tells what it has read. */
  readonly answer: LogWriter;
  readonly answers: LogReader;
}

function openLog(storage: Storage, name: string): LogReader {
  const reader = storage.openLog(name);
  if (reader === undefined) throw new Error(`no log ${name}`);
  return reader;
}

export function pairOf(here: Site, kit: Kit, capacityBytes: number = CAPACITY[kit.mechanism]): Pair {
  const out = here.a.createLog('1-2', IDENTITY, kit.mechanism, capacityBytes);
  const answer = here.b.createLog('2-1', OPPOSITE, kit.mechanism, capacityBytes);
  here.settle();
  return { out, in: openLog(here.b, '1-2'), answer, answers: openLog(here.a, '2-1') };
}

/**
 * Writes one record of `length` bytes (a multiple of 8, at least 16): its length, its number, then bytes that follow
 * from both.
 */
function writeRecord(out: LogWriter, length: number, number: number): boolean {
  if (out.claim(length, length) < length) return false;
  const word = out.at >> 2;
  out.words[word] = length;
  out.words[word + 1] = number;
  out.bytes.fill(number & 255, out.at + 8, out.at + length);
  out.commit(length);
  return true;
}

/** Reads and consumes all records that are there; returns the next number expected. */
function readRecords(reader: LogReader, expected: number, most = Infinity): number {
  let next = expected;
  for (let left = most; left > 0;) {
    let run = reader.poll();
    if (run === 0) break;
    for (; run > 0 && left > 0; left--) {
      const word = reader.at >> 2;
      const length = reader.words[word] ?? 0;
      const number = reader.words[word + 1];
      if (number !== next) throw new Error(`record ${number ?? 'none'} where ${next} was due`);
      if (length < 16 || length > run) throw new Error(`record ${next} has ${length} bytes of ${run}`);
      const body = reader.bytes.subarray(reader.at + 8, reader.at + length);
      if (body.some((byte) => byte !== (next & 255))) throw new Error(`record ${next} has wrong bytes`);
      reader.consume(length);
      run -= length;
      next++;
    }
  }
  return next;
}

function randomTraffic(here: Site, kit: Kit, seed: number, steps: number): void {
  const random = seededRandom(seed);
  const pair = pairOf(here, kit);
  const sizeMax = pair.out.claimMaxBytes;
  let sent = 0;
  let received = 0;
  for (let step = 0; step < steps; step++) {
    const roll = random();
    if (roll < 0.5) {
      const length =
        random() < 0.8 ? 16 + 8 * Math.floor(random() * 60) : Math.max(16, Math.floor((random() * sizeMax) / 8) * 8);
      if (writeRecord(pair.out, length, sent)) sent++;
      else pair.out.publish();
    } else if (roll < 0.65) pair.out.publish();
    else if (roll < 0.85) received = readRecords(pair.in, received, random() < 0.3 ? 3 : Infinity);
    else if (roll < 0.95) tellRead(pair.answer, pair.in.position);
    else pair.out.released(pair.answers.peerRead());
    if (random() < 0.4) here.tick();
  }
  pair.out.publish();
  here.settle();
  received = readRecords(pair.in, received);
  if (received !== sent) throw new Error(`${sent} records were sent and ${received} came`);
  if (sent < steps / 20) throw new Error(`only ${sent} records were sent in ${steps} steps`);
}

export function logSuite(test: Test, kit: Kit): void {
  const capacity = CAPACITY[kit.mechanism];

  void test.test('every record arrives once and in order, whatever its size, also where positions wrap', (tt) => {
    const first = Number(process.env['STP_TEST_SEED'] ?? Date.now() % 1_000_000);
    tt.comment(`seeds from ${first}; repeat with STP_TEST_SEED`);
    for (const [name, startPosition] of Object.entries(START)) {
      for (let seed = first; seed < first + 4; seed++) {
        const here = site(tt, kit, { startPosition, seed });
        try {
          randomTraffic(here, kit, seed, 3000);
        } catch (error) {
          throw new Error(`seed ${seed}, ${name}`, { cause: error });
        }
      }
    }
    tt.end();
  });

  void test.test('nothing is seen before it is published, and the identity comes along', (tt) => {
    const here = site(tt, kit);
    const pair = pairOf(here, kit);
    tt.same(pair.in.identity, IDENTITY);
    tt.equal(pair.out.dirty, false);
    tt.ok(writeRecord(pair.out, 32, 0));
    tt.equal(pair.out.dirty, true);
    here.settle();
    tt.equal(pair.in.poll(), 0);
    pair.out.publish();
    tt.equal(pair.out.dirty, false);
    here.settle();
    tt.equal(pair.in.poll(), 32);
    tt.equal(pair.out.claim(64, 64), 64);
    tt.equal(pair.out.dirty, false, 'a claim alone is nothing');
    tt.equal(
      codeOf(() => {
        pair.in.consume(40);
      }),
      'EINVAL',
    );
    tt.equal(
      codeOf(() => {
        pair.in.consume(4);
      }),
      'EINVAL',
    );
    tt.equal(readRecords(pair.in, 0), 1);
    tt.end();
  });

  void test.test('a full log gives no room, and goes on when the reader has told what it read', (tt) => {
    const here = site(tt, kit);
    const pair = pairOf(here, kit);
    let sent = 0;
    let received = 0;
    for (let lap = 0; lap < 5; lap++) {
      const before = sent;
      while (writeRecord(pair.out, 1000, sent)) sent++;
      tt.ok(sent > before, 'there was room');
      tt.equal(pair.out.claim(1000, 1000), 0);
      tt.ok(pair.out.freeBytes < capacity / 2);
      pair.out.publish();
      here.settle();
      received = readRecords(pair.in, received);
      tt.equal(received, sent);
      tellRead(pair.answer, pair.in.position);
      here.settle();
      pair.out.released(pair.answers.peerRead());
      tt.ok(pair.out.freeBytes >= capacity * 0.75);
      tt.ok(
        pair.out.claim(pair.out.claimMaxBytes & ~7, pair.out.claimMaxBytes & ~7) > 0,
        'the longest claim is granted',
      );
    }
    tt.equal(
      codeOf(() => pair.out.claim(capacity, capacity)),
      'EINVAL',
    );
    tt.end();
  });

  void test.test('the asleep word and the read position are seen by the other end', (tt) => {
    const here = site(tt, kit);
    const pair = pairOf(here, kit);
    for (const word of [1, 2, 0xffff_ffff, 0x8000_0001]) {
      pair.out.setAsleep(word);
      here.settle();
      tt.equal(pair.in.peerAsleep(), word);
    }
    tellRead(pair.out, capacity);
    here.settle();
    tt.equal(pair.in.peerRead(), capacity);
    tt.end();
  });

  void test.test('a read position that can not be is ESTPCORRUPT', (tt) => {
    const here = site(tt, kit);
    const pair = pairOf(here, kit);
    writeRecord(pair.out, 1000, 0);
    pair.out.publish();
    for (const position of [4, capacity, capacity * 4, 2 ** 32 - 4096]) {
      tt.equal(
        codeOf(() => {
          pair.out.released(position);
        }),
        'ESTPCORRUPT',
        `${position}`,
      );
    }
    tt.end();
  });

  void test.test('after close there is nothing to see, to claim or to crash', (tt) => {
    const here = site(tt, kit);
    const pair = pairOf(here, kit);
    writeRecord(pair.out, 1000, 0);
    pair.out.publish();
    here.settle();
    tt.equal(pair.in.poll(), 1000);
    for (const log of [pair.out, pair.in]) {
      log.close();
      log.close();
      tt.equal(log.bytes.length, 0);
      tt.equal(log.words.length, 0);
    }
    tt.equal(pair.in.poll(), 0);
    tt.equal(pair.in.peerAsleep(), 0);
    tt.equal(pair.out.claim(8, 64), 0);
    tt.equal(pair.out.dirty, false);
    pair.out.acknowledge(8);
    pair.out.setAsleep(1);
    pair.out.publish();
    tt.end();
  });

  void test.test('a log is made once, with a capacity that fits, and is not there before it is finished', (tt) => {
    const here = site(tt, kit);
    here.a.createLog('x', IDENTITY, kit.mechanism, capacity);
    tt.equal(
      codeOf(() => here.a.createLog('x', IDENTITY, kit.mechanism, capacity)),
      'ESTPCORRUPT',
    );
    for (const wrong of [0, -4096, 1.5, NaN, 4097, 2 ** 31]) {
      tt.equal(
        codeOf(() => here.a.createLog('y', IDENTITY, kit.mechanism, wrong)),
        'EINVAL',
        `${wrong}`,
      );
    }
    tt.equal(here.b.info('y'), undefined);
    here.a.createBlocks('empty');
    tt.equal(here.b.openLog('empty'), undefined);
    tt.end();
  });

  void test.test('a link file that is cut short, or names what can not be, is ESTPCORRUPT', (tt) => {
    const here = site(tt, kit);
    const header = encodeLinkHeader(IDENTITY, kit.mechanism, capacity);
    const made = here.a.createBlocks('header');
    for (const [field, value] of [
      ['format', 3],
      ['format', 0],
      ['capacityBytes', 100],
      ['capacityBytes', 2 ** 31],
      ['ring', kit.mechanism === 'ring' ? 0 : 1],
    ] as const) {
      const payload = Buffer.from(header);
      payload.writeUInt32LE(value, LinkHeader.fields[field].at);
      made?.write(0, payload);
      here.settle();
      tt.equal(
        codeOf(() => here.b.openLog('header')),
        'ESTPCORRUPT',
        `${field} ${value}`,
      );
    }
    made?.write(0, Buffer.alloc(5));
    here.settle();
    tt.equal(
      codeOf(() => here.b.openLog('header')),
      'ESTPCORRUPT',
      'short header',
    );
    here.a.createLog('large', IDENTITY, kit.mechanism, 2 * capacity);
    here.settle();
    tt.equal(
      codeOf(() => here.b.openLog('large', { ring: capacity, frames: capacity })),
      'ESTPCORRUPT',
      'larger than the region allows',
    );
    const pair = pairOf(here, kit);
    tt.ok(pair.out);
    here.truncate('2-1', LINK_AT.data + capacity - 1);
    if (!here.a.shared)
      tt.equal(
        codeOf(() => here.a.openLog('2-1')),
        'ESTPCORRUPT',
        'cut short',
      );
    here.overwrite('1-2', 40, Uint8Array.of(9, 9, 9, 9));
    tt.equal(
      codeOf(() => here.b.openLog('1-2')),
      'ESTPCORRUPT',
      'damaged header',
    );
    tt.end();
  });
}

export function ringDamageSuite(test: Test, kit: Kit): void {
  const capacity = CAPACITY.ring;
  void test.test('words of a ring that can not be are ESTPCORRUPT, in the reader and nowhere else', (tt) => {
    const word = (value: number): Uint8Array => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(value >>> 0);
      return bytes;
    };
    for (const head of [capacity + 8, 2 ** 31, -8, 12, 3]) {
      const here = site(tt, kit);
      const pair = pairOf(here, kit);
      here.overwrite('1-2', LINK_AT.words + RingWords.fields.head.at, word(head));
      tt.equal(
        codeOf(() => pair.in.poll()),
        'ESTPCORRUPT',
        `head ${head}`,
      );
    }
    for (const lapEnd of [-8, capacity + 8, 4, 2 ** 31]) {
      const here = site(tt, kit);
      const pair = pairOf(here, kit);
      let sent = 0;
      while (writeRecord(pair.out, 1000, sent)) sent++;
      pair.out.publish();
      here.settle();
      readRecords(pair.in, 0, 5);
      pair.out.released(pair.in.position);
      writeRecord(pair.out, 1000, sent);
      pair.out.publish();
      here.settle();
      here.overwrite('1-2', LINK_AT.words + RingWords.fields.lapEnd.at, word(lapEnd));
      tt.equal(
        codeOf(() => pair.in.poll()),
        'ESTPCORRUPT',
        `lap end ${lapEnd}`,
      );
    }
    tt.end();
  });
}

/** A frame as its writer would make it, or as damage would. */
function frame(
  values: Partial<Record<'sequence' | 'lengthBytes' | 'position' | 'tag', number>>,
  records: number,
): Buffer {
  const seed = seedOf(encodeLinkHeader(IDENTITY, 'frames', CAPACITY.frames));
  const bytes = Buffer.alloc(BLOCK_BYTES);
  FrameHeader.encode(
    { magic: FRAME_MAGIC, crc: 0, sequence: 1, lengthBytes: records, read: 0, position: 0, tag: seed, ...values },
    bytes,
  );
  bytes.writeUInt32LE(
    crc32(bytes.subarray(FRAME_CRC_FROM, FrameHeader.sizeBytes + records), seed),
    FrameHeader.fields.crc.at,
  );
  return bytes;
}

export function frameDamageSuite(test: Test, kit: Kit): void {
  void test.test('a frame that contradicts itself is ESTPCORRUPT; what is no frame is not there', (tt) => {
    const look = (bytes: Buffer): string | number => {
      const here = site(tt, kit);
      const pair = pairOf(here, kit);
      here.overwrite('1-2', LINK_AT.data, bytes);
      let found = 0;
      const code = codeOf(() => {
        found = pair.in.poll();
      });
      return code === 'nothing thrown' ? found : code;
    };
    tt.equal(look(frame({}, 64)), 64, 'a right one');
    tt.equal(look(frame({ lengthBytes: 2 ** 31 }, 64)), 'ESTPCORRUPT', 'length without end');
    tt.equal(look(frame({ lengthBytes: 60 }, 60)), 'ESTPCORRUPT', 'odd length');
    tt.equal(look(frame({ position: 4096 }, 64)), 'ESTPCORRUPT', 'position');
    tt.equal(look(frame({ sequence: 2 }, 64)), 0, 'number');
    tt.equal(look(frame({ tag: 5 }, 64)), 0, 'tag');
    const torn = frame({}, 64);
    torn[80] = 1;
    tt.equal(look(torn), 0, 'torn');
    tt.equal(look(Buffer.alloc(BLOCK_BYTES, 0xa5)), 0, 'noise');
    tt.end();
  });

  void test.test('a frame that is known to be written and stays unreadable is ESTPCORRUPT at last', (tt) => {
    for (const at of [100, 0]) {
      const here = site(tt, kit, { lateMs: 20 });
      const pair = pairOf(here, kit);
      writeRecord(pair.out, 200, 0);
      pair.out.publish();
      // Tells how many frames there are: without, damage to the first word looks like nothing written.
      pair.out.setAsleep(1);
      here.overwrite('1-2', LINK_AT.data + at, Uint8Array.of(1, 2, 3));
      tt.equal(pair.in.peerAsleep(), 1);
      tt.equal(pair.in.poll(), 0, 'late');
      let code = 'nothing thrown';
      const giveUpMs = Date.now() + 20_000;
      while (code === 'nothing thrown' && Date.now() < giveUpMs) {
        here.tick();
        code = codeOf(() => pair.in.poll());
      }
      tt.equal(code, 'ESTPCORRUPT', `at ${at}`);
    }
    tt.end();
  });
}
