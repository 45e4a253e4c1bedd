import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import t from 'tap';
import { makeFifo, openLivenessFifo, openFifoReader, openFifoWriter, removeFifo, ringFifo } from '../../src/storage';
import { PRIVATE } from '../../src/storage/access';
import { codeOf } from './suite-kit';
import { freshDirectory } from './kits';
import { mountTmpfs, whyNoTmpfs } from '../tmpfs';
import { startPeer } from './start-peer';

const STORAGE = path.join(__dirname, '../../src/storage/index.js');
const noMount = whyNoTmpfs();

if (process.platform === 'win32') {
  t.plan(0, 'no FIFOs on Windows');
} else {
  const root = freshDirectory();
  const place = (name: string): string => path.join(root, name);
  t.teardown(() => {
    fs.rmSync(root, { recursive: true, force: true });
  });

  void t.test('a FIFO is made once, private, and found made', (tt) => {
    tt.equal(makeFifo(place('one')), true);
    tt.equal(makeFifo(place('one')), true);
    tt.equal(fs.statSync(place('one')).mode & 0o777, 0o600);
    fs.writeFileSync(place('file'), '');
    tt.equal(
      codeOf(() => makeFifo(place('file'))),
      'ESTPCORRUPT',
    );
    tt.equal(
      codeOf(() => makeFifo(place('none/there'))),
      'ENOENT',
    );
    tt.equal(removeFifo(place('one')), true);
    tt.equal(removeFifo(place('one')), false);
    tt.end();
  });

  void t.test(
    'a directory that takes no file is told, and not taken for one without FIFOs',
    { skip: noMount ?? false },
    (tt) => {
      const readOnly = mountTmpfs(tt, 'ro,mode=700');
      tt.equal(
        codeOf(() => makeFifo(path.join(readOnly, 'bell'))),
        'EROFS',
      );
      const others = mountTmpfs(tt, 'mode=755');
      const script = `process.setuid(65533); const { makeFifo } = require(${JSON.stringify(STORAGE)});
      try { console.log(makeFifo(process.argv[1])); } catch (error) { console.log(error.code); }`;
      for (const preload of [[], ['--require', path.join(__dirname, 'no-koffi.js')]]) {
        const { stdout } = spawnSync(process.execPath, [...preload, '-e', script, path.join(others, 'bell')], {
          encoding: 'utf8',
        });
        tt.equal(stdout.trim(), 'EACCES', preload.join(' '));
      }
      tt.end();
    },
  );

  void t.test('what is no FIFO in the place of a bell is ESTPCORRUPT and never written', (tt) => {
    fs.writeFileSync(place('plain'), 'abc');
    fs.symlinkSync(place('plain'), place('symbolic'));
    fs.mkdirSync(place('directory'));
    for (const name of ['plain', 'symbolic', 'directory']) {
      for (const open of [openFifoReader, openLivenessFifo, openFifoWriter])
        tt.equal(
          codeOf(() => open(place(name))),
          'ESTPCORRUPT',
          name,
        );
    }
    tt.equal(fs.readFileSync(place('plain'), 'utf8'), 'abc');
    for (const open of [openFifoReader, openLivenessFifo, openFifoWriter]) tt.equal(open(place('missing')), undefined);
    tt.end();
  });

  void t.test(
    'a bell that everybody may write, or that somebody else has made, is refused',
    { skip: process.geteuid === undefined ? 'no users here' : false },
    (tt) => {
      const { O_RDWR, O_NONBLOCK } = fs.constants;
      for (const name of ['open', 'strange']) makeFifo(place(name));
      fs.chmodSync(place('open'), 0o666);
      const held = ['open', 'strange'].map((name) => fs.openSync(place(name), O_RDWR | O_NONBLOCK));
      const strangers = { ...PRIVATE, owners: new Set([65_533]) };
      for (const open of [makeFifo, openFifoReader, openLivenessFifo, openFifoWriter]) {
        tt.equal(
          codeOf(() => open(place('open'))),
          'EACCES',
        );
        tt.equal(
          codeOf(() => open(place('strange'), strangers)),
          'EACCES',
        );
      }
      for (const fd of held) fs.closeSync(fd);
      tt.end();
    },
  );

  void t.test('a ring is heard, a second one is as good as heard, and nobody listening is told', async (tt) => {
    makeFifo(place('liveness'));
    tt.equal(openFifoWriter(place('liveness')), undefined, 'nobody is there');
    const fifo = openLivenessFifo(place('liveness'));
    const bell = openFifoWriter(place('liveness'));
    if (fifo === undefined || bell === undefined) throw new Error('not opened');
    let full = false;
    const page = Buffer.alloc(4096);
    while (!full) full = codeOf(() => fs.writeSync(bell, page)) === 'EAGAIN';
    tt.equal(ringFifo(bell), true, 'already rung');
    const socket = new net.Socket({ fd: fifo, readable: true, writable: false });
    await once(socket, 'data');
    socket.destroy();
    await once(socket, 'close');
    tt.equal(ringFifo(bell), false, 'nobody listens any more');
    tt.equal(openFifoWriter(place('liveness')), undefined);
    fs.closeSync(bell);
  });

  void t.test('the liveness FIFO of a process that is killed is closed at once', async (tt) => {
    makeFifo(place('killed'));
    const peer = startPeer('liveness', { root, storage: { driver: 'direct' }, path: place('killed') });
    await peer.line;
    const bell = openFifoWriter(place('killed'));
    if (bell === undefined) throw new Error('no liveness FIFO');
    tt.equal(ringFifo(bell), true);
    await peer.kill();
    tt.equal(ringFifo(bell), false);
    tt.equal(openFifoWriter(place('killed')), undefined);
    fs.closeSync(bell);
  });

  void t.test('the end of a pair bell tells of the death of its writer', async (tt) => {
    makeFifo(place('pair'));
    const fd = openFifoReader(place('pair'));
    if (fd === undefined) throw new Error('not opened');
    const peer = startPeer('ring', { root, storage: { driver: 'direct' }, path: place('pair') });
    tt.equal(await peer.line, '{"fd":true}');
    const socket = new net.Socket({ fd, readable: true, writable: false }).resume();
    const end = once(socket, 'end');
    await peer.kill();
    await end;
    tt.pass('the reader was told');
  });
}
