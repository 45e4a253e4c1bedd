/** The demo's count of TCP sockets is worth something: it sees those that there are. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import t from 'tap';
import { namespaceCommand, TcpMeter } from '../../examples/tcp-meter';

const NO_PROC = !fs.existsSync('/proc/self/net/tcp') && 'no /proc here';

function noNamespace(): string | false {
  if (namespaceCommand() === undefined) return 'no network namespaces for this user';
  return spawnSync('ip', ['-V']).status !== 0 && 'no `ip` to bring a loopback up';
}

void t.test('sockets of a process are found in the kernel’s tables', { skip: NO_PROC }, async (t) => {
  const meter = new TcpMeter('processes', () => [process.pid, 2 ** 22 + 1]);
  t.teardown(() => meter.stop());
  t.same(meter.count(), { connections: 0, socketsMax: 0 });
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.same(meter.count(), { connections: 1, socketsMax: 1 }, 'a listener');
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  const [accepted] = await new Promise<net.Socket[]>((resolve) =>
    server.once('connection', (socket) => {
      resolve([socket]);
    }),
  );
  t.same(meter.count(), { connections: 3, socketsMax: 3 }, 'and both ends of a connection');
  client.destroy();
  accepted?.destroy();
  await new Promise((resolve) => server.close(resolve));
  t.same(meter.count(), { connections: 3, socketsMax: 3 }, 'what was is not forgotten');
});

void t.test('the kernel counts in a network namespace of its own', { skip: noNamespace() }, (t) => {
  const meter = JSON.stringify(path.join(__dirname, '..', '..', 'examples', 'tcp-meter.js'));
  const script = `
    const net = require('node:net');
    const { TcpMeter, raiseLoopback } = require(${meter});
    if (!raiseLoopback()) throw new Error('no loopback');
    const meter = new TcpMeter('namespace', () => []);
    const before = meter.count();
    const server = net.createServer((socket) => (meter.count(), socket.end())).listen(0, '127.0.0.1', () => {
      net.connect(server.address().port, '127.0.0.1').resume().on('close', () => {
        server.close();
        console.log(JSON.stringify([before, meter.stop()]));
      });
    });`;
  const [command = '', ...args] = namespaceCommand() ?? [];
  const { stdout, stderr } = spawnSync(command, [...args, '--', process.execPath, '-e', script], { encoding: 'utf8' });
  t.equal(stderr, '');
  const [before, after] = JSON.parse(stdout) as { connections: number; socketsMax: number }[];
  t.same(before, { connections: 0, socketsMax: 0 });
  t.equal(after?.connections, 2, 'opened once actively and once passively');
  t.ok((after?.socketsMax ?? 0) >= 1);
  t.end();
});
