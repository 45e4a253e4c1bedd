/** Logs: what every storage must do with them, whatever it is made of. */
import { LINK_AT, LinkHeader } from '../../src/layout';
import { encodeLinkHeader } from '../../src/storage/link-header';
import { seededRandom } from '../../src/storage/simulated-disk';
import { IDENTITY, type Kit, type Site, tellRead } from './kits';
import { CAPACITY, codeOf, pairOf, readRecords, site, type Test, writeRecord } from './suite-kit';

const START = { origin: 0, wrapping: 2 ** 32 - 64 * 4096 } as const;

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

  void test.test('changes of the port table are shown by a ring, and frames leave them to a look', (tt) => {
    const here = site(tt, kit);
    const pair = pairOf(here, kit);
    const ring = kit.mechanism === 'ring';
    tt.equal(pair.in.peerPortChanges(), ring ? 0 : undefined);
    for (const count of [1, 2, 0xffff_ffff]) {
      pair.out.showPortChanges(count);
      here.settle();
      tt.equal(pair.in.peerPortChanges(), ring ? count : undefined);
    }
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
