import t from 'tap';
import { SimulatedDisk, SimulatedStorage } from '../../src/storage/simulated-storage';
import { codeOf } from './suite-kit';
import { IDENTITY } from './kits';

/** What a reader on another host saw of a block that is rewritten, look by look, as text. */
function history(seed: number): { looks: string; torn: number } {
  const disk = new SimulatedDisk({ seed });
  const a = new SimulatedStorage(disk, { process: 1 });
  const writer = a.createBlocks('blocks');
  let looks = '';
  let torn = 0;
  for (let round = 1; round < 60; round++) {
    writer?.write(0, Buffer.alloc(4000, round));
    disk.tick();
    const seen = disk.files.get('blocks')?.seen ?? new Uint8Array(0);
    const sectors = Array.from({ length: 7 }, (_, sector) => seen[sector * 512 + 256] ?? 0);
    if (new Set(sectors).size > 1) torn++;
    looks += `${sectors.join(' ')}; `;
  }
  return { looks, torn };
}

void t.test('a seed gives the same run again, another seed another, and reads are torn in both', (tt) => {
  tt.equal(history(1).looks, history(1).looks);
  tt.not(history(1).looks, history(2).looks);
  tt.ok(history(1).torn > 5);
  tt.ok(history(2).torn > 5);
  tt.end();
});

void t.test(
  'what a process did after an image is taken back, for those of its host and of others, and what others did stays',
  (tt) => {
    for (const delayTicksMax of [0, 8]) {
      const disk = new SimulatedDisk({ seed: 3, delayTicksMax, ringDelayTicksMax: delayTicksMax });
      const storage = new SimulatedStorage(disk, { process: 1, host: 1 });
      const other = new SimulatedStorage(disk, { process: 2, host: 2 });
      const kept = storage.createBlocks('kept');
      kept?.write(0, Buffer.from('before'));
      storage.createBlocks('removed')?.write(0, Buffer.from('still there'));
      const ring = storage.createLog('ring', IDENTITY, 'ring', 4096);
      const reader = other.openLog('ring') ?? (disk.settle(), other.openLog('ring'));
      const usedBytes = disk.usedBytes;
      const image = disk.imageOf(1);
      let operations = 0;
      disk.onOperation = () => {
        operations++;
      };
      kept?.write(0, Buffer.from('after'));
      storage.createBlocks('new')?.write(0, Buffer.from('new'));
      storage.remove('removed');
      ring.claim(16, 16);
      ring.commit(16);
      ring.publish();
      tt.equal(operations, 4);
      disk.onOperation = null;
      other.createBlocks('theirs')?.write(0, Buffer.from('theirs'));
      const theirBytes = disk.files.get('theirs')?.sizeBytes ?? 0;
      disk.restore(1, image);
      tt.equal(disk.usedBytes, usedBytes + theirBytes);
      disk.settle();
      for (const one of [new SimulatedStorage(disk, { process: 3, host: 1 }), other]) {
        const textOf = (path: string): string | undefined => one.openBlocks(path)?.read(0)?.payload.toString();
        tt.same(['kept', 'removed', 'new', 'theirs'].map(textOf), ['before', 'still there', undefined, 'theirs']);
      }
      tt.equal(reader?.poll(), 0);
    }
    tt.end();
  },
);

void t.test('processes of one host see each other at once, others late', (tt) => {
  const disk = new SimulatedDisk({ seed: 5, delayTicksMax: 16 });
  const writer = new SimulatedStorage(disk, { process: 1, host: 1 }).createBlocks('blocks');
  const near = new SimulatedStorage(disk, { process: 2, host: 1 }).openBlocks('blocks');
  writer?.write(0, Buffer.alloc(10, 1));
  tt.equal(near?.read(0)?.payload[0], 1);
  const far = new SimulatedStorage(disk, { process: 3, host: 2 }).openBlocks('blocks');
  let late = 0;
  for (let round = 2; round < 50; round++) {
    writer?.write(0, Buffer.alloc(10, round));
    if (far?.read(0)?.sequence !== round) late++;
  }
  tt.ok(late > 10, `${late} of 48 looks were late`);
  disk.settle();
  tt.equal(far?.read(0)?.sequence, 49);
  tt.end();
});

void t.test('a process that crashed does nothing more, and what it wrote stays', (tt) => {
  const disk = new SimulatedDisk({ seed: 9 });
  const a = new SimulatedStorage(disk, { process: 1 });
  const b = new SimulatedStorage(disk, { process: 2 });
  const writer = a.createBlocks('blocks');
  writer?.write(0, Buffer.alloc(10, 1));
  const log = a.createLog('log', IDENTITY, 'frames', 16_384);
  disk.crash(1);
  for (const action of [
    () => writer?.write(0, Buffer.alloc(1)),
    () => a.openBlocks('blocks'),
    () => a.list(''),
    () => a.remove('log'),
    () => {
      log.setAsleep(1);
    },
  ]) {
    tt.equal(codeOf(action), 'EIO');
  }
  disk.settle();
  tt.equal(b.openBlocks('blocks')?.read(0)?.payload[0], 1);
  tt.ok(b.openLog('log'));
  tt.end();
});

void t.test('a frame whose writer died in the middle of it never comes, and is never half', (tt) => {
  let came = 0;
  let missing = 0;
  for (let seed = 0; seed < 60; seed++) {
    const disk = new SimulatedDisk({ seed });
    const log = new SimulatedStorage(disk, { process: 1 }).createLog('log', IDENTITY, 'frames', 65_536);
    disk.settle();
    const reader = new SimulatedStorage(disk, { process: 2 }).openLog('log');
    const length = log.claim(8000, 8000);
    log.bytes.fill(seed, log.at, log.at + length);
    log.commit(length);
    log.publish();
    disk.crash(1, { torn: true });
    disk.settle();
    const run = reader?.poll();
    if (run === 0) missing++;
    else if (run === 8000 && reader?.bytes.subarray(reader.at, reader.at + run).every((byte) => byte === seed)) came++;
    else throw new Error(`seed ${seed}: half a frame`);
  }
  tt.ok(missing > 10, `${missing} frames were lost, ${came} came`);
  tt.end();
});

void t.test('a delay that no reader would wait out is refused', (tt) => {
  tt.equal(
    codeOf(() => new SimulatedDisk({ seed: 1, delayTicksMax: 17 })),
    'EINVAL',
  );
  tt.equal(
    codeOf(() => new SimulatedDisk({ seed: 1, delayTicksMax: NaN })),
    'EINVAL',
  );
  tt.end();
});
