/** Files that somebody put in the way, views that outlive their mapping, and what the drivers leave behind. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { FileStorage, loadNative, makeFifo, TEMPORARY_PREFIX } from '../../src/storage';
import { codeOf } from './suite-kit';
import { freshDirectory, IDENTITY } from './kits';

const STORAGE = path.join(__dirname, '../../src/storage/index.js');

void t.test(
  "a link, a FIFO, a device or a directory in a file's place is ESTPCORRUPT and never followed or waited for",
  (tt) => {
    const root = freshDirectory();
    const outside = freshDirectory();
    fs.writeFileSync(path.join(outside, 'file'), Buffer.alloc(8192, 1));
    fs.symlinkSync(path.join(outside, 'file'), path.join(root, 'symbolic'));
    fs.symlinkSync(path.join(outside, 'nothing'), path.join(root, 'dangling'));
    fs.mkdirSync(path.join(root, 'directory'));
    if (process.platform !== 'win32') makeFifo(path.join(root, 'fifo'));
    for (const options of [{ odirect: false }, { odirect: true }, { local: false }]) {
      const storage = new FileStorage(root, { driver: 'direct', ...options });
      for (const name of fs.readdirSync(root)) {
        tt.equal(
          codeOf(() => storage.openBlocks(name)),
          'ESTPCORRUPT',
          `open ${name}`,
        );
        tt.equal(
          codeOf(() => storage.openLog(name)),
          'ESTPCORRUPT',
          `open log ${name}`,
        );
        tt.equal(storage.createBlocks(name), undefined, `create ${name}`);
        tt.equal(storage.publishOnce(name, Buffer.alloc(8)), false, `publish ${name}`);
        tt.equal(
          codeOf(() => storage.createLog(name, IDENTITY, 'frames', 65_536)),
          'ESTPCORRUPT',
          `create log ${name}`,
        );
      }
      tt.equal(
        codeOf(() => {
          storage.makeDirectory('symbolic');
        }),
        'ESTPCORRUPT',
      );
      for (const name of ['../x', '/x', 'a//b', 'a/../b', '', '.', 'a/', 'x\0', 'a b'])
        tt.equal(
          codeOf(() => storage.createBlocks(name)),
          'EINVAL',
          JSON.stringify(name),
        );
    }
    tt.same(fs.readdirSync(outside), ['file'], 'nothing was made elsewhere');
    tt.same(
      fs.readdirSync(root).filter((name) => name.startsWith(TEMPORARY_PREFIX)),
      [],
      'nor left behind',
    );
    tt.same(fs.readFileSync(path.join(outside, 'file')), Buffer.alloc(8192, 1));
    fs.rmSync(root, { recursive: true });
    fs.rmSync(outside, { recursive: true });
    tt.end();
  },
);

void t.test(
  'of those who create one file on shared storage at the same moment one has made it, and nothing else is left',
  async (tt) => {
    const root = freshDirectory();
    const names = Array.from({ length: 200 }, (_, i) => `file-${i}`);
    const sides = Array.from(
      { length: 4 },
      () =>
        new Worker(
          `const { workerData, parentPort } = require('node:worker_threads');
     const { FileStorage } = require(workerData.storage);
     const storage = new FileStorage(workerData.root, { driver: 'direct', local: false });
     parentPort.postMessage(workerData.names.filter((name) => {
       const file = storage.createBlocks(name);
       file?.write(0, Buffer.from(name));
       file?.close();
       return file !== undefined;
     }));`,
          { eval: true, workerData: { storage: STORAGE, root, names } },
        ),
    );
    const won = (await Promise.all(sides.map(async (side) => (await once(side, 'message')) as [string[]]))).flat(2);
    tt.same(won.sort(), [...names].sort());
    tt.same(fs.readdirSync(root).sort(), [...names].sort());
    const storage = new FileStorage(root, { driver: 'direct', local: false });
    tt.equal(storage.openBlocks('file-7')?.read(0)?.payload.toString(), 'file-7');
    fs.rmSync(root, { recursive: true });
  },
);

void t.test('files are 0600, directories 0700, and a directory that may not be written says EACCES', (tt) => {
  const root = freshDirectory();
  const storage = new FileStorage(root, { driver: 'direct' });
  storage.makeDirectory('sub');
  storage.createBlocks('sub/blocks')?.close();
  storage.publishOnce('sub/once', Buffer.alloc(1));
  storage.createLog('sub/log', IDENTITY, 'frames', 65_536).close();
  if (process.platform !== 'win32') {
    tt.equal(fs.statSync(path.join(root, 'sub')).mode & 0o777, 0o700);
    for (const name of ['blocks', 'once', 'log'])
      tt.equal(fs.statSync(path.join(root, 'sub', name)).mode & 0o777, 0o600, name);
  }
  if (process.getuid?.() !== 0 && process.platform !== 'win32') {
    fs.chmodSync(path.join(root, 'sub'), 0o500);
    tt.equal(
      codeOf(() => storage.createBlocks('sub/more')),
      'EACCES',
    );
    tt.equal(
      codeOf(() => storage.publishOnce('sub/more', Buffer.alloc(1))),
      'EACCES',
    );
    fs.chmodSync(path.join(root, 'sub'), 0o700);
  }
  fs.rmSync(root, { recursive: true });
  tt.end();
});

void t.test(
  'descriptors are given back: a thousand files and logs leave none open',
  { skip: fs.existsSync('/proc/self/fd') ? false : 'no /proc' },
  (tt) => {
    const root = freshDirectory();
    const drivers = loadNative() === undefined ? (['direct'] as const) : (['mapped', 'direct'] as const);
    const open = (): number => fs.readdirSync('/proc/self/fd').length;
    const before = open();
    for (const driver of drivers) {
      const storage = new FileStorage(root, { driver, local: true });
      const mechanism = driver === 'mapped' ? 'ring' : 'frames';
      for (let i = 0; i < 250; i++) {
        storage.createLog('log', IDENTITY, mechanism, 16_384).close();
        storage.openLog('log')?.close();
        storage.publishOnce('once', Buffer.alloc(1));
        storage.createBlocks('blocks')?.close();
        storage.openBlocks('blocks')?.close();
        fs.truncateSync(path.join(root, 'log'), 9000);
        codeOf(() => storage.openLog('log'));
        codeOf(() => storage.openLog('blocks'));
        for (const name of ['log', 'once', 'blocks']) storage.remove(name);
      }
    }
    tt.equal(open(), before);
    fs.rmSync(root, { recursive: true });
    tt.end();
  },
);

void t.test(
  'views that are kept after close are safe, and memory comes back when they are gone',
  { skip: loadNative() === undefined || process.platform !== 'linux' ? 'needs koffi and /proc' : false },
  (tt) => {
    const root = freshDirectory();
    // In a process of its own: a view of memory that is not there any more would end it.
    const script = `
    const fs = require('node:fs'); const { FileStorage } = require(${JSON.stringify(STORAGE)});
    const storage = new FileStorage(${JSON.stringify(root)}, { driver: 'mapped', local: true });
    const identity = ${JSON.stringify(IDENTITY)};
    const maps = () => fs.readFileSync('/proc/self/maps', 'utf8').split('\\n');
    const mapped = () => maps().filter((line) => line.includes('log-')).length;
    const virtual = () => Number(/VmSize:\\s+(\\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]);
    const kept = [];
    const round = () => {
      for (let i = 0; i < 200; i++) {
        const out = storage.createLog('log-' + i, identity, 'ring', 262144);
        const reader = storage.openLog('log-' + i);
        if (i < 5) kept.push(out.bytes.subarray(100, 200), out.words, reader.bytes, reader.words);
        out.bytes.fill(7); out.close(); reader.close(); storage.remove('log-' + i);
      }
    };
    (async () => {
      round();
      const files = mapped();
      for (const view of kept) { view[0] = 1; view.fill(2); }
      globalThis.gc();
      for (const view of kept) { view[0] = 1; view.fill(2); }
      kept.length = 0;
      const settle = async () => { for (let i = 0; i < 5; i++) { globalThis.gc(); await new Promise(setImmediate); } };
      await settle();
      const before = virtual();
      for (let i = 0; i < 10; i++) { round(); kept.length = 0; await settle(); }
      console.log(JSON.stringify({ files, grownMiB: Math.round((virtual() - before) / 1024) }));
    })();`;
    const { stdout, stderr, status, signal } = spawnSync(process.execPath, ['--expose-gc', '-e', script], {
      encoding: 'utf8',
    });
    tt.equal(status, 0, `${stderr}${signal ?? ''}`);
    const found = JSON.parse(stdout) as { files: number; grownMiB: number };
    tt.equal(found.files, 0, 'no file stays mapped');
    // Ten rounds of 400 mappings are a thousand MiB; what the process itself reserves in between is far less.
    tt.ok(found.grownMiB < 300, `${found.grownMiB} MiB`);
    fs.rmSync(root, { recursive: true });
    tt.end();
  },
);
