/** What is wrong on the command line of a bridge: one line that names it, and exit code 2. */
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { freshRegion } from '../calls/actor';
import { stp } from '../cli/stp-process';
import { BridgeProcess, HOST, serveTcp } from './kit';
import { serveUdp } from './udp-kit';

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

void t.test('a port that is in use is named, and how to find who has it', async (t) => {
  const region = freshRegion(t);
  const busy = await serveTcp(t, () => undefined);
  t.match(stp(['bridge', '-L', `${busy}:db:80`], { env: { STP_REGION: region } }), {
    status: 1,
    stderr: new RegExp(`${HOST}:${busy}.* in use\n.*ss -ltnp`, 'u'),
  });
  const { port: busyUdp } = await serveUdp(t);
  t.match(stp(['bridge', '-U', `${busyUdp}:db:80`], { env: { STP_REGION: region } }), {
    status: 1,
    stderr: new RegExp(`${HOST}:${busyUdp}/udp.* in use\n.*ss -lunp`, 'u'),
  });
  await new BridgeProcess(t, region, ['-R', '4720:localhost:1']).ports(1);
  t.match(stp(['bridge', '-R', '4720:localhost:1'], { env: { STP_REGION: region } }), {
    status: 1,
    stderr: /4720.* in use\nstp ss -l/u,
  });
});
