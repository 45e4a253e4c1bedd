/** UDP ASSOCIATE of SOCKS 5 into a region, as the client of another project sees it. */
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { SocksClient } from 'socks';
import t, { type Test } from 'tap';
import { freshRegion } from '../calls/actor';
import { BridgeProcess, connectTcp, drained, HOST, take } from './kit';
import { serveUdp, told, UdpPeer } from './udp-kit';

// Of all tests in the file; each has half a minute, as everywhere.
t.setTimeout(120_000);

interface Associated {
  /** Where datagrams go to. */
  readonly relay: { readonly host: string; readonly port: number };
  readonly socket: net.Socket;
}

const NOT_SUPPORTED = 7;
const NAME = 3;

/** Asks for a relay, with a client that was not written for this. */
async function associate(test: Test, host: string, port: number): Promise<Associated> {
  const client = new SocksClient({
    proxy: { host, port, type: 5 },
    command: 'associate',
    destination: { host: '0.0.0.0', port: 0 },
  });
  client.connect();
  const [{ socket, remoteHost }] = (await once(client, 'established')) as [
    { socket: net.Socket; remoteHost?: { host: string; port: number } },
  ];
  socket.on('error', () => undefined);
  test.teardown(() => socket.destroy());
  return { relay: remoteHost ?? { host: '', port: 0 }, socket };
}

function framed(host: string, port: number, text: string, frameNumber = 0): Buffer {
  return SocksClient.createUDPFrame({ remoteHost: { host, port }, data: Buffer.from(text), frameNumber });
}

/** Two servers of the system `far`, and a bridge with a proxy. */
async function withRelay(
  test: Test,
  args: readonly string[] = [],
): Promise<{ proxy: number; ports: readonly number[]; near: BridgeProcess; servers: readonly UdpPeer[] }> {
  const region = freshRegion(test);
  const one = await serveUdp(test, (datagram) => Buffer.concat([Buffer.from('one '), datagram]));
  const two = await serveUdp(test, (datagram) => Buffer.concat([Buffer.from('two '), datagram]));
  const far = new BridgeProcess(test, region, ['-R', `udp:0:${HOST}:${one.port}`, '-R', `udp:0:${HOST}:${two.port}`], {
    STP_SYSTEM: 'far',
  });
  const ports = await far.ports(2);
  const near = new BridgeProcess(test, region, ['-D', '0', ...args], { STP_SYSTEM: 'near' });
  const [proxy = 0] = await near.ports(1);
  return { proxy, ports, near, servers: [one.server, two.server] };
}

void t.test(
  'a client of SOCKS sends to several systems and ports, and sees from where each answer comes',
  async (t) => {
    const { proxy, ports, near } = await withRelay(t);
    const { relay, socket } = await associate(t, HOST, proxy);
    t.equal(relay.host, HOST, 'the relay is where the proxy is');
    const client = new UdpPeer(t);
    const [first = 0, second = 0] = ports;
    for (let round = 0; round < 5; round++) {
      for (const [port, name] of [
        [first, 'one'],
        [second, 'two'],
      ] as const) {
        const answer = await client.ask(framed('far', port, `hello ${round}`), relay.port);
        t.same(SocksClient.parseUDPFrame(answer), {
          frameNumber: 0,
          remoteHost: { host: 'far', port },
          data: Buffer.from(`${name} hello ${round}`),
        });
      }
    }
    socket.end();
    // One for each target, and one for the relay.
    await near.tells(() => told(near, 'closed') === 3);
    t.same(
      new Set(near.told.filter(({ event }) => event === 'closed').map(({ to }) => to)),
      new Set([`stp://far:${first}/udp`, `stp://far:${second}/udp`, 'UDP, by SOCKS']),
    );
  },
);

void t.test('fragments, garbage and datagrams of others are dropped and counted', async (t) => {
  const { proxy, ports, near, servers } = await withRelay(t);
  const { relay, socket } = await associate(t, HOST, proxy);
  const [port = 0] = ports;
  const [client, other] = [new UdpPeer(t), new UdpPeer(t)];
  t.match(String(await client.ask(framed('far', port, 'mine'), relay.port)), /one mine$/u);
  other.send(framed('far', port, 'not mine'), relay.port);
  const bad: readonly Buffer[] = [
    framed('far', port, 'fragment', 1),
    Buffer.alloc(0),
    Buffer.from([0, 0, 0]),
    Buffer.from([0, 0, 0, NAME, 200, 1]),
    Buffer.from([0, 0, 0, NAME, 0, 0, 80]),
    Buffer.from([0, 0, 0, 9, 1, 1, 1, 1, 0, 80]),
    framed('far', 0, 'no port'),
    Buffer.concat([Buffer.from([1]), framed('far', port, 'reserved').subarray(1)]),
  ];
  for (const datagram of bad) client.send(datagram, relay.port);
  t.match(String(await client.ask(framed('far', port, 'again'), relay.port)), /one again$/u);
  t.same(servers[0]?.received.map(String), ['mine', 'again']);
  socket.end();
  t.match(await near.tells(({ to }) => to === 'UDP, by SOCKS'), {
    event: 'closed',
    droppedDatagrams: bad.length + 1,
  });
});

void t.test('the relay ends with its TCP connection, also with one that is reset', async (t) => {
  const { proxy, ports, near } = await withRelay(t);
  for (const end of ['destroy', 'resetAndDestroy'] as const) {
    const before = told(near, 'closed');
    const { relay, socket } = await associate(t, HOST, proxy);
    await new UdpPeer(t).ask(framed('far', ports[0] ?? 0, 'x'), relay.port);
    socket[end]();
    await near.tells(() => told(near, 'closed') === before + 2);
    t.equal(await new UdpPeer(t).bind(relay.port), relay.port, 'its port is free');
  }
});

void t.test('a client that ends with its request for a relay is let go', async (t) => {
  const near = new BridgeProcess(t, freshRegion(t), ['-D', '0']);
  const [proxy = 0] = await near.ports(1);
  const client = await connectTcp(t, proxy);
  client.end(Buffer.from([5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0]));
  const answer = await drained(client);
  t.equal(String(answer.slice(0, 5)), '\x05\x00\x05\x00\x00');
  await near.tells(({ event }) => event === 'closed');
});

void t.test('SIGTERM ends relays at once', async (t) => {
  const { proxy, ports, near } = await withRelay(t, ['--drain', '3600']);
  const { relay, socket } = await associate(t, HOST, proxy);
  await new UdpPeer(t).ask(framed('far', ports[0] ?? 0, 'x'), relay.port);
  const closed = once(socket.resume(), 'close');
  near.child.kill('SIGTERM');
  t.same(await near.ended(), [0, null]);
  await closed;
});

void t.test('rules are checked for each target of a relay', async (t) => {
  const { proxy, ports, near, servers } = await withRelay(t, ['--deny', 'far:*', '--deny', 'near:81']);
  const { relay } = await associate(t, HOST, proxy);
  const client = new UdpPeer(t);
  client.send(framed('FAR', ports[0] ?? 0, 'x'), relay.port);
  t.match(await near.tells(({ event }) => event === 'failed'), { code: 'EACCES' });
  client.send(framed('127.0.0.1', 81, 'x'), relay.port);
  t.match(await near.tells(() => told(near, 'failed') === 2), { event: 'listening' });
  t.match(near.told.at(-1), { code: 'EACCES', to: 'stp://127.0.0.1:81/udp' }, 'not under any of its names');
  client.send(framed('nowhere', 80, 'x'), relay.port);
  await near.tells(({ code }) => code === 'EHOSTUNREACH');
  t.same(servers[0]?.received, []);
});

void t.test('flows of a relay are under the same limit and time', async (t) => {
  const { proxy, ports, near } = await withRelay(t, ['--max-flows', '1', '--flow-timeout', '0.5']);
  const [first = 0, second = 0] = ports;
  const { relay } = await associate(t, HOST, proxy);
  const client = new UdpPeer(t);
  await client.ask(framed('far', first, 'x'), relay.port);
  client.send(framed('far', second, 'x'), relay.port);
  t.match(await near.tells(({ event }) => event === 'failed'), { code: 'EMFILE' });
  await near.tells(({ event }) => event === 'closed');
  t.match(String(await client.ask(framed('far', second, 'y'), relay.port)), /two y$/u);
});

void t.test('a relay is at the address at which its client has called', async (t) => {
  const region = freshRegion(t);
  const hasIpv6 = Object.values(os.networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'));
  for (const host of ['127.0.0.2', ...(hasIpv6 ? ['::1'] : [])]) {
    const near = new BridgeProcess(t, region, ['-D', `${net.isIPv6(host) ? `[${host}]` : host}:0`]);
    const [proxy = 0] = await near.ports(1);
    const { relay } = await associate(t, host, proxy);
    t.equal(relay.host === '0000:0000:0000:0000:0000:0000:0000:0001' ? '::1' : relay.host, host);
    t.not(relay.port, 0);
  }
});

void t.test('a client that comes by no TCP of this host is told that there is no UDP for it', async (t) => {
  const region = freshRegion(t);
  // Short, as such a path may have no more than 107 bytes.
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'stp-'));
  t.teardown(() => {
    fs.rmSync(directory, { recursive: true, force: true });
  });
  const file = path.join(directory, 'socks');
  const bridge = new BridgeProcess(t, region, ['-L', '0:localhost:4741', '-R', '4741', '-D', file]);
  const [port = 0] = await bridge.ports(3);
  const byPath = net.connect({ path: file });
  await once(byPath, 'connect');
  t.teardown(() => byPath.destroy());
  for (const socket of [await connectTcp(t, port), byPath]) {
    socket.write(Buffer.from([5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0]));
    t.equal((await take(socket, 12))[3], NOT_SUPPORTED);
  }
});
