/** What is wrong on the command line of a bridge: one line that names it, and exit code 2. */
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import { freshRegion } from '../calls/actor';
import { stp } from '../cli/stp-process';
import { BridgeProcess, HOST, serveTcp } from './kit';
import { serveUdp } from './udp-kit';

const OTHER_USER = 65_534;

const CASES: readonly (readonly [args: readonly string[], names: RegExp])[] = [
  [[], /nothing to forward/u],
  [['-L', '80'], /-L 80: \[bind:\]port:system:port/u],
  [['-L', '80:db'], /-L 80:db: \[bind:\]port:system:port/u],
  [['-L', 'x:db:80'], /"x" is no port/u],
  [['-L', '70000:db:80'], /"70000" is no port/u],
  [['-L', '80:db:0'], /"0" is no port/u],
  [['-L', 'example.com:80:db:80'], /"example.com" is no IP address/u],
  [['-L', '::1:80:db:80'], /is wanted/u],
  [['-L', '[::1:80:db:80'], /brackets/u],
  [['-L', '[zz]:80:db:80'], /\[zz\] is no IPv6 address/u],
  [['-L', `/${'a'.repeat(120)}:db:80`], /at most 107 bytes/u],
  [['-R', 'a:b:c:d'], /\[port:\]host:port/u],
  [['-R', '80:/run/x:y'], /no host/u],
  [['-R', '/run/x'], /needs the port before it/u],
  [['-R', 'udp:80:/run/x'], /UDP has no paths/u],
  [['-R', 'udp:x:localhost:80'], /"x" is no port/u],
  [['-R', 'udp:80:localhost:0'], /"0" is no port/u],
  [['-R', 'udp:1:2:3:4'], /udp:\[port:\]host:port/u],
  [['-U', '80'], /-U 80: \[bind:\]port:system:port/u],
  [['-U', '80:db'], /\[bind:\]port:system:port/u],
  [['-U', '70000:db:80'], /"70000" is no port/u],
  [['-U', '80:db:0'], /"0" is no port/u],
  [['-U', '/run/x:db:80'], /UDP has no paths/u],
  [['-U', 'example.com:80:db:80'], /"example.com" is no IP address/u],
  [['-D', '1:2:3'], /\[bind:\]port/u],
  [['-H', 'x'], /"x" is no port/u],
  [['-W', 'db'], /system:port/u],
  [['-W', 'db:80', '-U', '0:db:80'], /goes with no other forward/u],
  [['-W', 'db:80', '-D', '0'], /goes with no other forward/u],
  [['-D', '0', '--allow', 'x'], /--allow x: name:port/u],
  [['-D', '0', '--allow', 'a*b:80'], /\* is a name of its own/u],
  [['-D', '0', '--deny', 'x:9-5'], /the lower one/u],
  [['-D', '0', '--auth-file', '/nowhere'], /--auth-file \/nowhere: /u],
  [['-D', '0', '--connect-timeout', 'soon'], /--connect-timeout soon: must be seconds/u],
  [['-D', '0', '--idle-timeout', '-1'], /--idle-timeout/u],
  [['-D', '0', '--keep-alive', 'x'], /--keep-alive x: must be seconds/u],
  [['-D', '0', '--max-rate', '5X'], /--max-rate 5X: must be bytes a second/u],
  [['-D', '0', '--max-connections', '0'], /--max-connections 0: must be a whole number/u],
  [['-D', '0', '--max-flows', '0'], /--max-flows 0: must be a whole number/u],
  [['-D', '0', '--flow-timeout', '0'], /--flow-timeout 0: must be seconds/u],
  [['-D', '0', '--drain', 'x'], /--drain x: must be seconds/u],
  [['-D', '0', '--region', ''], /STP_REGION/u],
  [['-D', '0', '--driver', 'fast'], /STP_DRIVER/u],
  [['-D'], /argument missing/u],
  [['--lokal', 'x'], /unknown option/u],
];

void t.test('each mistake is one helpful line', (t) => {
  const region = freshRegion(t);
  for (const [args, names] of CASES) {
    const { status, stdout, stderr } = stp(['bridge', ...args], { env: { STP_REGION: region } });
    t.match(stderr, names, `stp bridge ${args.join(' ')}`);
    t.match({ status, stdout }, { status: 2, stdout: '' }, args.join(' '));
    t.notMatch(stderr, /^ {4}at /mu, 'no stack');
  }
  t.notOk(fs.existsSync(region), 'nothing was opened');
  t.end();
});

void t.test('a file of passwords that others may read, or that is wrong, is refused', (t) => {
  const directory = t.testdir({});
  const file = path.join(directory, 'users');
  for (const [text, mode, names] of [
    ['ann:b\n', 0o644, /chmod 600/u],
    ['ann\n', 0o600, /entry 1 is not name:password/u],
    ['', 0o600, /there is no name:password in it/u],
    [`${'n'.repeat(300)}:p\n`, 0o600, /longer than 255 bytes/u],
  ] as const) {
    fs.rmSync(file, { force: true });
    fs.writeFileSync(file, text, { mode });
    t.match(stp(['bridge', '-D', '0', '--auth-file', file], { env: { STP_REGION: freshRegion(t) } }), {
      status: 2,
      stderr: names,
    });
  }
  t.end();
});

const onLinux = process.platform === 'linux' ? false : 'needs /proc';

void t.test('a port that is in use is named with the process that has it', { skip: onLinux }, async (t) => {
  const region = freshRegion(t);
  const env = { STP_REGION: region };
  const busy = await serveTcp(t, () => undefined);
  for (const listen of [String(busy), `*:${busy}`])
    t.match(stp(['bridge', '-L', `${listen}:db:80`], { env }), {
      status: 1,
      stderr: new RegExp(`:${busy} .*: the port is in use by pid ${process.pid} \\(.*node.*\\)\n$`, 'u'),
    });
  const other = new BridgeProcess(t, region, ['-R', '4720:localhost:1']);
  await other.ports(1);
  t.match(stp(['bridge', '-R', '4720:localhost:1'], { env }), {
    status: 1,
    stderr: new RegExp(`4720 .*: the port is in use by pid ${other.child.pid ?? 0} \\(.+\\)\n$`, 'u'),
  });
  const { port: busyUdp } = await serveUdp(t);
  t.match(stp(['bridge', '-U', `${busyUdp}:db:80`], { env }), {
    status: 1,
    stderr: new RegExp(`${HOST}:${busyUdp}/udp .*: the port is in use by pid ${process.pid} `, 'u'),
  });
  t.match(stp(['bridge', '-D', '[::1]:4721', '-D', '[::1]:4721'], { env }), {
    status: 1,
    stderr: /in use by this bridge\n$/u,
  });
});

void t.test(
  'a path that is in use is named with its process, and a file is not removed',
  { skip: onLinux },
  async (t) => {
    const region = freshRegion(t);
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'stp-'));
    t.teardown(() => {
      fs.rmSync(directory, { recursive: true, force: true });
    });
    const [socket, file] = [path.join(directory, 'busy.sock'), path.join(directory, 'file')];
    const server = net.createServer().listen(socket);
    await once(server, 'listening');
    t.teardown(() => server.close());
    t.match(stp(['bridge', '-L', `${socket}:db:80`], { env: { STP_REGION: region } }), {
      status: 1,
      stderr: new RegExp(`${socket}.*: the path is in use by pid ${process.pid} `, 'u'),
    });
    fs.writeFileSync(file, 'mine');
    t.match(stp(['bridge', '-L', `${file}:db:80`], { env: { STP_REGION: region } }), {
      status: 1,
      stderr: new RegExp(`${file}.*: the path is that of a file which is no socket`, 'u'),
    });
    t.equal(fs.readFileSync(file, 'utf8'), 'mine');
  },
);

void t.test(
  'a port in use by a process of another user is told as such',
  { skip: onLinux || (process.getuid?.() === 0 ? false : 'needs root') },
  async (t) => {
    const busy = await serveTcp(t, () => undefined);
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'stp-'));
    fs.chmodSync(directory, 0o777);
    t.teardown(() => {
      fs.rmSync(directory, { recursive: true, force: true });
    });
    const env = { STP_REGION: path.join(directory, 'region') };
    t.match(stp(['bridge', '-L', `${busy}:db:80`], { env, uid: OTHER_USER }), {
      status: 1,
      stderr: /in use by a process that can't be seen from here\nAs root, ss -ltnp/u,
    });
  },
);
