import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { Heartbeat, PROCESS_BLOCKS, ProcessIdentity, Scb, SocketsHead, SocketState } from '../../src/layout';
import { inspectRegion, Region } from '../../src/region';
import { encodeIdentity, type MutableProcessInfo } from '../../src/region/process-info';
import { FileStorage } from '../../src/storage';
import { codeOf, openRegion, optionsFor, RegionChild, temporaryDirectory } from './kit';

void t.test(
  'A snapshot shows who is here, what they hold and which sockets they have, and joins nothing',
  async (t) => {
    const options = optionsFor(t);
    const region = openRegion(t, options, { limits: { socketsMax: 64 } });
    region.bindings.bind(80, 'STG', 3);
    region.bindings.listen(80, 'STG');
    const child = await RegionChild.one(t);
    await child.call('open', { ...options, system: 'There', group: 'X' });
    await child.call('sockets', 2, SocketState.closeWait);
    const files = fs.readdirSync(options.directory, { recursive: true });
    const snapshot = inspectRegion(options.directory);
    t.same(fs.readdirSync(options.directory, { recursive: true }), files, 'nothing was written');
    t.match(snapshot, {
      directory: options.directory,
      header: { id: region.id, limits: { socketsMax: 64 } },
      processes: [
        {
          info: { number: 1, pid: process.pid, system: 'here', state: 'live' },
          alive: 'alive',
          beat: undefined,
          bindings: [{ port: 80, count: 1, group: 'STG', socket: 3, state: 'listening' }],
        },
        { info: { number: 2, pid: child.pid, system: 'There', group: 'X' }, alive: 'alive', bindings: [] },
      ],
      sockets: [
        {
          index: 0,
          state: 'closeWait',
          ownerAlive: 'alive',
          owner: { number: 2 },
          scb: { localPort: 1000, localSystem: 'There' },
        },
        { index: 1, state: 'closeWait', scb: { localPort: 1001, bytesReceived: 1 } },
      ],
      problems: [],
    });
    await child.kill();
    const after = inspectRegion(options.directory);
    t.same(
      after.processes.map(({ alive }) => alive),
      ['alive', 'dead'],
    );
    t.same(
      after.sockets.map(({ ownerAlive }) => ownerAlive),
      ['dead', 'dead'],
    );
  },
);

void t.test('Where there is nothing to look at the error says why', (t) => {
  const parent = temporaryDirectory(t);
  const file = path.join(parent, 'file');
  fs.writeFileSync(file, '');
  t.equal(
    codeOf(() => inspectRegion(path.join(parent, 'none'))),
    'ENOENT',
  );
  t.equal(
    codeOf(() => inspectRegion(file)),
    'ESTPREGION',
  );
  const empty = path.join(parent, 'empty');
  fs.mkdirSync(empty, { mode: 0o700 });
  const snapshot = inspectRegion(empty);
  t.match(snapshot, { header: undefined, processes: [], sockets: [] });
  t.match(snapshot.problems, [/no region header/u]);
  t.end();
});

void t.test('Damage anywhere is a line in the problems, and the rest is still shown', (t) => {
  const options = optionsFor(t);
  const regions = [1, 2, 3].map(() => openRegion(t, options));
  for (const region of regions) {
    region.bindings.bind(region.self.number, 'STG', 0);
    for (let index = 0; index < 40; index += 1) {
      region.sockets.allocate(index);
      region.sockets.set(index, {
        ...Scb.decode(new Uint8Array(Scb.sizeBytes)),
        generation: 1,
        state: SocketState.open,
      });
    }
    region.sockets.flush();
  }
  t.same(inspectRegion(options.directory).problems, []);
  const damage = (number: number, at: number): void => {
    const fd = fs.openSync(path.join(options.directory, 'processes', String(number)), 'r+');
    fs.writeSync(fd, Buffer.from('damage'), 0, 6, at);
    fs.closeSync(fd);
  };
  damage(1, 100);
  damage(2, PROCESS_BLOCKS.bindings * 4096 + 40);
  damage(2, (PROCESS_BLOCKS.sockets + 1) * 4096 + 40);
  damage(3, PROCESS_BLOCKS.heartbeat * 4096);
  fs.writeFileSync(path.join(options.directory, 'region'), 'damage');
  const snapshot = inspectRegion(options.directory);
  t.equal(snapshot.header, undefined);
  t.same(
    snapshot.processes.map(({ info }) => info.number),
    [2, 3],
  );
  t.equal(
    snapshot.sockets.filter(({ owner }) => owner.number === 2).length,
    25,
    'the sockets of the blocks that are whole',
  );
  t.equal(snapshot.sockets.filter(({ owner }) => owner.number === 3).length, 40);
  t.equal(snapshot.problems.length, 5);
  for (const [i, what] of [
    /^region: /u,
    /^processes\/1: /u,
    /^processes\/2 bindings: /u,
    /^processes\/2 sockets from 15: /u,
    /^processes\/3 heartbeat: /u,
  ].entries())
    t.match(snapshot.problems[i], what);
  t.end();
});

void t.test('Bytes cut off, and random bytes, never crash the inspector', (t) => {
  const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000);
  t.comment(`TEST_SEED=${seed}`);
  let state = seed;
  const random = (below: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * below);
  };
  const options = optionsFor(t);
  const region = Region.open(options);
  region.bindings.bind(80, 'STG', 0);
  region.sockets.allocate(0);
  region.sockets.set(0, { ...Scb.decode(new Uint8Array(Scb.sizeBytes)), generation: 1, state: SocketState.open });
  region.sockets.flush();
  region.close();
  const file = path.join(options.directory, 'processes', '1');
  const good = fs.readFileSync(file);
  for (let round = 0; round < 12; round += 1) {
    const bytes = Buffer.from(good.subarray(0, round % 3 === 0 ? random(good.length) : good.length));
    for (let i = random(4); i > 0 && bytes.length > 0; i -= 1) bytes[random(bytes.length)] = random(256);
    fs.writeFileSync(file, bytes);
    const { processes, problems } = inspectRegion(options.directory);
    t.ok(processes.length <= 1 && problems.length <= 5, `round ${round}: at most one line for each part of the file`);
  }
  t.end();
});

void t.test('Fields that are whole but impossible are told one by one, and text can not steer a terminal', (t) => {
  const options = optionsFor(t);
  const region = openRegion(t, options);
  const storage = new FileStorage(options.directory, { driver: 'direct' });
  const identity = (
    number: number,
    change: Partial<MutableProcessInfo>,
    patch?: (payload: Uint8Array) => void,
  ): void => {
    const writer = storage.createBlocks(`processes/${number}`);
    const payload = encodeIdentity({ ...region.self, number, state: 'left', ...change });
    patch?.(payload);
    writer?.write(PROCESS_BLOCKS.identity, payload);
    const sockets = new Uint8Array(4 * Scb.sizeBytes);
    Scb.encode({ ...Scb.decode(sockets), state: 99 }, sockets, 0);
    Scb.encode({ ...Scb.decode(sockets), state: SocketState.open, localPort: 70_000 }, sockets, Scb.sizeBytes);
    Scb.encode(
      { ...Scb.decode(sockets), state: SocketState.open, remoteSystem: 'e\u001b[2Jvil' },
      sockets,
      2 * Scb.sizeBytes,
    );
    Scb.encode({ ...Scb.decode(sockets), state: SocketState.open, remoteFamily: 5 }, sockets, 3 * Scb.sizeBytes);
    const head = new Uint8Array(SocketsHead.sizeBytes);
    SocketsHead.encode({ blocks: 1 }, head);
    writer?.write(PROCESS_BLOCKS.socketsHead, head);
    writer?.write(PROCESS_BLOCKS.sockets, sockets);
    const beat = new Uint8Array(Heartbeat.sizeBytes);
    Heartbeat.encode({ beat: 9, atMs: 1 }, beat);
    writer?.write(PROCESS_BLOCKS.heartbeat, beat);
    writer?.close();
  };
  identity(2, { title: 'a\u001b]0;b\u0007c' });
  identity(3, { system: 'no such\nname' });
  identity(4, { group: '' });
  identity(5, { bootId: '' });
  identity(6, { regionId: 1 });
  identity(7, {}, (payload) => {
    payload[ProcessIdentity.fields.state.at] = 9;
  });
  identity(8, {}, (payload) => {
    payload[ProcessIdentity.fields.number.at] = 9;
  });
  identity(9, {}, (payload) => {
    payload[ProcessIdentity.fields.drivers.at] = 255;
  });
  const { processes, sockets, problems } = inspectRegion(options.directory);
  t.same(
    processes.map(({ info, beat }) => [info.number, beat]),
    [
      [1, undefined],
      [2, 9],
      [6, 9],
    ],
  );
  t.equal(processes[1]?.info.title, 'a?]0;b?c');
  t.same(
    sockets.map(({ owner, index, scb }) => [owner.number, index, scb.remoteSystem]),
    [
      [2, 2, 'e?[2Jvil'],
      [6, 2, 'e?[2Jvil'],
    ],
  );
  const about = (number: number): string[] => problems.filter((problem) => problem.startsWith(`processes/${number}`));
  t.match(about(2), [/socket 0: .*state/u, /socket 1: .*port/u, /socket 3: .*ip/u]);
  t.match(
    [about(3), about(4), about(5), about(7), about(8), about(9)],
    [[/system/u], [/group/u], [/bootId/u], [/state/u], [/number/u], [/drivers/u]],
  );
  t.match(about(6), [/another region/u, /socket 0/u, /socket 1/u]);
  t.same(
    region.processes().map(({ number }) => number),
    [1],
    'and a process of the region sees none of them',
  );
  t.end();
});
