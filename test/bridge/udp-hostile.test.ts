/** Bridges of UDP whose other end in the region means no good: it is reset, told, and costs no memory. */
import { once } from 'node:events';
import fs from 'node:fs';
import t, { type Test } from 'tap';
import { StpListener } from '../../src/bridge/stp-listener';
import { connectStp, type StpStream } from '../../src/bridge/stp-stream';
import { frameOf, prefaceOf, Status } from '../../src/bridge/udp-frames';
import { freshRegion } from '../calls/actor';
import { BridgeProcess, HOST, type Told } from './kit';
import { serveUdp, told, UdpPeer } from './udp-kit';

// Of all tests in the file; each has half a minute, as everywhere.
t.setTimeout(120_000);

const MEBIBYTE = 1_048_576;
const FLOOD_BYTES = 256 * MEBIBYTE;
const GROWTH_MAX_BYTES = 96 * MEBIBYTE;

// This process is the other end: a system of the same region.
const region = freshRegion(t);
process.env['STP_REGION'] = region;
process.env['STP_SYSTEM'] = 'hostile';

function memoryOf({ child }: BridgeProcess): number {
  const [, kibibytes = '0'] = /VmRSS:\s+(\d+)/u.exec(fs.readFileSync(`/proc/${child.pid ?? 0}/status`, 'utf8')) ?? [];
  return Number(kibibytes) * 1024;
}

function failure(bridge: BridgeProcess): Promise<Told> {
  return bridge.tells(({ event }) => event === 'failed');
}

/** A bridge with a server, called by this process: a stream that is open, and what it says first. */
async function callFar(test: Test, first: Buffer): Promise<{ far: BridgeProcess; stream: StpStream; server: UdpPeer }> {
  const { port, server } = await serveUdp(test);
  const far = new BridgeProcess(test, region, ['--handshake-timeout', '1', '-R', `udp:0:${HOST}:${port}`], {
    STP_SYSTEM: 'far',
  });
  const [stpPort = 0] = await far.ports(1);
  const stream = await connectStp({ system: 'far', port: stpPort }, 10_000);
  stream.isFramed = true;
  stream.on('error', () => undefined);
  test.teardown(() => stream.destroy());
  stream.write(first);
  return { far, stream, server };
}

/** A bridge with clients, which calls this process: what this one does with each stream. */
async function beFar(test: Test, serve: (stream: StpStream) => void): Promise<{ near: BridgeProcess; port: number }> {
  const listener = new StpListener(0, {
    accepted: (stream) => {
      stream.isFramed = true;
      stream.on('error', () => undefined);
      test.teardown(() => stream.destroy());
      serve(stream);
    },
    lost: () => undefined,
  });
  test.teardown(() => {
    listener.close();
  });
  const near = new BridgeProcess(test, region, ['--handshake-timeout', '1', '-U', `0:hostile:${listener.port}`], {
    STP_SYSTEM: 'near',
  });
  const [port = 0] = await near.ports(1);
  return { near, port };
}

const call = prefaceOf(Status.call);
const ready = prefaceOf(Status.ready);

void t.test('a call that is none, or breaks its frames, is reset and told', async (t) => {
  const cases: readonly (readonly [title: string, first: Buffer, ends: boolean, code: string])[] = [
    ['text', Buffer.from('GET / HTTP/1.1\r\n\r\n'), false, 'EPROTOTYPE'],
    ['nothing, and the end', Buffer.alloc(0), true, 'EPROTOTYPE'],
    ['nothing at all', Buffer.alloc(0), false, 'ETIMEDOUT'],
    ['an answer instead of a call', ready, false, 'EPROTOTYPE'],
    ['a frame that is too long', Buffer.concat([call, Buffer.from([0xff, 0xff])]), false, 'EINVAL'],
    ['a frame that is cut short', Buffer.concat([call, Buffer.from([0, 9, 1])]), true, 'EINVAL'],
  ];
  for (const [title, first, ends, code] of cases) {
    const { far, stream, server } = await callFar(t, first);
    if (ends) stream.end();
    stream.resume();
    const closed = new Promise((resolve) => stream.once('close', resolve));
    t.match(await failure(far), { code }, title);
    await closed;
    t.same(server.received, [], 'nothing has got to the server');
    far.child.kill('SIGKILL');
  }
});

void t.test('an answer that is none, or breaks its frames, is reset and told', async (t) => {
  const cases: readonly (readonly [title: string, code: string, serve: (stream: StpStream) => void])[] = [
    ['a server that says its name', 'EPROTOTYPE', (stream) => stream.write('SSH-2.0-x\r\n')],
    ['a server that sends back what it gets', 'EPROTOTYPE', (stream) => stream.pipe(stream)],
    ['a server that says nothing', 'ETIMEDOUT', (stream) => stream.resume()],
    ['a server that ends', 'EPROTOTYPE', (stream) => stream.resume().end()],
    ['a refusal', 'EMFILE', (stream) => stream.resume().write(prefaceOf(Status.tooManyFlows))],
    ['a frame too long', 'EINVAL', (stream) => stream.resume().write(Buffer.concat([ready, Buffer.from([255, 255])]))],
    ['a frame cut short', 'EINVAL', (stream) => stream.resume().end(Buffer.concat([ready, Buffer.from([0, 9, 1])]))],
  ];
  for (const [title, code, serve] of cases) {
    const { near, port } = await beFar(t, serve);
    const client = new UdpPeer(t);
    client.send('x', port);
    t.match(await failure(near), { code }, title);
    t.same(client.received, [], 'no client has got any of it');
    near.child.kill('SIGKILL');
  }
});

/** Writes until so many bytes are gone, or the stream is. */
async function flood(stream: StpStream, piece: Buffer): Promise<void> {
  for (let sentBytes = 0; sentBytes < FLOOD_BYTES && !stream.destroyed; sentBytes += piece.length)
    if (!stream.write(piece)) await Promise.race([once(stream, 'drain'), once(stream, 'close')]).catch(() => undefined);
}

void t.test('datagrams without end cost no memory at either end', async (t) => {
  const piece = Buffer.concat([frameOf(Buffer.alloc(60_000, 1)), frameOf(Buffer.alloc(0))]);
  const { far, stream } = await callFar(t, call);
  stream.resume();
  await once(stream, 'data');
  const farBefore = memoryOf(far);
  await flood(stream, piece);
  t.ok(memoryOf(far) - farBefore < GROWTH_MAX_BYTES, `far: ${memoryOf(far) - farBefore} bytes more`);

  const { near, port } = await beFar(t, (accepted) => {
    accepted.resume().write(ready);
    const before = memoryOf(near);
    void flood(accepted, piece).then(() => {
      t.ok(memoryOf(near) - before < GROWTH_MAX_BYTES, `near: ${memoryOf(near) - before} bytes more`);
      accepted.end();
    });
  });
  new UdpPeer(t).send('x', port);
  await near.tells(({ event }) => event === 'closed');
});

void t.test('a far end that reads nothing costs datagrams, and no memory', async (t) => {
  let called: () => void = () => undefined;
  const isCalled = new Promise<void>((resolve) => (called = resolve));
  const { near, port } = await beFar(t, (stream) => {
    stream.write(Buffer.concat([ready, frameOf(Buffer.from('go'))]));
    stream.once('data', () => {
      stream.pause();
      called();
    });
  });
  const client = new UdpPeer(t);
  client.send('x', port);
  await isCalled;
  t.equal(String(await client.next()), 'go');
  const before = memoryOf(near);
  const datagram = Buffer.alloc(60_000);
  for (let sentBytes = 0; sentBytes < FLOOD_BYTES; sentBytes += datagram.length)
    await new Promise<void>((resolve) => {
      client.socket.send(datagram, port, HOST, () => {
        resolve();
      });
    });
  t.ok(memoryOf(near) - before < GROWTH_MAX_BYTES, `${memoryOf(near) - before} bytes more`);
  near.child.kill('SIGTERM');
  t.same(await near.ended(), [0, null]);
  const [closed] = near.told.filter(({ event }) => event === 'closed');
  t.ok((closed?.droppedDatagrams ?? 0) > 0, `${closed?.droppedDatagrams ?? 0} datagrams were dropped and counted`);
  t.equal(told(near, 'closed'), 1);
});
