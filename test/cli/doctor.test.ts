/** `stp doctor` measures a directory and says in plain words what is wrong with it. */
import { type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { FORMAT_VERSION, REGION_MAGIC, RegionHeader } from '../../src/layout';
import { FileStorage } from '../../src/storage';
import { memoryDirectory } from '../memory-directory';
import { until } from '../region/kit';
import { mountTmpfs, whyNoTmpfs } from '../tmpfs';
import { startStp, stp } from './stp-process';

const preload = (file: string): string => `--require ${JSON.stringify(file)}`;

/** How a process ends, and what it has said by then. */
async function ended(child: ChildProcess): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const said = { stdout: '', stderr: '' };
  child.stdout?.on('data', (text: Buffer) => {
    said.stdout += text.toString();
  });
  child.stderr?.on('data', (text: Buffer) => {
    said.stderr += text.toString();
  });
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, ...said };
}

void t.test('one side: file system, driver and figures, and nothing is left behind', (t) => {
  const directory = fs.mkdtempSync(path.join(memoryDirectory(), 'stp-doctor-'));
  t.teardown(() => {
    fs.rmSync(directory, { recursive: true, force: true });
  });
  const told = stp(['doctor', directory]);
  t.match(told, { status: 0, stderr: '', stdout: /^A region works here, by / }, 'first of all');
  t.match(told.stdout, /^driver +(mapped|direct): \S+/mu);
  t.match(told.stdout, /^connection +two processes sent 1 MiB each way, and every byte arrived; round trip \d/mu);
  t.same(fs.readdirSync(directory), []);
  t.end();
});

void t.test('a region that works by the driver that was chosen ends with 0, whatever the directory can not do', (t) => {
  const directory = fs.mkdtempSync(path.join(memoryDirectory(), 'stp-doctor-'));
  t.teardown(() => {
    fs.rmSync(directory, { recursive: true, force: true });
  });
  const env = { STP_TEST_HOST: 'alpha', NODE_OPTIONS: preload(path.join(__dirname, '..', 'crashes', 'other-host.js')) };
  const told = stp(['doctor', directory, '--json'], { env });
  t.equal(told.status, 0, told.stderr);
  t.match(JSON.parse(told.stdout), {
    works: true,
    problems: [],
    driver: { driver: 'direct', reason: 'not-local' },
    here: { fileSystem: 'nfs4', local: false },
    trial: { bytes: 1 << 20 },
  });
  t.match(stp(['doctor', directory], { env: { ...env, STP_DRIVER: 'mapped' } }), {
    status: 1,
    stderr: /STP_DRIVER asks for can not be used here.*\n.*nfs4 is not known to be local/,
  });
  t.same(fs.readdirSync(directory), []);
  t.end();
});

void t.test('where two processes can not talk through a region no directory is said to work', (t) => {
  const directory = fs.mkdtempSync(path.join(memoryDirectory(), 'stp-doctor-'));
  t.teardown(() => {
    fs.rmSync(directory, { recursive: true, force: true });
  });
  const told = stp(['doctor', directory, '--json'], {
    env: { NODE_OPTIONS: preload(path.join(__dirname, 'broken-trial.js')) },
  });
  t.equal(told.status, 1, told.stderr);
  t.match(JSON.parse(told.stdout), {
    works: false,
    problems: [/two processes could not talk through a region here: .*second process ended with SIGKILL/],
  });
  t.same(fs.readdirSync(directory), []);
  t.end();
});

void t.test('both sides: what one sees of the other', async (t) => {
  const directory = t.testdir({});
  const first = ended(startStp(['doctor', directory, '--peer', '--timeout', '30']));
  await until(() => fs.existsSync(path.join(directory, '.stp-doctor', 'peer')));
  const second = ended(startStp(['doctor', directory, '--peer', '--json', '--timeout', '30']));
  t.match(
    await first,
    { status: 1, stderr: /another stp doctor measures here/ },
    'of two that measure the first is told so',
  );
  t.match(stp(['doctor', directory, '--join', '--timeout', '30']), { status: 0 });
  const told = await second;
  t.equal(told.status, 0, told.stderr);
  const found = JSON.parse(told.stdout) as {
    here: { mapping?: boolean };
    both: { torn: { reads: number }[]; lock: { updates: number }; rename: { reads: number }; readMBs: number };
  };
  const seen = found.here.mapping === true ? 'seen' : 'impossible';
  t.match(found, {
    directory,
    sharesPageCache: true,
    both: {
      torn: [{ bytes: 64 }, { bytes: 512 }, { bytes: 4096 }, { bytes: 65_536 }, { bytes: 1_048_576 }],
      mapping: { theirs: seen, ours: seen },
      lock: { lost: 0 },
      rename: { missing: 0, wrong: 0 },
      exclusive: { files: 60, doubles: 0 },
    },
    problems: [],
  });
  t.ok(found.both.readMBs > 0, 'throughput from there');
  t.ok(
    found.both.torn.every(({ reads }) => reads > 0) && found.both.lock.updates > 1 && found.both.rename.reads > 0,
    'all was measured',
  );
  t.same(fs.readdirSync(directory), []);
});

void t.test('what is wrong is told in plain words', (t) => {
  const directory = t.testdir({ file: 'x', open: {}, dangling: t.fixture('symlink', 'nothing') });
  fs.chmodSync(path.join(directory, 'open'), 0o777);
  t.match(stp(['doctor', path.join(directory, 'nowhere')]), { status: 1, stderr: /no such directory on this host/ });
  t.match(stp(['doctor', path.join(directory, 'file')]), { status: 1, stderr: /file is not a directory/ });
  t.match(stp(['doctor', path.join(directory, 'dangling'), '--join', '--json']), {
    status: 1,
    stderr: /symbolic link that leads nowhere/,
    stdout: /^\{.*"code":"ENOENT"/,
  });
  if (process.getuid !== undefined)
    t.match(
      stp(['doctor', path.join(directory, 'open')]),
      { status: 1, stderr: /everybody may write to/ },
      'what a region refuses',
    );
  t.match(stp(['doctor', directory, '--peer', '--timeout', '1']), { status: 1, stderr: /the other side was not seen/ });
  t.match(stp(['doctor', directory, '--peer', '--join']), { status: 2, stderr: /one or the other/ });
  t.match(stp(['doctor', directory, '--timeout', '0']), { status: 2, stderr: /--timeout 0/ });
  t.end();
});

void t.test(
  'what is wrong with a mount, an owner or a region is told in plain words, and nothing is left behind',
  { skip: whyNoTmpfs() ?? false },
  (t) => {
    const readOnly = mountTmpfs(t, 'ro,mode=700');
    t.match(stp(['doctor', readOnly]), { status: 1, stderr: /it is mounted read-only/ });

    const full = mountTmpfs(t, 'size=64k,mode=700');
    t.match(stp(['doctor', full]), { status: 1, stderr: /it is full/ });
    t.same(fs.readdirSync(full), []);
    const small = mountTmpfs(t, 'size=12m,mode=700');
    t.match(
      stp(['doctor', small]),
      { status: 0, stdout: /^A region works here.*\nwarning +only \d+ bytes are free/ },
      'little room, but two processes talk',
    );

    const others = mountTmpfs(t, 'uid=12345,mode=700');
    t.match(stp(['doctor', others], { uid: 23456 }), { status: 1, stderr: /another user's/ });
    const group = mountTmpfs(t, 'gid=12345,mode=2770');
    t.match(stp(['doctor', group], { uid: 23456 }), { status: 1, stderr: /its mode keeps us out/ });
    t.match(stp(['doctor', group]), { status: 0 }, 'one for a group');

    const region = mountTmpfs(t, 'size=64m,mode=700');
    t.match(stp(['ss', '--region', region]), { status: 1 });
    t.match(
      stp([
        'run',
        '--region',
        region,
        '--net',
        'stp',
        '--',
        process.execPath,
        '-e',
        'require("net").createServer().listen(0).close()',
      ]),
      { status: 0 },
    );
    t.match(stp(['doctor', region]), { status: 0, stdout: /A region works here/ }, 'one that is in use');
    const storage = new FileStorage(region, { driver: 'direct' });
    const header = new Uint8Array(RegionHeader.sizeBytes);
    RegionHeader.encode(
      {
        magic: REGION_MAGIC,
        version: FORMAT_VERSION + 1,
        id: 1,
        createdAtMs: 0,
        socketsMax: 1,
        ringBytes: 65_536,
        framesBytes: 65_536,
        leaseMs: 5000,
      },
      header,
    );
    storage.remove('region');
    storage.publishOnce('region', header);
    t.match(stp(['doctor', region]), {
      status: 1,
      stdout: new RegExp(`has version ${FORMAT_VERSION + 1}, this stp-net reads ${FORMAT_VERSION}`, 'u'),
    });
    fs.truncateSync(path.join(region, 'region'), 100);
    t.match(stp(['doctor', region]), {
      status: 1,
      stdout: /PROBLEM +region: read ESTPCORRUPT: region damaged \(block 0 of .*region is damaged\)/,
    });
    t.end();
  },
);
