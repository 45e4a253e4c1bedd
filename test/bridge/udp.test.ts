/** UDP through two bridges and a region, as a client and a server see it that know nothing of either. */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { freshRegion } from '../calls/actor';
import { BridgeProcess, callTcp, drained, HOST, overStdio, serveTcp } from './kit';
import { freeUdpPort, serveUdp, told, udpBehindTwo, UdpPeer } from './udp-kit';

// Of all tests in the file; each has half a minute, as everywhere.
t.setTimeout(120_000);

const run = promisify(execFile);
/** Of UDP over IPv4. */
const LARGEST_BYTES = 65_507;
const DATAGRAMS = 1000;
/** Under way at a time: UDP itself may lose more, as the buffers of the system are small. */
const WINDOW_DATAGRAMS = 16;
const WINDOW_BYTES = 98_304;

/** Numbers from 0 to 1 that follow from the seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Mostly short, sometimes as long as there are; the first are the edges. */
function datagramsFrom(seed: number): Buffer[] {
  const random = randomFrom(seed);
  return Array.from({ length: DATAGRAMS }, (_, index) => {
    const most = random() < 0.1 ? LARGEST_BYTES : 1500;
    const length = [0, LARGEST_BYTES, 1][index] ?? Math.floor(random() * (most + 1));
    return Buffer.alloc(length, index & 0xff);
  });
}

void t.test('1,000 datagrams of any size come back as they were sent, in order', async (t) => {
  const seed = Number(process.env['STP_TEST_SEED'] ?? randomInt(2 ** 31));
  t.comment(`STP_TEST_SEED=${seed}`);
  const { port: serverPort } = await serveUdp(t);
  const { port, near } = await udpBehindTwo(t, freshRegion(t), serverPort, { near: ['--flow-timeout', '1'] });
  const client = new UdpPeer(t);
  const wanted = datagramsFrom(seed);
  let sent = 0;
  let openBytes = 0;
  for (let got = 0; got < wanted.length; got++) {
    while (sent < wanted.length && sent - got < WINDOW_DATAGRAMS) {
      const datagram = wanted[sent] as Buffer;
      if (sent > got && openBytes + datagram.length > WINDOW_BYTES) break;
      client.send(datagram, port);
      openBytes += datagram.length;
      sent += 1;
    }
    const answer = await client.next();
    openBytes -= answer.length;
    if (!answer.equals(wanted[got] as Buffer)) {
      t.fail(`datagram ${got} of ${wanted[got]?.length ?? 0} bytes is another one, of ${answer.length} bytes`);
      return;
    }
  }
  const bytes = wanted.reduce((sum, { length }) => sum + length, 0);
  t.match(
    await near.tells(({ event }) => event === 'closed'),
    {
      sentBytes: bytes,
      receivedBytes: bytes,
      droppedDatagrams: 0,
      from: /^127\.0\.0\.1:\d+\/udp$/u,
      to: /^stp:\/\/far:/u,
    },
    'and the flow has counted them',
  );
});

void t.test('no client sees the answers of another', async (t) => {
  const { port: serverPort } = await serveUdp(t, (datagram) => Buffer.concat([Buffer.from('re '), datagram]));
  const { port } = await udpBehindTwo(t, freshRegion(t), serverPort);
  const clients = Array.from({ length: 20 }, () => new UdpPeer(t));
  for (let round = 0; round < 10; round++) {
    const answers = await Promise.all(clients.map((client, index) => client.ask(`${index} ${round}`, port)));
    t.same(
      answers.map(String),
      clients.map((_, index) => `re ${index} ${round}`),
    );
  }
  t.ok(
    clients.every(({ received }) => received.length === 10),
    'none has got more',
  );
});

void t.test('a flow that is silent is given back at both ends, and comes again with the next datagram', async (t) => {
  const { port: serverPort } = await serveUdp(t);
  const { port, near, far } = await udpBehindTwo(t, freshRegion(t), serverPort, { near: ['--flow-timeout', '0.3'] });
  const client = new UdpPeer(t);
  for (let round = 1; round <= 3; round++) {
    t.equal(String(await client.ask(`hello ${round}`, port)), `hello ${round}`);
    for (const bridge of [near, far]) await bridge.tells(() => told(bridge, 'closed') === round);
  }
  t.match(far.told.at(-1), { event: 'closed', sentBytes: 7, receivedBytes: 7, droppedDatagrams: 0 });
  t.equal(told(near, 'failed') + told(far, 'failed'), 0);
});

void t.test('the far end gives silent flows back by itself', async (t) => {
  const { port: serverPort } = await serveUdp(t);
  const { port, near } = await udpBehindTwo(t, freshRegion(t), serverPort, { far: ['--flow-timeout', '0.3'] });
  const client = new UdpPeer(t);
  await client.ask('x', port);
  t.match(await near.tells(({ event }) => event === 'closed'), { sentBytes: 1, receivedBytes: 1 });
  t.equal(String(await client.ask('y', port)), 'y');
});

void t.test('a flow above the limit is refused and told once, and places are given back', async (t) => {
  const { port: serverPort, server } = await serveUdp(t);
  const near = ['--max-flows', '2', '--flow-timeout', '1'];
  const bridges = await udpBehindTwo(t, freshRegion(t), serverPort, { near });
  const [one, two, three] = [new UdpPeer(t), new UdpPeer(t), new UdpPeer(t)];
  for (let round = 1; round <= 2; round++) {
    await one.ask('one', bridges.port);
    await two.ask('two', bridges.port);
    for (let count = 0; count < 5; count++) three.send('three', bridges.port);
    t.match(await bridges.near.tells(() => told(bridges.near, 'failed') === round), { event: 'listening' });
    // Both still have their flows, and what was sent before is behind us then.
    await one.ask('one', bridges.port);
    t.equal(told(bridges.near, 'failed'), round, 'not for each datagram');
    await bridges.near.tells(() => told(bridges.near, 'closed') === 2 * round);
  }
  t.match(
    bridges.near.told.find(({ event }) => event === 'failed'),
    { code: 'EMFILE', error: /--max-flows/u },
  );
  t.notOk(server.received.some((datagram) => String(datagram) === 'three'));
  t.equal(String(await three.ask('three', bridges.port)), 'three', 'there is a place again');
});

void t.test('the limit of the far end is told at both ends', async (t) => {
  const { port: serverPort } = await serveUdp(t);
  const far = ['--max-flows', '1'];
  const bridges = await udpBehindTwo(t, freshRegion(t), serverPort, { far, near: ['--flow-timeout', '1'] });
  const [one, two] = [new UdpPeer(t), new UdpPeer(t)];
  await one.ask('one', bridges.port);
  two.send('two', bridges.port);
  for (const bridge of [bridges.near, bridges.far])
    t.match(await bridge.tells(({ event }) => event === 'failed'), { code: 'EMFILE', error: /--max-flows/u });
  await bridges.far.tells(() => told(bridges.far, 'closed') === 1);
  t.equal(String(await two.ask('again', bridges.port)), 'again');
});

void t.test('UDP at one end and TCP at the other is told at both, and no byte gets through', async (t) => {
  const region = freshRegion(t);
  const came: Buffer[] = [];
  const tcpPort = await serveTcp(t, (socket) => socket.on('data', (chunk: Buffer) => came.push(chunk)));
  const { port: udpPort, server } = await serveUdp(t);
  const far = new BridgeProcess(t, region, ['-R', `0:${HOST}:${tcpPort}`, '-R', `udp:0:${HOST}:${udpPort}`], {
    STP_SYSTEM: 'far',
  });
  const [tcp = 0, udp = 0] = await far.ports(2);
  const near = new BridgeProcess(t, region, ['-U', `0:far:${tcp}`, '-L', `0:far:${udp}`], { STP_SYSTEM: 'near' });
  // In the order of the options, not in that of the command line.
  const [tcpIn = 0, udpIn = 0] = await near.ports(2);

  const client = new UdpPeer(t);
  client.send('datagram', udpIn);
  t.match(await near.tells(({ event }) => event === 'failed'), { error: /-R udp:/u });
  t.match(await far.tells(({ event }) => event === 'failed'), { code: 'EPROTOTYPE', error: /UDP/u });

  const socket = callTcp(t, tcpIn);
  socket.write('GET / HTTP/1.1\r\n\r\n');
  t.equal(await drained(socket), 'ECONNRESET');
  t.equal(socket.bytesRead, 0);
  for (const bridge of [near, far])
    t.match(await bridge.tells(() => told(bridge, 'failed') === 2), { event: 'listening' });
  for (const { told: events } of [near, far]) t.match(events.at(-1), { event: 'failed', code: 'EPROTOTYPE' });
  t.match(await overStdio(region, `far:${udp}`, 'text'), { status: 1, stdout: '', stderr: /forwards UDP/u });
  t.same(came, [], 'the TCP server has got nothing');
  t.same(server.received, [], 'nor has that of UDP');
});

void t.test('a target that is not there is called no more than twice a second, and found once it is', async (t) => {
  const region = freshRegion(t);
  const near = new BridgeProcess(t, region, ['-U', '0:localhost:4731']);
  const [port = 0] = await near.ports(1);
  const client = new UdpPeer(t);
  for (let count = 0; count < 50; count++) client.send('x', port);
  t.match(await near.tells(({ event }) => event === 'failed'), { code: 'ECONNREFUSED' });
  const { port: serverPort } = await serveUdp(t);
  await new BridgeProcess(t, region, ['-R', `udp:4731:${HOST}:${serverPort}`]).ports(1);
  t.ok(told(near, 'failed') < 5, 'not told for each datagram');
  const found = new UdpPeer(t);
  t.equal(String(await found.ask('here', port)), 'here');
});

void t.test('a server that is not there is told by the far end, and found once it is', async (t) => {
  const serverPort = await freeUdpPort();
  const { port, far } = await udpBehindTwo(t, freshRegion(t), serverPort);
  const client = new UdpPeer(t);
  client.send('x', port);
  t.match(await far.tells(({ event }) => event === 'failed'), {
    code: 'ECONNREFUSED',
    to: `${HOST}:${serverPort}/udp`,
  });
  const server = new UdpPeer(t);
  await server.bind(serverPort);
  client.send('y', port);
  t.equal(String(await server.next()), 'y', 'by the same flow');
});

void t.test('the far bridge may be killed, and a new one takes over', async (t) => {
  const region = freshRegion(t);
  const { port: serverPort } = await serveUdp(t);
  const { port, near, far, stpPort } = await udpBehindTwo(t, region, serverPort);
  const client = new UdpPeer(t);
  await client.ask('before', port);
  far.child.kill('SIGKILL');
  await near.tells(({ event }) => event === 'closed');
  const args = ['-R', `udp:${stpPort}:${HOST}:${serverPort}`];
  await new BridgeProcess(t, region, args, { STP_SYSTEM: 'far' }).ports(1);
  t.equal(String(await client.ask('after', port)), 'after');
});

void t.test('SIGTERM ends flows at once, whatever time connections have', async (t) => {
  const { port: serverPort } = await serveUdp(t);
  const drain = ['--drain', '3600'];
  const { port, near, far } = await udpBehindTwo(t, freshRegion(t), serverPort, { near: drain, far: drain });
  const client = new UdpPeer(t);
  await client.ask('x', port);
  near.child.kill('SIGTERM');
  t.same(await near.ended(), [0, null]);
  t.equal(told(near, 'closed'), 1);
  await far.tells(({ event }) => event === 'closed');
  far.child.kill('SIGTERM');
  t.same(await far.ended(), [0, null]);
});

void t.test('rules hold for UDP at both ends', async (t) => {
  const { port: serverPort, server } = await serveUdp(t);
  for (const args of [{ near: ['--deny', 'far:*'] }, { far: ['--deny', `${HOST}:*`] }]) {
    const { port, near } = await udpBehindTwo(t, freshRegion(t), serverPort, args);
    new UdpPeer(t).send('x', port);
    t.match(await near.tells(({ event }) => event === 'failed'), { code: 'EACCES' });
  }
  t.same(server.received, []);
});

void t.test('a host that the far end can not find is told at both ends', async (t) => {
  const region = freshRegion(t);
  const far = new BridgeProcess(t, region, ['-R', 'udp:4732:nowhere.invalid:53']);
  const near = new BridgeProcess(t, region, ['-U', '0:localhost:4732']);
  await far.ports(1);
  const [port = 0] = await near.ports(1);
  new UdpPeer(t).send('x', port);
  t.match(await far.tells(({ event }) => event === 'failed'), { error: /nowhere\.invalid/u });
  t.match(await near.tells(({ event }) => event === 'failed'), { error: /.+/u });
});

const DNS = spawnSync('dig', ['-v']).status === 0 && spawnSync('dnsmasq', ['--version']).status === 0;

/** Starts one that knows db.example; returns its port. Another process may take the port before it: then again. */
async function startDnsmasq(test: Test): Promise<number> {
  for (;;) {
    const port = await freeUdpPort();
    const args = ['-k', '-C', '/dev/null', '--no-resolv', '--no-hosts', '--pid-file', '--log-facility=-'];
    args.push('--listen-address', HOST, '--bind-interfaces', '-p', String(port), '--address=/db.example/192.0.2.7');
    const dnsmasq = spawn('dnsmasq', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    test.teardown(() => dnsmasq.kill('SIGKILL'));
    const isStarted = await new Promise<boolean>((resolve) => {
      dnsmasq.stderr.on('data', (chunk: Buffer) => {
        if (String(chunk).includes('started')) resolve(true);
      });
      dnsmasq.once('exit', () => {
        resolve(false);
      });
    });
    if (isStarted) return port;
  }
}

void t.test('dig asks dnsmasq', { skip: DNS ? false : 'dig or dnsmasq is not installed' }, async (t) => {
  const dnsPort = await startDnsmasq(t);
  const { port } = await udpBehindTwo(t, freshRegion(t), dnsPort);
  const dig = async (...question: string[]): Promise<string> =>
    (await run('dig', [`@${HOST}`, '-p', String(port), '+short', '+notcp', '+tries=3', ...question])).stdout;
  t.equal(await dig('db.example'), '192.0.2.7\n');
  t.same(await Promise.all(Array.from({ length: 6 }, () => dig('a.db.example'))), Array(6).fill('192.0.2.7\n'));
});
