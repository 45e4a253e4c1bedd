import path from 'node:path';
import t from 'tap';
import { BLOCK_BYTES } from '../../src/layout';
import { FileStorage, loadNative, makeFifo, type LogWriter, type Storage } from '../../src/storage';
import { SimulatedDisk, SimulatedStorage } from '../../src/storage/simulated-storage';
import { codeOf } from './suite-kit';
import { mountTmpfs, whyNoTmpfs } from '../tmpfs';
import { IDENTITY } from './kits';

const DISK_BYTES = 1 << 20;

const noMount = whyNoTmpfs();

type Test = Pick<typeof t, 'equal' | 'ok'>;

/** Fills a disk of 1 MiB with logs, blocks and publications, frees some of it, and goes on. */
function fill(tt: Test, storage: Storage, mechanism: 'ring' | 'frames'): void {
  const blocks = storage.createBlocks('blocks');
  blocks?.write(0, Buffer.alloc(100, 1));
  const first = storage.createLog('first', IDENTITY, mechanism, 65_536);
  const made: LogWriter[] = [];
  let logs = 0;
  let code = '';
  for (; code === '' && logs < 1000; logs++) {
    code = codeOf(() => made.push(storage.createLog(`log-${logs}`, IDENTITY, mechanism, 65_536))).replace(
      'nothing thrown',
      '',
    );
  }
  tt.equal(code, 'ENOSPC', 'a log that does not fit');
  tt.equal(storage.info(`log-${logs - 1}`), undefined, 'is not left behind');
  let index = 1;
  for (code = ''; code === '' && index < 1000; index++) {
    code = codeOf(() => blocks?.write(index, Buffer.alloc(4000, 2))).replace('nothing thrown', '');
  }
  tt.equal(code, 'ENOSPC', 'a block that does not fit');
  tt.equal(
    codeOf(() => storage.publishOnce('once', Buffer.alloc(10))),
    'ENOSPC',
    'a file that does not fit',
  );
  tt.equal(storage.info('once'), undefined);
  const full = first.claim(8, first.claimMaxBytes);
  first.bytes.fill(1, first.at, first.at + full);
  first.commit(full);
  first.publish();
  tt.equal(storage.openLog('first')?.poll(), full, 'what was reserved can be used');
  blocks?.write(0, Buffer.alloc(100, 3));
  tt.equal(storage.openBlocks('blocks')?.read(0)?.payload[0], 3, 'what was written can be written again');
  // Room comes back only when nobody has the file open or mapped any more.
  made[0]?.close();
  tt.ok(storage.removeLog('log-0'));
  blocks?.write(index, Buffer.alloc(4000, 4));
  tt.equal(storage.publishOnce('once', Buffer.alloc(10)), true, 'when there is room again it goes on');
}

for (const [driver, mechanism] of [
  ['mapped', 'ring'],
  ['mapped', 'frames'],
  ['direct', 'frames'],
] as const) {
  const skip = noMount ?? (driver === 'mapped' && loadNative() === undefined ? 'koffi is missing' : false);
  void t.test(
    `a full tmpfs gives ENOSPC where something is made, and never harms what is there: ${driver}, ${mechanism}`,
    { skip },
    (tt) => {
      fill(tt, new FileStorage(mountTmpfs(tt, `size=${DISK_BYTES}`), { driver }), mechanism);
      tt.end();
    },
  );
}

void t.test('a read-only file system gives EROFS', { skip: noMount ?? false }, (tt) => {
  const root = mountTmpfs(tt, 'ro');
  const storage = new FileStorage(root, { driver: 'direct' });
  tt.equal(
    codeOf(() => {
      storage.makeDirectory('x');
    }),
    'EROFS',
  );
  tt.equal(
    codeOf(() => storage.createBlocks('x')),
    'EROFS',
  );
  tt.equal(
    codeOf(() => storage.publishOnce('x', Buffer.alloc(1))),
    'EROFS',
  );
  tt.equal(
    codeOf(() => storage.createLog('x', IDENTITY, 'frames', 65_536)),
    'EROFS',
  );
  tt.equal(
    codeOf(() => makeFifo(path.join(root, 'x'))),
    'EROFS',
  );
  tt.end();
});

void t.test('a full simulated disk gives ENOSPC as well', (tt) => {
  for (const mechanism of ['ring', 'frames'] as const) {
    const disk = new SimulatedDisk({ seed: 3, delayTicksMax: 0, capacityBytes: DISK_BYTES });
    fill(tt, new SimulatedStorage(disk, { process: 1 }), mechanism);
    tt.ok(disk.usedBytes <= DISK_BYTES);
    tt.equal(disk.usedBytes % BLOCK_BYTES, 0);
  }
  tt.end();
});
