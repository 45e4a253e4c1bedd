import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import { StpError } from '../../src/errors';
import { chooseDriver, fileError, FileStorage, fileSystemOf, fileSystemOfType, loadNative } from '../../src/storage';
import { codeOf } from './suite-kit';
import { freshDirectory } from './kits';

const STORAGE = path.join(__dirname, '../../src/storage/index.js');

/** Runs code in a process of its own that has `storage` and `directory`; what it returns. */
function inProcess(code: string, directory: string, nodeOptions: string[]): unknown {
  const script = `const storage = require(${JSON.stringify(STORAGE)}); const directory = ${JSON.stringify(directory)};
    console.log(JSON.stringify((() => { ${code} })()));`;
  const { stdout, stderr, status } = spawnSync(process.execPath, [...nodeOptions, '-e', script], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`exit ${status ?? 'by signal'}: ${stderr}`);
  return JSON.parse(stdout);
}

void t.test('file systems are told apart by type, and one that is not known is not local', (tt) => {
  tt.same(fileSystemOfType(0x0102_1994, 'linux'), { name: 'tmpfs', local: true, inMemory: true });
  tt.same(fileSystemOfType(0xef53, 'linux'), { name: 'ext4', local: true, inMemory: false });
  tt.same(fileSystemOfType(0x9123_683e - 2 ** 32, 'linux'), { name: 'btrfs', local: true, inMemory: false }, 'signed');
  tt.same(fileSystemOfType(0x6969, 'linux'), { name: 'nfs', local: false, inMemory: false });
  tt.same(fileSystemOfType(0x6573_5546, 'linux'), { name: 'fuse', local: false, inMemory: false });
  tt.same(fileSystemOfType(0x1a, 'darwin'), { name: 'apfs', local: true, inMemory: false });
  tt.same(fileSystemOfType(0x1a, 'linux'), { name: 'unknown (0x1a)', local: false, inMemory: false });
  tt.equal(fileSystemOfType(0, 'win32').local, false);
  const missing = path.join(os.tmpdir(), 'not', 'there', 'yet');
  tt.same(fileSystemOf(missing), fileSystemOf(os.tmpdir()), 'the place where it will be made');
  tt.end();
});

void t.test(
  'a directory gets the fastest driver that it can do',
  { skip: loadNative() === undefined ? 'koffi is missing' : false },
  (tt) => {
    const directory = freshDirectory();
    const { local, name } = fileSystemOf(directory);
    const choice = chooseDriver(directory, 'auto');
    const copies = ['btrfs', 'zfs', 'bcachefs'].includes(name);
    tt.equal(choice.driver, local && !copies ? 'mapped' : 'direct');
    tt.equal(choice.reason, copies ? 'not-mappable' : local ? 'local' : 'not-local');
    tt.equal(choice.localFs, local);
    tt.ok(choice.detail.length > 0);
    tt.match(chooseDriver(directory, 'direct'), { driver: 'direct', reason: 'asked' });
    if (local) tt.match(chooseDriver(directory, 'mapped'), { driver: 'mapped', reason: 'asked' });
    // /proc is no place for a region, but it is there, and nothing says that it is local.
    if (process.platform === 'linux') {
      tt.match(chooseDriver('/proc', 'auto'), { driver: 'direct', reason: 'not-local', localFs: false });
      tt.equal(
        codeOf(() => chooseDriver('/proc', 'mapped')),
        'ESTPDRIVER',
      );
    }
    fs.rmdirSync(directory);
    tt.end();
  },
);

void t.test(
  'where mapped memory is not what others read the driver is direct',
  { skip: loadNative() === undefined ? 'koffi is missing' : false },
  (tt) => {
    const directory = freshDirectory();
    const native = loadNative();
    if (native === undefined || !fileSystemOf(directory).local) {
      tt.end();
      return;
    }
    const map = native.map.bind(native);
    tt.teardown(() => {
      native.map = map;
    });
    native.map = (_fd, bytes) => ({ buffer: new ArrayBuffer(bytes), release: () => undefined });
    tt.match(chooseDriver(directory, 'auto'), { driver: 'direct', reason: 'not-mappable', localFs: true });
    tt.equal(
      codeOf(() => chooseDriver(directory, 'mapped')),
      'ESTPDRIVER',
    );
    native.map = () => {
      throw new Error('no mappings here');
    };
    tt.match(chooseDriver(directory, 'auto'), { driver: 'direct', reason: 'not-mappable' });
    native.map = () => {
      throw new StpError('ENOBUFS', 'mmap failed with ENOMEM', 'mmap');
    };
    tt.match(chooseDriver(directory, 'auto'), {
      driver: 'direct',
      reason: 'not-mappable',
      detail: /just now: .*ENOMEM/u,
    });
    tt.equal(
      codeOf(() => chooseDriver(directory, 'mapped')),
      'ENOBUFS',
      'what may pass is not called impossible',
    );
    tt.same(fs.readdirSync(directory), []);
    fs.rmdirSync(directory);
    tt.end();
  },
);

void t.test('without koffi the driver is direct, FIFOs are still made, and mapped is refused with the reason', (tt) => {
  const directory = freshDirectory();
  const found = inProcess(
    `const fails = (action) => { try { action(); } catch (error) { return error.code + ' ' + error.message; } };
     const fifo = directory + '/fifo';
     const open = (driver) => new storage.FileStorage(directory, { driver });
     return {
       auto: storage.chooseDriver(directory, 'auto'),
       mapped: fails(() => storage.chooseDriver(directory, 'mapped')),
       open: fails(() => open('mapped')),
       ring: fails(() => open('direct').openLog('ring')),
       fifo: storage.makeFifo(fifo),
       again: storage.makeFifo(fifo),
       liveness: storage.openLivenessFifo(fifo) !== undefined,
       native: storage.loadNative() === undefined,
     };`,
    directory,
    ['-r', path.join(__dirname, 'no-koffi.js')],
  );
  tt.match(found, {
    auto: { driver: 'direct', reason: fileSystemOf(directory).local ? 'no-native' : 'not-local' },
    mapped: /^ESTPDRIVER /,
    open: /^ESTPDRIVER .*koffi/,
    fifo: true,
    again: true,
    liveness: true,
    native: true,
  });
  fs.rmSync(directory, { recursive: true });
  tt.end();
});

void t.test(
  'a ring that a process without koffi comes upon is ESTPDRIVER, not a crash',
  { skip: loadNative() === undefined ? 'koffi is missing' : false },
  (tt) => {
    const directory = freshDirectory();
    const identity = { from: 1, to: 2, fromEpoch: 3, toEpoch: 4, regionId: 5 };
    new FileStorage(directory, { driver: 'mapped', local: true }).createLog('ring', identity, 'ring', 65_536).close();
    tt.equal(
      codeOf(() => new FileStorage(directory, { driver: 'direct', local: true }).openLog('ring')),
      'ESTPDRIVER',
    );
    tt.equal(
      codeOf(() =>
        new FileStorage(directory, { driver: 'direct', local: true }).createLog('x', identity, 'ring', 65_536),
      ),
      'ESTPDRIVER',
    );
    fs.rmSync(directory, { recursive: true });
    tt.end();
  },
);

void t.test('errors that Node has no name for are known by their number', (tt) => {
  for (const [errno, code] of [
    [os.constants.errno.EDQUOT, 'EDQUOT'],
    [os.constants.errno.ESTALE, 'EIO'],
  ] as const) {
    const error = Object.assign(new Error(`Unknown system error -${errno}`), {
      code: `Unknown system error -${errno}`,
      errno: -errno,
    });
    tt.equal(fileError(error, 'write', 'links/1-2').code, code);
  }
  tt.end();
});
