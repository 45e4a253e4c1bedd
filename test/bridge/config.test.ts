/** The config file of a bridge: what is in it, how it is followed, and what is wrong with it. */
import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { freshRegion } from '../calls/actor';
import { stp } from '../cli/stp-process';
import { BridgeProcess, callTcp, connectTcp, drained, HOST, serveTcp, take, type Told } from './kit';

/** An echo in the region at this port. */
async function serveEcho(t: Test, region: string, port: number): Promise<void> {
  const serverPort = await serveTcp(t, (socket) => socket.pipe(socket));
  await new BridgeProcess(t, region, ['-R', `${port}:${HOST}:${serverPort}`]).ports(1);
}

/** A server in the region that says its name and ends. */
async function serveName(t: Test, region: string, port: number, name: string): Promise<void> {
  const serverPort = await serveTcp(t, (socket) => socket.end(name));
  await new BridgeProcess(t, region, ['-R', `${port}:${HOST}:${serverPort}`]).ports(1);
}

/** As editors do: a new file takes the place of the old one. */
function replace(file: string, text: string): void {
  fs.writeFileSync(`${file}.new`, text);
  fs.renameSync(`${file}.new`, file);
}

/** Rewrites the file; resolves with what is told of it. */
async function reloaded(bridge: BridgeProcess, file: string, text: string): Promise<Told> {
  const before = bridge.told.length;
  replace(file, text);
  return bridge.tells((told) => told.event === 'config' && bridge.told.indexOf(told) >= before);
}

void t.test('a file says what the command line can say, and the two are joined', async (t) => {
  const region = freshRegion(t);
  await serveEcho(t, region, 4801);
  const file = path.join(t.testdir({}), 'bridge.conf');
  fs.writeFileSync(
    file,
    '\uFEFF# forwards\r\n\n  -L   0:localhost:4801\n--socks=0\n--deny localhost:9\n--max-connections 1\n',
  );
  const bridge = new BridgeProcess(t, region, ['--config', file, '-H', '0', '--max-connections', '7']);
  await bridge.ports(3);
  t.same(
    bridge.told.map(({ forward }) => forward?.kind),
    ['http', 'local', 'socks'],
    'what can be repeated adds up, the command line first',
  );
  const port = bridge.told[1]?.forward?.listen?.port ?? 0;
  const [one, two] = [await connectTcp(t, port), await connectTcp(t, port)];
  one.write('1');
  two.write('2');
  t.equal(String(await take(one, 1)) + String(await take(two, 1)), '12', 'of a single one the command line wins');
});

void t.test('a mistake in the file is one line with its place, and exit code 2', (t) => {
  const region = freshRegion(t);
  const directory = t.testdir({ 'users.txt': '' });
  const file = path.join(directory, 'bridge.conf');
  for (const [text, names] of [
    ['-L 1:a:1\n-L 80\n', /:2: -L 80: \[bind:\]port:system:port is wanted/u],
    ['\n\n--lokal 80\n', /:3: unknown option '--lokal' \(Did you mean --local\?\)/u],
    ['-D\n', /:1: option '-D, --socks <address>' argument missing/u],
    ['-v yes\n', /:1: too many arguments/u],
    ['local 80\n', /:1: "local 80" is no option/u],
    ['--deny x\n', /:1: --deny x: name:port/u],
    ['--drain soon\n', /:1: --drain soon: must be seconds/u],
    ['--idle-timeout 1\n--idle-timeout 2\n', /:2: --idle-timeout 2: .*:1 says it already/u],
    ['--auth-file /nowhere\n', /:1: --auth-file \/nowhere: ENOENT/u],
    ['--config other\n', /:1: --config can stand on the command line alone/u],
    ['-W db:80\n', /:1: -W can stand on the command line alone/u],
    ['--help\n', /:1: unknown option '--help'/u],
    ['--\n', /:1: --: one option a line is wanted/u],
    ['-L 1:a:1\0\n', /is no text/u],
    [`# ${'x'.repeat(1_100_000)}\n`, /has more than 1048576 bytes/u],
  ] as const) {
    fs.writeFileSync(file, text);
    const { status, stdout, stderr } = stp(['bridge', '--config', file], { env: { STP_REGION: region } });
    t.match({ status, stdout, stderr }, { status: 2, stdout: '', stderr: names }, text.slice(0, 40));
    t.match(stderr, file, 'the file is named');
    t.equal(stderr.split('\n').length, 2, 'one line');
  }
  for (const [wrong, names] of [
    [path.join(directory, 'none'), /ENOENT/u],
    [directory, /is no file/u],
  ] as const)
    t.match(stp(['bridge', '--config', wrong], { env: { STP_REGION: region } }), { status: 2, stderr: names });
  t.end();
});

void t.test('a new file opens and closes forwards, and what is connected goes on', async (t) => {
  const region = freshRegion(t);
  await serveEcho(t, region, 4802);
  const file = path.join(t.testdir({}), 'bridge.conf');
  fs.writeFileSync(file, '-L 0:localhost:4802\n-D 0\n');
  const bridge = new BridgeProcess(t, region, ['--config', file]);
  const [gone = 0, kept = 0] = await bridge.ports(2);
  const client = await connectTcp(t, gone);
  client.write('1');
  await take(client, 1);
  t.match(await reloaded(bridge, file, '-D 0\n-H 0\n'), { event: 'config', error: undefined });
  const [, , added = 0] = await bridge.ports(3);
  t.match(
    bridge.told.filter(({ event }) => event === 'removed'),
    [{ forward: { listen: { port: gone } } }],
  );
  await t.rejects(connectTcp(t, gone), { code: 'ECONNREFUSED' });
  for (const port of [kept, added]) await connectTcp(t, port);
  client.end('2');
  t.equal(String(await drained(client)), '2', 'the connection of the closed forward goes on');
});

void t.test('a forward that gets another target listens on without a break', async (t) => {
  const region = freshRegion(t);
  await serveName(t, region, 4803, 'old');
  await serveName(t, region, 4804, 'new');
  const probe = await serveTcp(t, () => undefined);
  const port = probe === 65_535 ? probe - 1 : probe + 1;
  const file = path.join(t.testdir({}), 'bridge.conf');
  fs.writeFileSync(file, `-L ${port}:localhost:4803\n`);
  const bridge = new BridgeProcess(t, region, ['--config', file]);
  await bridge.ports(1);
  t.equal(String(await drained(await connectTcp(t, port))), 'old');
  // Each of them is answered by one or the other, and none is refused.
  let done = false;
  const answers: string[] = [];
  const asking = (async () => {
    while (!done) {
      const socket = await connectTcp(t, port);
      answers.push(String(await drained(socket)));
      socket.destroy();
    }
  })();
  await reloaded(bridge, file, `-L ${port}:localhost:4804\n`);
  done = true;
  await asking;
  t.same(
    answers.filter((text) => text !== 'old' && text !== 'new'),
    [],
  );
  t.equal(String(await drained(await connectTcp(t, port))), 'new');
});

void t.test('a wrong file changes nothing, and a port in use is told while the rest is taken', async (t) => {
  const region = freshRegion(t);
  const file = path.join(t.testdir({}), 'bridge.conf');
  fs.writeFileSync(file, '-D 0\n');
  const bridge = new BridgeProcess(t, region, ['--config', file]);
  const [port = 0] = await bridge.ports(1);
  const { error } = await reloaded(bridge, file, '-H 0\n-L 80\n');
  t.equal(error, `${file}:2: -L 80: [bind:]port:system:port is wanted`);
  await connectTcp(t, port);
  t.equal(bridge.told.filter(({ event }) => event === 'listening').length, 1, 'nothing half applied');

  const busy = await serveTcp(t, () => undefined);
  t.match(await reloaded(bridge, file, `-D 0\n-L ${busy}:localhost:1\n-H 0\n--system other\n`), {
    error: /--system can't change while the bridge runs/u,
  });
  await bridge.ports(2);
  t.match(await bridge.tells((told) => /in use/u.test(told.error ?? '')), {
    error: new RegExp(`${busy} .*in use by pid ${process.pid}.*it is tried again`, 'u'),
  });
  t.equal(bridge.child.exitCode, null);
});

void t.test('a forward whose port was in use at a reload listens once the port is free', async (t) => {
  const region = freshRegion(t);
  const file = path.join(t.testdir({}), 'bridge.conf');
  fs.writeFileSync(file, '-D 0\n');
  const bridge = new BridgeProcess(t, region, ['--config', file]);
  await bridge.ports(1);
  const holder = new BridgeProcess(t, region, ['-D', '0']);
  const [port = 0] = await holder.ports(1);
  await reloaded(bridge, file, `-D 0\n-H ${port}\n`);
  holder.child.kill('SIGKILL');
  const [, later] = await bridge.ports(2);
  t.equal(later, port);
  await connectTcp(t, port);
});

void t.test('connections to a target that is not allowed any more are reset, others go on', async (t) => {
  const region = freshRegion(t);
  await serveEcho(t, region, 4805);
  await serveEcho(t, region, 4806);
  const file = path.join(t.testdir({}), 'bridge.conf');
  const forwards = '-L 0:localhost:4805\n-L 0:localhost:4806\n';
  fs.writeFileSync(file, forwards);
  const bridge = new BridgeProcess(t, region, ['--config', file]);
  const [one = 0, two = 0] = await bridge.ports(2);
  const [denied, allowed] = [await connectTcp(t, one), await connectTcp(t, two)];
  for (const socket of [denied, allowed]) {
    socket.write('1');
    await take(socket, 1);
  }
  const end = drained(denied);
  await reloaded(bridge, file, `${forwards}--deny localhost:4805\n`);
  t.equal(await end, 'ECONNRESET');
  allowed.end('2');
  t.equal(String(await drained(allowed)), '2');
  t.equal(await drained(callTcp(t, one)), 'ECONNRESET', 'nor is a new one let through');
});

void t.test('SIGHUP reads the file and the passwords again, and ends a bridge without a file', async (t) => {
  const region = freshRegion(t);
  await serveName(t, region, 4807, 'hello');
  const directory = t.testdir({});
  const [file, users] = [path.join(directory, 'bridge.conf'), path.join(directory, 'users')];
  fs.writeFileSync(users, 'ann:old\n', { mode: 0o600 });
  fs.writeFileSync(file, `-H 0\n--auth-file ${users}\n`);
  const bridge = new BridgeProcess(t, region, ['--config', file]);
  const [port = 0] = await bridge.ports(1);
  const ask = async (password: string): Promise<string> => {
    const socket = await connectTcp(t, port);
    const login = Buffer.from(`ann:${password}`).toString('base64');
    socket.write(`CONNECT localhost:4807 HTTP/1.1\r\nProxy-Authorization: Basic ${login}\r\n\r\n`);
    return String(await drained(socket)).slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length);
  };
  t.equal(await ask('old'), '200');
  fs.writeFileSync(users, 'ann:new\n');
  bridge.child.kill('SIGHUP');
  await bridge.tells(({ event }) => event === 'config');
  t.same([await ask('old'), await ask('new')], ['407', '200']);

  const other = new BridgeProcess(t, region, ['-D', '0']);
  await other.ports(1);
  other.child.kill('SIGHUP');
  t.same(await other.ended(), [0, null]);
});

void t.test('a file behind links is followed, as where a whole directory is replaced', async (t) => {
  const region = freshRegion(t);
  const directory = t.testdir({ one: { 'bridge.conf': '-D 0\n' }, two: { 'bridge.conf': '-D 0\n-H 0\n' } });
  const inDirectory = (name: string): string => path.join(directory, name);
  fs.symlinkSync('one', inDirectory('now'));
  fs.symlinkSync('now/bridge.conf', inDirectory('bridge.conf'));
  const bridge = new BridgeProcess(t, region, ['--config', inDirectory('bridge.conf')]);
  await bridge.ports(1);
  fs.symlinkSync('two', inDirectory('next'));
  fs.renameSync(inDirectory('next'), inDirectory('now'));
  await bridge.ports(2);
  t.equal(bridge.told.at(-1)?.event === 'config' || bridge.told.at(-1)?.event === 'listening', true);
});
