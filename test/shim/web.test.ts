/**
 * What stands on net works between two processes where the kernel can't connect TCP: in a network namespace without
 * routes. The ways to load the hook are tried in test/e2e.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import t from 'tap';
import { namespaceCommand } from '../../examples/tcp-meter';
import { ended, environment, REGISTER, run, scratch } from './kit';

const PROGRAM = path.join(__dirname, 'web-program.js');
const namespace = namespaceCommand();
/** Loopback up, and no way to it: every TCP connect fails with ENETUNREACH. */
const NO_ROUTES =
  'ip link set lo up && ip route flush table local && { ip -6 route flush table local || true; } && exec "$@"';

const EXPECTED = [
  'net true',
  'http GET /one 127.0.0.1 e3b0c442 PUT /one 127.0.0.1 365cd30a',
  'fetch GET /f 127.0.0.1 e3b0c442 POST /f 127.0.0.1 2d711642',
  'https PUT /s 127.0.0.1 365cd30a',
  'tls true',
  'h2 h2 /two 127.0.0.1',
  'h2c h2 /two 127.0.0.1',
  'ws over ws',
];

/** A server and a client, each started by `node ...args`, in one namespace. */
async function pair(args: readonly string[], env: Record<string, string>): Promise<{ seen: string[]; errors: string }> {
  const script = `
    const { spawn } = require('node:child_process');
    const [node, ...args] = process.argv.slice(1);
    const server = spawn(node, [...args, 'serve'], { stdio: ['pipe', 'pipe', 'inherit'] });
    server.stdout.once('data', (ports) => {
      const client = spawn(node, [...args, 'call', String(ports).trim()], { stdio: ['ignore', 'inherit', 'inherit'] });
      client.on('exit', () => server.stdin.end());
    });
  `;
  const [command = '', ...rest] = [
    ...(namespace ?? []),
    '--',
    'sh',
    '-c',
    NO_ROUTES,
    'sh',
    process.execPath,
    '-e',
    script,
    process.execPath,
    ...args,
  ];
  const child = spawn(command, rest, { env: environment({ ...env }), stdio: ['ignore', 'pipe', 'pipe'] });
  const { stdout, stderr } = await ended(child);
  return { seen: stdout.trim().split('\n'), errors: stderr };
}

/** Which address `localhost` is first is the system's; a server at `::` shows IPv4 as IPv6. */
const plainAddress = (line: string): string => line.replace(/::ffff:127\.0\.0\.1|::1\b/gu, '127.0.0.1');

void t.test(
  'http, https, http2, fetch, ws, tls and net work without TCP',
  { skip: namespace === undefined ? 'no network namespace can be made here' : false },
  async (t) => {
    const place = scratch();
    t.teardown(place.remove);
    const control = await pair([PROGRAM], {});
    t.match(control.errors, /ENETUNREACH|EADDRNOTAVAIL/, 'TCP does not work there');
    for (const driver of ['auto', 'direct']) {
      const { seen, errors } = await pair(['--require', REGISTER, PROGRAM], {
        STP_REGION: place.region,
        STP_NET: 'stp',
        STP_DRIVER: driver,
      });
      t.same(seen.map(plainAddress), EXPECTED, `driver ${driver}`);
      t.equal(errors, '');
    }
  },
);

void t.test('the same programs work over TCP: it is not the tests that are peculiar', async (t) => {
  const server = spawn(process.execPath, [PROGRAM, 'serve'], {
    env: environment(),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ports = await new Promise<string>((resolve) =>
    server.stdout.once('data', (chunk: Buffer) => {
      resolve(chunk.toString().trim());
    }),
  );
  const { stdout } = await run(process.execPath, [PROGRAM, 'call', ports], {});
  server.stdin.end();
  t.same(stdout.trim().split('\n').map(plainAddress), EXPECTED);
});
