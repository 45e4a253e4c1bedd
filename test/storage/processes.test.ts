import fs from 'node:fs';
import os from 'node:os';
import t from 'tap';
import { FileStorage, type LogReader } from '../../src/storage';
import { allKits, freshDirectory, type Kit, OPPOSITE } from './kits';
import { type ExchangeResult } from './peer';
import { startPeer } from './start-peer';

const MIB = 1 << 20;
const directory = (tt: { teardown(action: () => void): void }, under = os.tmpdir()): string => {
  const root = freshDirectory(under);
  tt.teardown(() => {
    fs.rmSync(root, { recursive: true, force: true });
  });
  return root;
};

/** A disk is slow when every write waits for it, and no better a test for it. */
function exchangeBytes(kit: Kit): number {
  return kit.file?.local === false ? 4 * MIB : 64 * MIB;
}

async function firstBlock(storage: FileStorage): Promise<void> {
  while (storage.openBlocks('block')?.read(0) === undefined) await new Promise(setImmediate);
}

/** Checks and consumes the records of `flood` that are there; the next number expected. */
function readFlood(reader: LogReader, expected: number): number {
  let next = expected;
  for (let run = reader.poll(); run > 0; run = reader.poll()) {
    const length = reader.words[reader.at >> 2] ?? 0;
    if (reader.words[(reader.at >> 2) + 1] !== next || length > run) throw new Error(`record ${next} is wrong`);
    if (reader.bytes.subarray(reader.at + 8, reader.at + length).some((byte) => byte !== (next & 255)))
      throw new Error(`record ${next} is mixed`);
    reader.consume(length);
    next++;
  }
  return next;
}

for (const kit of allKits()) {
  const { file } = kit;
  if (file === undefined) continue;
  const skip = kit.skip === undefined ? {} : { skip: kit.skip };

  void t.test(
    `${kit.name}: two processes exchange many MiB both ways at once, every byte as sent`,
    skip,
    async (tt) => {
      const root = directory(tt);
      const options = {
        root,
        storage: file,
        mechanism: kit.mechanism,
        totalBytes: exchangeBytes(kit),
        capacityBytes: kit.mechanism === 'ring' ? 262_144 : MIB,
      };
      const [a, b] = (await Promise.all([
        startPeer('exchange', { ...options, first: true }).result,
        startPeer('exchange', options).result,
      ])) as ExchangeResult[];
      tt.equal(a?.receivedBytes, options.totalBytes);
      tt.equal(b?.receivedBytes, options.totalBytes);
      tt.equal(a?.sentCrc, b?.receivedCrc);
      tt.equal(b?.sentCrc, a?.receivedCrc);
    },
  );

  void t.test(`${kit.name}: a writer that is killed leaves whole records and nothing else`, skip, async (tt) => {
    const root = directory(tt);
    const storage = new FileStorage(root, file);
    const answer = storage.createLog('2-1', OPPOSITE, kit.mechanism, 65_536);
    const peer = startPeer('flood', { root, storage: file, mechanism: kit.mechanism, capacityBytes: 65_536 });
    let reader: LogReader | undefined;
    for (; reader === undefined; reader = storage.openLog('1-2')) await new Promise(setImmediate);
    let next = 0;
    while (next < 1000) {
      next = readFlood(reader, next);
      answer.acknowledge(reader.position);
      answer.publish();
      await new Promise(setImmediate);
    }
    await peer.kill();
    next = readFlood(reader, next);
    tt.ok(next >= 1000);
    tt.equal(reader.poll(), 0);
    reader.close();
    answer.close();
  });

  void t.test(
    `${kit.name}: a block that another process rewrites without pause is always read whole`,
    skip,
    async (tt) => {
      const root = directory(tt);
      const storage = new FileStorage(root, file);
      const peer = startPeer('rewrite', { root, storage: file });
      await firstBlock(storage);
      const reader = storage.openBlocks('block');
      let last = 0;
      for (let look = 0; look < 2000; look++) {
        const block = reader?.read(0);
        if (block === undefined || block.sequence < last)
          throw new Error(`block ${block?.sequence ?? 0} after ${last}`);
        last = block.sequence;
        if (block.payload.length !== 4000 || block.payload.some((byte) => byte !== (last & 255)))
          throw new Error(`block ${last} is mixed`);
      }
      tt.ok(last > 1);
      await peer.kill();
    },
  );
}

void t.test('of many processes that publish the same path, one wins and all see its bytes', async (tt) => {
  const root = directory(tt);
  const storage = { driver: 'direct' } as const;
  const results = (await Promise.all(
    Array.from({ length: 8 }, () => startPeer('publish', { root, storage }).result),
  )) as { won: boolean; byte: number }[];
  const winners = results.filter((result) => result.won);
  tt.equal(winners.length, 1);
  tt.equal(new FileStorage(root, storage).openBlocks('once')?.read(0)?.payload[0], winners[0]?.byte);
  tt.same(fs.readdirSync(root), ['once'], 'nothing else is left behind');
});
