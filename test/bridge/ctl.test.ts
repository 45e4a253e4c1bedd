/** `stp bridge ctl`: a running bridge is changed, shown and stopped from another process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import t from 'tap';
import { freshRegion } from '../calls/actor';
import { stp, type StpEnd } from '../cli/stp-process';
import { BridgeProcess, connectTcp, controlEnvironment, drained, HOST, serveTcp, take } from './kit';

const OTHER_USER = 65_534;

interface Listed {
  readonly pid: number;
  readonly uptimeMs: number;
  readonly forwards: readonly Readonly<Record<string, unknown>>[];
  readonly allow: readonly string[];
}

/** `stp bridge ctl`, as a process that does not stop this one. */
async function ctl(env: Readonly<Record<string, string>>, ...args: string[]): Promise<StpEnd> {
  const STP = path.join(__dirname, '..', '..', 'lib', 'cli.js');
  const child = spawn(process.execPath, [STP, 'bridge', 'ctl', ...args], { env: { ...process.env, ...env } });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].on('data', (chunk: Buffer) => (output[name] += chunk.toString()));
  const [status, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { status, signal, ...output };
}

const socketOf = (directory: string, pid: number | undefined): string =>
  path.join(directory, `stp-bridge-${process.getuid?.() ?? 0}`, `${pid ?? 0}.sock`);

void t.test('forwards are added, shown with what went through them, and removed by their real port', async (t) => {
  const region = freshRegion(t);
  const { env } = controlEnvironment(t);
  const serverPort = await serveTcp(t, (socket) => socket.pipe(socket));
  const bridge = new BridgeProcess(t, region, ['-R', `4810:${HOST}:${serverPort}`], env);
  await bridge.ports(1);
  const added = await ctl(env, 'add', '-L', '0:localhost:4810', '-L', '0:localhost:4899');
  t.match(added, { status: 0, stdout: /^127\.0\.0\.1:\d+ -> stp:\/\/localhost:4810\n.*4899\n$/u, stderr: '' });
  const [, port = 0, dead = 0] = await bridge.ports(3);
  const client = await connectTcp(t, port);
  client.write('12345');
  await take(client, 5);
  await drained(await connectTcp(t, dead));
  const listed = JSON.parse((await ctl(env, 'list', '--json')).stdout) as Listed;
  t.match(listed, { pid: bridge.child.pid ?? 0, allow: [] });
  t.match(listed.forwards, [
    { state: 'listening', connections: 1, accepted: 1, refused: 0, sentBytes: 5, receivedBytes: 5 },
    { state: 'listening', connections: 1, accepted: 1, refused: 0, sentBytes: 5, receivedBytes: 5 },
    { state: 'listening', connections: 0, accepted: 1, refused: 1, sentBytes: 0, receivedBytes: 0 },
  ]);
  t.match((await ctl(env, 'list')).stdout, new RegExp(`^pid ${bridge.child.pid ?? 0}, up .*\\nState .*\\n`, 'u'));
  t.match(await ctl(env, 'remove', '-L', `${port}:localhost:4810`), { status: 0, stderr: '' });
  await t.rejects(connectTcp(t, port), { code: 'ECONNREFUSED' });
  client.end('6');
  t.equal(String(await drained(client)), '6', 'what is connected goes on');
  t.match(await ctl(env, 'remove', '-L', '0:localhost:4899'), { status: 0 }, 'or as it was asked for');
  await t.rejects(connectTcp(t, dead), { code: 'ECONNREFUSED' });
});

void t.test('what is wrong is one line, and changes nothing', async (t) => {
  const region = freshRegion(t);
  const { directory, env } = controlEnvironment(t);
  const busy = await serveTcp(t, () => undefined);
  const bridge = new BridgeProcess(t, region, ['-D', '0', '--allow', 'db:1'], env);
  await bridge.ports(1);
  for (const [args, status, names] of [
    [['add', '-L', '80'], 2, /-L 80: \[bind:\]port:system:port is wanted/u],
    [['add'], 2, /nothing to add/u],
    [['add', '--lokal', 'x'], 2, /unknown option '--lokal'/u],
    [['add', '--drain', '1'], 2, /unknown option '--drain'/u],
    [['add', '-H', '0', '-L', `${busy}:db:1`], 1, new RegExp(`:${busy} .* in use by pid ${process.pid} `, 'u')],
    [['remove', '-L', '1:db:1'], 1, /-L 1:db:1: there is none like it\nstp bridge ctl list/u],
    [['remove', '--allow', 'db:1'], 1, /would allow all targets/u],
    [['stop', '--drain', 'soon'], 2, /--drain soon: must be seconds/u],
    [['list', '--pid', 'x'], 2, /--pid x: must be a process id/u],
    [['list', '--pid', '1'], 1, /no bridge of this user has the pid 1\npid \d+: 127/u],
    [['list', '--control', path.join(directory, 'none')], 1, /none: no bridge listens there/u],
    [['list', '--control', '/tmp/x.sock'], 2, /other users may put files into .*choose one of yours alone/u],
  ] as const) {
    const end = await ctl(env, ...args);
    t.match(end, { status, stdout: '', stderr: names }, args.join(' '));
    t.notMatch(end.stderr, /^ {4}at /mu, 'no stack');
  }
  const { forwards, allow } = JSON.parse((await ctl(env, 'list', '--json')).stdout) as Listed;
  t.equal(forwards.length, 1, 'of several forwards all are added or none');
  t.same(allow, ['db:1']);
});

void t.test('rules can be added, and end the connections that they deny', async (t) => {
  const region = freshRegion(t);
  const { env } = controlEnvironment(t);
  const serverPort = await serveTcp(t, (socket) => socket.pipe(socket));
  await new BridgeProcess(t, region, ['-R', `4811:${HOST}:${serverPort}`]).ports(1);
  const bridge = new BridgeProcess(t, region, ['-L', '0:localhost:4811'], env);
  const [port = 0] = await bridge.ports(1);
  const client = await connectTcp(t, port);
  client.write('1');
  await take(client, 1);
  const end = drained(client);
  t.match(await ctl(env, 'add', '--deny', 'localhost:4811'), { status: 0 });
  t.equal(await end, 'ECONNRESET');
  t.match(await ctl(env, 'remove', '--deny', 'localhost:4811'), { status: 0 });
  const again = await connectTcp(t, port);
  again.end('2');
  t.equal(String(await drained(again)), '2');
});

void t.test('several bridges are told apart, none is said to be none, and sockets of dead ones go', async (t) => {
  const region = freshRegion(t);
  const { directory, env } = controlEnvironment(t);
  t.match(await ctl(env, 'list'), { status: 1, stderr: /no bridge of this user runs/u });
  const [one, two] = [
    new BridgeProcess(t, region, ['-D', '0'], env),
    new BridgeProcess(t, region, ['-H', '0'], env),
  ] as const;
  await one.ports(1);
  await two.ports(1);
  const several = await ctl(env, 'list');
  t.match(several, { status: 2, stderr: /several bridges run; say which one with --pid\npid .*SOCKS.*\n/u });
  t.match(several.stderr, new RegExp(`pid ${two.child.pid ?? 0}: 127.*HTTP`, 'u'));
  t.match(await ctl(env, 'list', '--pid', String(two.child.pid)), { status: 0, stdout: /HTTP/u });
  one.child.kill('SIGKILL');
  await one.ended();
  t.ok(fs.existsSync(socketOf(directory, one.child.pid)), 'a killed bridge leaves its socket');
  t.match(await ctl(env, 'list'), { status: 0, stdout: /HTTP/u });
  t.notOk(fs.existsSync(socketOf(directory, one.child.pid)));
  const live = socketOf(directory, two.child.pid);
  t.equal(fs.statSync(live).mode & 0o777, 0o600);
  t.equal(fs.statSync(path.dirname(live)).mode & 0o777, 0o700);
  two.child.kill('SIGTERM');
  await two.ended();
  t.notOk(fs.existsSync(live), 'one that ends takes its socket away');
});

void t.test('stop waits until the bridge has ended, and can make the time shorter while it drains', async (t) => {
  const region = freshRegion(t);
  const { directory } = controlEnvironment(t);
  const control = path.join(directory, 'own.sock');
  const serverPort = await serveTcp(t, (socket) => socket.pipe(socket));
  const args = ['--control', control, '-R', `4812:${HOST}:${serverPort}`, '-L', '0:localhost:4812', '--drain', '600'];
  const bridge = new BridgeProcess(t, region, args);
  const [port = 0] = await bridge.ports(2);
  const client = await connectTcp(t, port);
  client.write('1');
  await take(client, 1);
  const end = drained(client);
  const stopped = ctl({}, 'stop', '--control', control);
  await bridge.tells(({ event }) => event === 'draining');
  t.match(await ctl({}, 'list', '--control', control), { status: 0, stdout: /connections: 2\nno forwards\n/u });
  t.match(await ctl({}, 'stop', '--control', control, '--drain', '0'), { status: 0, stderr: '' });
  t.equal(await end, 'ECONNRESET');
  t.match(await stopped, { status: 0, stderr: '' });
  t.same(await bridge.ended(), [0, null]);
});

void t.test('a bridge with a control socket may begin with nothing to forward', async (t) => {
  const region = freshRegion(t);
  const { directory } = controlEnvironment(t);
  const control = path.join(directory, 'own.sock');
  const pidFile = path.join(directory, 'pid');
  const watcher = fs.watch(directory);
  t.teardown(() => {
    watcher.close();
  });
  const bridge = new BridgeProcess(t, region, ['--control', control, '--pid-file', pidFile]);
  while (!fs.existsSync(pidFile)) await once(watcher, 'change');
  t.match(await ctl({}, 'add', '-D', '0', '--control', control), { status: 0 });
  const [port = 0] = await bridge.ports(1);
  await connectTcp(t, port);
  t.match(stp(['bridge', '--control', control, '-D', '0'], { env: { STP_REGION: region } }), {
    status: 1,
    stderr: /own\.sock: a bridge that runs has it/u,
  });
});

void t.test('what ctl has removed comes back when its line changes, and not by another change', async (t) => {
  const region = freshRegion(t);
  const { directory, env } = controlEnvironment(t);
  const file = path.join(directory, 'bridge.conf');
  fs.writeFileSync(file, '-L 0:localhost:4813\n');
  const bridge = new BridgeProcess(t, region, ['--config', file], env);
  await bridge.ports(1);
  await ctl(env, 'remove', '-L', '0:localhost:4813');
  await ctl(env, 'add', '-H', '0');
  const shown = async (): Promise<unknown[]> =>
    (JSON.parse((await ctl(env, 'list', '--json')).stdout) as Listed).forwards.map(({ shown }) =>
      String(shown).replace(/.* -> /u, ''),
    );
  fs.writeFileSync(file, '-L 0:localhost:4813\n-D 0\n');
  await bridge.tells(({ event }) => event === 'config');
  t.same(await shown(), ['the region, by HTTP', 'the region, by SOCKS'], 'what ctl has added stays');
  fs.writeFileSync(file, '-L 0:localhost:4814\n-D 0\n');
  await bridge.tells(() => bridge.told.filter(({ event }) => event === 'config').length >= 2);
  t.same(await shown(), ['the region, by HTTP', 'the region, by SOCKS', 'stp://localhost:4814']);
});

void t.test('garbage on the control socket changes nothing', async (t) => {
  const region = freshRegion(t);
  const { directory, env } = controlEnvironment(t);
  const bridge = new BridgeProcess(t, region, ['-D', '0'], env);
  await bridge.ports(1);
  const socket = socketOf(directory, bridge.child.pid);
  for (const said of [
    'hello\n',
    '\n',
    'null\n',
    '{"command":"stop","drain":1}\n',
    '{"command":"add","lines":[]}\n',
    '{"command":"add","lines":["--config /x"]}\n',
    '{"command":"add","lines":["--drain 1"]}\n',
    '{"command":"add","lines":["--help"]}\n',
    '{"command":"__proto__"}\n',
    Buffer.from([0xff, 0xfe, 0, 10]),
    'x'.repeat(200_000),
  ]) {
    const client = net.connect(socket).on('error', () => undefined);
    client.write(said);
    t.match(
      String(await drained(client)),
      /^\{"error":".+"exitCode":2.*\}\n$|EPIPE|ECONNRESET/u,
      String(said).slice(0, 40),
    );
    client.destroy();
  }
  const silent = Array.from({ length: 100 }, () => net.connect(socket).on('error', () => undefined));
  t.teardown(() => {
    for (const client of silent) client.destroy();
  });
  // More than there is room for are closed.
  await Promise.race(silent.map((client) => once(client, 'close')));
  for (const client of silent) client.destroy();
  t.match(await ctl(env, 'list'), { status: 0, stdout: /connections: 0\n.*\nlistening/u });
});

void t.test(
  'a directory for control sockets that is not of this user alone is not used, and the bridge runs without',
  { skip: process.platform === 'win32' ? 'has no such directory' : false },
  async (t) => {
    const region = freshRegion(t);
    const { directory, env } = controlEnvironment(t);
    const own = path.dirname(socketOf(directory, 0));
    const elsewhere = path.join(directory, 'elsewhere');
    fs.mkdirSync(elsewhere, { mode: 0o700 });
    const makeOwn = (mode: number): void => {
      fs.mkdirSync(own);
      fs.chmodSync(own, mode);
    };
    const cases: [make: () => void, names: RegExp][] = [
      [
        () => {
          fs.symlinkSync(elsewhere, own);
        },
        /is no directory/u,
      ],
      [
        () => {
          makeOwn(0o770);
        },
        /other users may use it \(mode 0770\)/u,
      ],
    ];
    const ofOther = (): void => {
      makeOwn(0o700);
      fs.chownSync(own, OTHER_USER, OTHER_USER);
    };
    if (process.getuid?.() === 0) cases.push([ofOther, /belongs to user 65534/u]);
    for (const [make, names] of cases) {
      make();
      const bridge = new BridgeProcess(t, region, ['-D', '0'], env);
      t.match(await bridge.tells(({ event }) => event === 'warning'), { error: names });
      await bridge.ports(1);
      t.match(await ctl(env, 'list'), { status: 1, stderr: names }, 'nor does ctl believe what is in it');
      bridge.child.kill('SIGKILL');
      await bridge.ended();
      t.same(fs.readdirSync(elsewhere), []);
      fs.rmSync(own, { recursive: true });
    }
  },
);
