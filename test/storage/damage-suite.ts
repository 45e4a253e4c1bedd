/** Damage to logs: what is told of it, whatever the log is made of. */
import { crc32 } from 'node:zlib';
import { BLOCK_BYTES, FRAME_CRC_FROM, FRAME_MAGIC, FrameHeader, LINK_AT, RingWords } from '../../src/layout';
import { encodeLinkHeader, seedOf } from '../../src/storage/link-header';
import { IDENTITY, type Kit } from './kits';
import { CAPACITY, codeOf, pairOf, readRecords, site, type Test, writeRecord } from './suite-kit';

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
      const here = site(tt, kit, { startPosition: 0 });
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
