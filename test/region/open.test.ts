import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { SOCKETS_MAX } from '../../src/layout';
import { inspectRegion, Region } from '../../src/region';
import {
  codeOf,
  mountTmpfs,
  needsRoot,
  openRegion,
  optionsFor,
  RegionChild,
  startOfRace,
  temporaryDirectory,
} from './kit';

interface Opened {
  readonly number: number;
  readonly id: number;
}

void t.test(
  'Thirty processes that create and open a region at once end in one region, with a number each',
  async (t) => {
    const options = optionsFor(t);
    const children = await RegionChild.start(t, 30);
    const atMs = startOfRace();
    const opened = await Promise.all(children.map((child) => child.call<Opened>('open', options, {}, atMs)));
    t.equal(new Set(opened.map(({ id }) => id)).size, 1, 'one region');
    t.equal(new Set(opened.map(({ number }) => number)).size, 30, 'thirty numbers');
    const snapshot = inspectRegion(options.directory);
    t.same(snapshot.problems, []);
    t.equal(snapshot.processes.filter(({ alive, info }) => alive === 'alive' && info.state === 'live').length, 30);
  },
);

void t.test('Two creators with different limits agree on the limits of one of them', async (t) => {
  const children = await RegionChild.start(t, 2);
  for (let round = 0; round < 10; round += 1) {
    const options = optionsFor(t);
    const atMs = startOfRace();
    const limits = await Promise.all(
      children.map(
        async (child, i) =>
          (
            await child.call<{ limits: { socketsMax: number } }>(
              'open',
              options,
              { limits: { socketsMax: 100 + i } },
              atMs,
            )
          ).limits,
      ),
    );
    t.same(limits[0], limits[1]);
    for (const child of children) await child.call('close');
  }
});

void t.test('Numbers grow and are never used again, whatever was closed or killed before', async (t) => {
  const options = optionsFor(t);
  const seen: number[] = [];
  for (let round = 0; round < 20; round += 1) {
    const region = Region.open(options);
    seen.push(region.self.number);
    const second = Region.open(options);
    seen.push(second.self.number);
    if (round % 2 === 0) {
      second.close();
      region.close();
    } else {
      region.close();
      second.close();
    }
  }
  const child = await RegionChild.one(t);
  seen.push((await child.call<Opened>('open', options)).number);
  await child.kill();
  seen.push(openRegion(t, options).self.number);
  t.same(
    seen,
    Array.from({ length: seen.length }, (_, i) => i + 1),
  );
});

void t.test('A region leaves little behind: one process file and the header', (t) => {
  const options = optionsFor(t);
  const region = Region.open(options);
  t.equal(fs.existsSync(region.livenessFifoPath ?? ''), true);
  const other = Region.open(options);
  region.close();
  region.close();
  other.close();
  t.same(fs.readdirSync(options.directory, { recursive: true }).sort(), [
    'bells',
    'links',
    'processes',
    'processes/2',
    'region',
  ]);
  t.end();
});

void t.test(
  'Logs are large where there is room and small in the shared memory of a container',
  { skip: needsRoot },
  (t) => {
    const ringBytesOf = (size: string): number => {
      const region = openRegion(
        t,
        optionsFor(t, { directory: path.join(mountTmpfs(t, `size=${size},mode=700`), 'region') }),
      );
      return region.limits.ringBytes;
    };
    t.equal(ringBytesOf('1g'), 1_048_576);
    t.equal(ringBytesOf('64m'), 262_144);
    t.end();
  },
);

void t.test('Limits out of range are refused and leave nothing', (t) => {
  const options = optionsFor(t);
  for (const limits of [
    { socketsMax: 0 },
    { socketsMax: SOCKETS_MAX + 1 },
    { ringBytes: 5000 },
    { ringBytes: 0 },
    { framesBytes: 4097 },
    { leaseMs: 1.5 },
    { leaseMs: 0 },
  ]) {
    t.equal(
      codeOf(() => Region.open(options, { limits })),
      'EINVAL',
      JSON.stringify(limits),
    );
  }
  t.notOk(fs.existsSync(options.directory));
  t.end();
});

void t.test('A path that can not hold a region is a clear error', (t) => {
  const parent = temporaryDirectory(t);
  const file = path.join(parent, 'file');
  fs.writeFileSync(file, 'text');
  fs.symlinkSync(path.join(parent, 'loop'), path.join(parent, 'loop'));
  fs.symlinkSync(path.join(parent, 'nowhere'), path.join(parent, 'dangling'));
  for (const [name, directory] of Object.entries({
    'a file': file,
    'under a file': path.join(file, 'x'),
    'a loop of links': path.join(parent, 'loop'),
    'too long a name': path.join(parent, 'x'.repeat(300)),
    'a dangling link': path.join(parent, 'dangling', 'x'),
  })) {
    t.equal(
      codeOf(() => Region.open(optionsFor(t, { directory }))),
      'ESTPREGION',
      name,
    );
  }
  t.equal(fs.readFileSync(file, 'utf8'), 'text');
  if (process.platform === 'linux')
    t.not(
      codeOf(() => Region.open(optionsFor(t, { directory: '/proc/none/of/this' }))),
      'none',
      'where nothing can be made',
    );
  t.end();
});

void t.test('Foreign things in the place of directories and process files are clear errors or passed over', (t) => {
  for (const name of ['processes', 'links', 'bells']) {
    const options = optionsFor(t);
    Region.open(options).close();
    fs.rmSync(path.join(options.directory, name), { recursive: true });
    fs.writeFileSync(path.join(options.directory, name), '');
    t.equal(
      codeOf(() => Region.open(options)),
      'ESTPCORRUPT',
      `${name} is a file`,
    );
  }
  const options = optionsFor(t);
  const first = openRegion(t, options);
  const processes = path.join(options.directory, 'processes');
  fs.mkdirSync(path.join(processes, '7'));
  fs.writeFileSync(path.join(processes, '8'), Buffer.alloc(9000, 0xa5));
  fs.writeFileSync(path.join(processes, '9'), 'short');
  fs.writeFileSync(path.join(processes, 'README'), 'text');
  fs.writeFileSync(path.join(processes, '99999999999'), 'text');
  fs.symlinkSync('/etc/passwd', path.join(processes, '10'));
  const second = openRegion(t, options);
  t.equal(second.self.number, 11);
  t.same(
    second
      .processes()
      .map(({ number }) => number)
      .sort(),
    [1, 11],
  );
  t.equal(second.bindings.bind(80, 'STG', 0), 80);
  t.equal(
    codeOf(() => first.bindings.bind(80, 'STG', 0)),
    'EADDRINUSE',
  );
  t.end();
});

void t.test('The last number there is leaves no place, and says so', (t) => {
  const options = optionsFor(t);
  Region.open(options).close();
  fs.writeFileSync(path.join(options.directory, 'processes', '4294967295'), '');
  t.throws(() => Region.open(options), { code: 'ESTPCORRUPT', message: /4294967295/u });
  t.end();
});

void t.test('A directory that belongs to another user is refused', { skip: needsRoot }, async (t) => {
  const options = optionsFor(t);
  fs.mkdirSync(options.directory, { mode: 0o700 });
  fs.chmodSync(path.dirname(options.directory), 0o755);
  fs.chownSync(options.directory, 12_345, 12_345);
  t.throws(() => Region.open(options), { code: 'EACCES', message: /12345/u }, 'also by root, who could');
  const child = await RegionChild.one(t);
  await child.call('setuid', 54_321);
  await t.rejects(child.call('open', options), { code: 'EACCES' });
  await t.rejects(
    child.call('open', { ...options, directory: path.join(path.dirname(options.directory), 'sub') }),
    { code: 'EACCES' },
    'where it may not be made',
  );
  fs.chmodSync(options.directory, 0o777);
  await t.rejects(child.call('open', options), { code: 'EACCES' }, 'and where everybody may write');
  const link = path.join(path.dirname(options.directory), 'link');
  fs.symlinkSync(temporaryDirectory(t), link);
  fs.lchownSync(link, 12_345, 12_345);
  t.equal(
    codeOf(() => Region.open({ ...options, directory: link })),
    'EACCES',
    'a symbolic link of another user',
  );
  fs.chmodSync(options.directory, 0o770);
  fs.chownSync(options.directory, 12_345, 54_321);
  await child.call('open', options);
  t.pass('a directory that lets our group in is taken');
});

void t.test('A directory that everybody may write to is refused', { skip: process.platform === 'win32' }, (t) => {
  const options = optionsFor(t);
  fs.mkdirSync(options.directory);
  fs.chmodSync(options.directory, 0o777);
  t.equal(
    codeOf(() => Region.open(options)),
    'EACCES',
  );
  t.end();
});

void t.test(
  'A read-only file system is EROFS, a full one ENOSPC, and neither leaves a live process',
  { skip: needsRoot },
  (t) => {
    const full = mountTmpfs(t, 'size=64k,mode=700');
    const options = optionsFor(t, { directory: full });
    const first = Region.open(options);
    fs.writeFileSync(path.join(full, 'fill'), '');
    const fd = fs.openSync(path.join(full, 'fill'), 'w');
    t.throws(
      () => {
        for (;;) fs.writeSync(fd, Buffer.alloc(4096));
      },
      { code: 'ENOSPC' },
    );
    t.equal(
      codeOf(() => Region.open(options)),
      'ENOSPC',
    );
    t.equal(
      codeOf(() => {
        first.sockets.allocate(0);
      }),
      'ENOSPC',
      'a socket does not begin',
    );
    t.same(
      first.processes().map(({ number }) => number),
      [1],
      'nobody new is seen',
    );
    fs.closeSync(fd);
    fs.rmSync(path.join(full, 'fill'));
    const second = openRegion(t, options);
    first.sockets.allocate(0);
    t.same(
      first
        .processes()
        .map(({ number }) => number)
        .sort(),
      [1, second.self.number],
    );
    first.close();
    const readOnly = mountTmpfs(t, 'ro,mode=700');
    t.equal(
      codeOf(() => Region.open(optionsFor(t, { directory: readOnly }))),
      'EROFS',
    );
    t.equal(
      codeOf(() => Region.open(optionsFor(t, { directory: path.join(readOnly, 'new') }))),
      'EROFS',
    );
    t.end();
  },
);

void t.test('A process whose region was removed takes nothing from the region that was made in its place', (t) => {
  const options = optionsFor(t);
  const former = openRegion(t, options);
  fs.rmSync(options.directory, { recursive: true });
  const next = openRegion(t, options);
  t.equal(next.self.number, former.self.number, 'both have one number, each in its region');
  t.throws(
    () => former.storage.createBlocks('processes/77'),
    { code: 'ENOENT', message: /was removed/ },
    'it makes nothing there',
  );
  former.close();
  const seen = inspectRegion(options.directory);
  t.same(
    seen.processes.map(({ alive, info }) => [info.number, alive, info.state]),
    [[next.self.number, 'alive', 'live']],
    'the process of the new region is still there',
  );
  t.ok(next.livenessFifoPath !== undefined && fs.existsSync(next.livenessFifoPath), 'and so is its liveness FIFO');
  next.close();
  t.end();
});
