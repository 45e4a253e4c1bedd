/** TCP through two bridges and a region, as a client and a server see it that know nothing of either. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { setTimeout as later } from 'node:timers/promises';
import t from 'tap';
import { freshRegion } from '../calls/actor';
import { behindTwo, BridgeProcess, callTcp, connectTcp, drained, HOST, overStdio, serveTcp, take } from './kit';

const MEBIBYTE = 1_048_576;
const ECHO = 0;
/** What two bridges, a link and the kernel may hold of a stream that is not read. */
const HELD_MAX_BYTES = 24 * MEBIBYTE;

/** Bytes without end. */
class Zeros extends Readable {
  override _read(): void {
    this.push(Buffer.alloc(65_536));
  }
}

const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

void t.test('bytes arrive whole in both directions, and so does the end of each', async (t) => {
  const answer = randomBytes(3 * MEBIBYTE);
  const question = randomBytes(5 * MEBIBYTE);
  let heard: Promise<Buffer | string> | undefined;
  const serverPort = await serveTcp(t, (socket) => {
    heard = drained(socket);
    void heard.then(() => socket.end(answer));
  });
  const { port, near } = await behindTwo(t, freshRegion(t), serverPort);
  const client = await connectTcp(t, port);
  client.end(question);
  t.equal(hashOf((await drained(client)) as Buffer), hashOf(answer), 'what comes after our own end arrives');
  t.equal(hashOf((await heard) as Buffer), hashOf(question));
  t.match(await near.tells(({ event }) => event === 'closed'), {
    sentBytes: question.length,
    receivedBytes: answer.length,
  });
});

void t.test('an answer that comes long after the end of the question is not cut', async (t) => {
  const serverPort = await serveTcp(t, (socket) => {
    socket.resume().once('end', () => {
      setTimeout(() => socket.end('late'), 1500);
    });
  });
  const { port } = await behindTwo(t, freshRegion(t), serverPort);
  const client = await connectTcp(t, port);
  client.end('question');
  t.equal(String(await drained(client)), 'late');
});

void t.test('a reset on either side is a reset on the other', async (t) => {
  const accepted: net.Socket[] = [];
  const serverPort = await serveTcp(t, (socket) => accepted.push(socket));
  const { port } = await behindTwo(t, freshRegion(t), serverPort);
  const one = await connectTcp(t, port);
  one.write('x');
  while (accepted.length < 1) await later(5);
  await take(accepted[0] as net.Socket, 1);
  const serverSees = drained(accepted[0] as net.Socket);
  one.resetAndDestroy();
  t.equal(await serverSees, 'ECONNRESET');

  const two = await connectTcp(t, port);
  two.write('x');
  const clientSees = drained(two);
  while (accepted.length < 2) await later(5);
  await take(accepted[1] as net.Socket, 1);
  accepted[1]?.resetAndDestroy();
  t.equal(await clientSees, 'ECONNRESET');
});

void t.test('a server that is not there is a reset, and the forward goes on', async (t) => {
  const region = freshRegion(t);
  const near = new BridgeProcess(t, region, ['-L', '0:nowhere:80', '-L', '0:localhost:4711']);
  const [unknown = 0, free = 0] = await near.ports(2);
  for (const [port, code] of [
    [unknown, /EHOSTUNREACH|ECONNREFUSED/u],
    [free, /ECONNREFUSED/u],
  ] as const) {
    t.match(await drained(callTcp(t, port)), /ECONNRESET|closed/u);
    t.match(await near.tells((told) => told.event === 'failed' && code.test(told.code ?? '')), { event: 'failed' });
  }
  const serverPort = await serveTcp(t, (socket) => socket.end('here'));
  const far = new BridgeProcess(t, region, ['-R', `4711:${HOST}:${serverPort}`]);
  await far.ports(1);
  t.equal(String(await drained(await connectTcp(t, free))), 'here');
});

void t.test('a target that comes later is found, where that is asked for', async (t) => {
  const region = freshRegion(t);
  const near = new BridgeProcess(t, region, ['--retry', '30', '-L', '0:localhost:4712']);
  const [port = 0] = await near.ports(1);
  const client = await connectTcp(t, port);
  const answer = drained(client);
  await later(300);
  const serverPort = await serveTcp(t, (socket) => socket.end('here'));
  await new BridgeProcess(t, region, ['-R', `4712:${HOST}:${serverPort}`]).ports(1);
  t.equal(String(await answer), 'here');
});

void t.test('a stream that is not read stops its writer, and no other stream', async (t) => {
  let writtenBytes = 0;
  const serverPort = await serveTcp(t, (socket) => {
    socket.once('data', (what: Buffer) => {
      if (what[0] === ECHO) socket.end(what.subarray(1));
      else
        for (let i = 0; i < 2; i++) {
          const chunk = Buffer.alloc(65_536, 7);
          const go = (): void => {
            writtenBytes += chunk.length;
            if (writtenBytes < 256 * MEBIBYTE) socket.write(chunk, go);
          };
          go();
        }
    });
  });
  const { port } = await behindTwo(t, freshRegion(t), serverPort);
  const stalled = await connectTcp(t, port);
  stalled.pause();
  stalled.write('bulk');
  let before = -1;
  while (before !== writtenBytes) {
    before = writtenBytes;
    await later(300);
  }
  t.ok(writtenBytes < HELD_MAX_BYTES, `the writer was stopped at ${writtenBytes} bytes`);
  const other = await connectTcp(t, port);
  other.write(Buffer.from([ECHO, 1, 2, 3]));
  t.same(await drained(other), Buffer.from([1, 2, 3]), 'another stream goes on');
});

void t.test('a download that its client cancels leaves nothing behind', async (t) => {
  let open = 0;
  const serverPort = await serveTcp(t, (socket) => {
    open += 1;
    socket.once('close', () => (open -= 1));
    pipeline(new Zeros(), socket, () => undefined);
  });
  const { port, near } = await behindTwo(t, freshRegion(t), serverPort);
  for (let round = 0; round < 30; round++) {
    const client = await connectTcp(t, port);
    await take(client, 100_000);
    client.destroy();
  }
  while (open > 0) await later(10);
  await near.tells(() => near.told.filter(({ event }) => event === 'closed').length === 30);
  t.equal(open, 0, 'the server has been told of each');
});

void t.test('connections above the limit are reset, and places are given back', async (t) => {
  const region = freshRegion(t);
  const serverPort = await serveTcp(t, (socket) => socket.pipe(socket));
  const both = new BridgeProcess(t, region, [
    '--max-connections',
    '4',
    '-R',
    `4713:${HOST}:${serverPort}`,
    '-L',
    '0:localhost:4713',
  ]);
  const [port = 0] = await both.ports(2);
  // Each of them is two of the bridge's, as both of its ends are in one process here.
  for (let round = 0; round < 3; round++) {
    const [one, two] = [await connectTcp(t, port), await connectTcp(t, port)];
    one.write('1');
    two.write('2');
    t.equal(String(await take(one, 1)), '1');
    t.equal(String(await take(two, 1)), '2');
    t.match(await drained(callTcp(t, port)), /ECONNRESET|closed/u);
    for (const socket of [one, two]) {
      socket.resume().end();
      await once(socket, 'close');
    }
    await both.tells(() => both.told.filter(({ event }) => event === 'closed').length >= 4 * (round + 1));
  }
});

void t.test('the other bridge may be killed and come again', async (t) => {
  const region = freshRegion(t);
  const serverPort = await serveTcp(t, (socket) => socket.pipe(socket));
  const args = ['-R', `4714:${HOST}:${serverPort}`];
  const first = new BridgeProcess(t, region, args);
  await first.ports(1);
  const near = new BridgeProcess(t, region, ['-L', '0:localhost:4714']);
  const [port = 0] = await near.ports(1);
  const cut = await connectTcp(t, port);
  cut.write('before');
  t.equal(String(await take(cut, 6)), 'before');
  const end = drained(cut);
  first.child.kill('SIGKILL');
  t.match(await end, /ECONNRESET|^$/u);
  await new BridgeProcess(t, region, args).ports(1);
  const again = await connectTcp(t, port);
  again.end('after');
  t.equal(String(await drained(again)), 'after');
});

void t.test('a path can stand where a port can, also one that a killed bridge has left', async (t) => {
  const region = freshRegion(t);
  // Short, as such a path may have no more than 107 bytes.
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'stp-'));
  t.teardown(() => {
    fs.rmSync(directory, { recursive: true, force: true });
  });
  const [server, client] = [path.join(directory, 'server.sock'), path.join(directory, 'client.sock')];
  const echo = net.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  echo.listen(server);
  await once(echo, 'listening');
  t.teardown(() => echo.close());
  const args = ['-R', `4716:${server}`, '-L', `${client}:localhost:4716`];
  for (const text of ['one', 'two']) {
    const bridge = new BridgeProcess(t, region, args);
    await bridge.ports(2);
    const socket = net.connect({ path: client, allowHalfOpen: true });
    socket.end(text);
    t.equal(String(await drained(socket)), text);
    bridge.child.kill('SIGKILL');
    await bridge.ended();
  }
});

void t.test('SIGTERM lets what is connected end, and takes nothing new', async (t) => {
  const serverPort = await serveTcp(t, (socket) => socket.pipe(socket));
  const { port, near } = await behindTwo(t, freshRegion(t), serverPort);
  const client = await connectTcp(t, port);
  client.write('1');
  await take(client, 1);
  near.child.kill('SIGTERM');
  t.match(await near.tells(({ event }) => event === 'draining'), { connections: 1 });
  await t.rejects(connectTcp(t, port), { code: 'ECONNREFUSED' });
  client.end('2');
  t.equal(String(await take(client, 1)), '2', 'what is connected goes on');
  client.resume();
  t.same(await near.ended(), [0, null]);
});

void t.test('-W is one connection over standard input and output', async (t) => {
  const region = freshRegion(t);
  const serverPort = await serveTcp(t, (socket) => {
    void drained(socket).then((bytes) => socket.end(`you said ${String(bytes)}`));
  });
  await new BridgeProcess(t, region, ['-R', `4715:${HOST}:${serverPort}`]).ports(1);
  t.same(await overStdio(region, 'localhost:4715', 'hello'), {
    status: 0,
    stdout: 'you said hello',
    stderr: '',
  });
  t.match(await overStdio(region, 'localhost:4799', ''), {
    status: 1,
    stdout: '',
    stderr: /^stp: stp:\/\/localhost:4799: .*ECONNREFUSED/u,
  });
});
