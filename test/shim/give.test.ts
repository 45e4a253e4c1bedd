/** stpGive and stpTake: a live connection moves between processes, through the sockets of the shim. */
import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { node, PACKAGE, scratch, spawnNode, type Spawned } from './kit';

/** `stp-net/stp` */
const CALLS = path.join(path.dirname(PACKAGE), 'stp.js');
const BYTES = 8_000_000;

/**
 * Forked programs of the test. The client sends a known stream and checks that the same comes back, once and in order.
 * A server echoes, and gives the connection on at a number of bytes that the test chooses; the taker goes on.
 */
const PROGRAM = `
  const net = require(${JSON.stringify(PACKAGE)});
  const tell = (message) => process.send(message);
  const fail = (error) => tell({ failed: error.code + ' ' + error.message });
  const echo = (socket, giveAt) => {
    let bytes = 0;
    const onEnd = () => socket.end();
    const onData = (chunk) => {
      bytes += chunk.length;
      if (!socket.write(chunk)) { socket.pause(); socket.once('drain', onDrain); }
      if (bytes < giveAt) return;
      giveAt = Infinity;
      socket.off('data', onData).off('end', onEnd).removeAllListeners('drain').pause();
      socket.stpGive().then((token) => tell({ token, bytes }), fail);
    };
    const onDrain = () => socket.resume();
    socket.on('data', onData).on('end', onEnd).on('error', fail);
    socket.on('close', (hadError) => tell({ closed: bytes, hadError }));
  };
  const commands = {
    listen: ({ giveAt }) => {
      const server = net.createServer({ allowHalfOpen: true }, (socket) => { server.close(); echo(socket, giveAt); });
      server.listen(0, () => tell({ port: server.address().port }));
    },
    take: ({ token, giveAt = Infinity }) => {
      const socket = net.stpTake(token, { allowHalfOpen: true });
      socket.on('connect', () => {
        tell({ taken: socket.remoteAddress, connecting: socket.connecting, stp: socket.stp.reason });
      });
      echo(socket, giveAt);
    },
    call: ({ port, bytes }) => {
      const socket = net.connect({ port, allowHalfOpen: true });
      const byteAt = (at) => (at * 31 + (at >> 8) * 7) & 0xff;
      let received = 0;
      let wrong = 0;
      socket.on('data', (chunk) => {
        for (const byte of chunk) {
          if (byte !== byteAt(received)) wrong += 1;
          received += 1;
        }
      });
      socket.on('error', fail);
      socket.on('end', () => tell({ received, wrong }));
      const send = (at) => {
        while (at < bytes) {
          const chunk = Buffer.alloc(Math.min(50_000, bytes - at));
          for (let i = 0; i < chunk.length; i += 1) chunk[i] = byteAt(at + i);
          at += chunk.length;
          if (!socket.write(chunk)) { socket.once('drain', () => send(at)); return; }
        }
        socket.end();
      };
      send(0);
    },
  };
  process.on('message', (message) => commands[message.do](message));
  process.on('disconnect', () => process.exit());
`;

interface Told {
  readonly [field: string]: unknown;
}

function start(t: Test, directory: string, region: string, driver: string): Spawned {
  const file = path.join(directory, 'program.cjs');
  fs.writeFileSync(file, PROGRAM);
  const child = spawnNode(file, { STP_REGION: region, STP_NET: 'stp', STP_DRIVER: driver });
  t.teardown(() => child.process.kill('SIGKILL'));
  return child;
}

for (const driver of ['auto', 'direct']) {
  void t.test(`a connection goes on through three processes in mid-transfer, driver ${driver}`, async (t) => {
    const { directory, region, remove } = scratch();
    t.teardown(remove);
    const [first, second, third, client] = [1, 2, 3, 4].map(() => start(t, directory, region, driver)) as [
      Spawned,
      Spawned,
      Spawned,
      Spawned,
    ];
    const { port } = await first.ask<Told>({ do: 'listen', giveAt: BYTES * 0.3 }, 'port');
    const done = client.ask<Told>({ do: 'call', port, bytes: BYTES }, 'received');
    const { token } = await first.told<Told>('token');
    const closed = first.told<Told>('closed');
    t.same(await second.ask<Told>({ do: 'take', token, giveAt: BYTES * 0.2 }, 'taken'), {
      taken: '127.0.0.1',
      connecting: false,
      stp: 'TAKEN',
    });
    t.equal((await closed)['hadError'], false, 'the giver’s socket closes without an error');
    const { token: next } = await second.told<Told>('token');
    await third.ask<Told>({ do: 'take', token: next }, 'taken');
    t.same(await done, { received: BYTES, wrong: 0 }, 'every byte came back once and in order');
    const end = await third.told<Told>('closed');
    t.ok(Number(end['closed']) > 0 && Number(end['closed']) < BYTES, 'the last process echoed a part');
  });
}

void t.test('what can not be given or taken is refused, by code', async (t) => {
  const { region, remove } = scratch();
  t.teardown(remove);
  const program = `
    const net = require(${JSON.stringify(PACKAGE)});
    const tls = require('node:tls');
    const code = (promise) => promise.then(() => 'fine', (error) => error.code);
    const taking = (token) => new Promise((resolve) => {
      net.stpTake(token).on('error', (error) => resolve(error.code)).on('connect', () => resolve('connected'));
    });
    (async () => {
      for (const wrong of [undefined, 7]) { try { net.stpTake(wrong); } catch (error) { console.log(error.code); } }
      try { net.stpTake('x', { fd: 0 }); } catch (error) { console.log(error.code); }
      console.log(await taking('nonsense'), await taking(''));
      const server = net.createServer((socket) => { socket.on('error', () => {}); socket.write('hello'); }).listen(0);
      const connect = () => new Promise((resolve) => {
        const socket = net.connect(server.address().port, () => resolve(socket));
        socket.on('error', () => {});
      });
      console.log(await code(net.connect(server.address().port).on('error', () => {}).stpGive()), 'connecting');
      const decoding = await connect();
      decoding.setEncoding('utf8');
      console.log(await code(decoding.stpGive()), 'decoding');
      decoding.destroy();
      console.log(await code(decoding.stpGive()), 'destroyed');
      const wrapped = await connect();
      const secure = tls.connect({ socket: wrapped }).on('error', () => {});
      console.log(await code(wrapped.stpGive()), 'wrapped');
      secure.destroy();
      const given = await connect();
      console.log(await code(given.stpGive({ system: 'x', process: -1, task: 0 })), 'client id');
      const token = await given.stpGive();
      console.log(await code(given.stpGive()), 'given');
      const taken = net.stpTake(token);
      let text = '';
      taken.on('data', (chunk) => {
        text += chunk;
        if (text !== 'hello') return;
        console.log(text, taken.remotePort === server.address().port, taken.bytesRead);
        taken.destroy();
      });
      await new Promise((resolve) => taken.on('close', resolve));
      console.log(await taking(token), 'taken before');
      const lost = await connect();
      const promise = await lost.stpGive();
      lost.destroy();
      console.log(await taking(promise), 'closed by its giver');
      process.exit();
    })();
  `;
  const { stdout, stderr } = await node(['-e', program], { STP_REGION: region, STP_NET: 'stp' });
  t.same(
    stdout.trim().split('\n'),
    [
      'ERR_INVALID_ARG_TYPE',
      'ERR_INVALID_ARG_TYPE',
      'ERR_INVALID_ARG_VALUE',
      'EINVAL EINVAL',
      'ENOTCONN connecting',
      'EOPNOTSUPP decoding',
      'ENOTCONN destroyed',
      'EOPNOTSUPP wrapped',
      'EINVAL client id',
      'ESTPGIVEN given',
      'hello true 5',
      'EBADF taken before',
      'EBADF closed by its giver',
    ],
    stderr,
  );
});

void t.test('a connection that was given and is not taken in time is reset at both ends', async (t) => {
  const { region, remove } = scratch();
  t.teardown(remove);
  const program = `
    const net = require(${JSON.stringify(PACKAGE)});
    const { STPsetopt, STP_GIVE_TIMEOUT } = require(${JSON.stringify(CALLS)});
    const server = net.createServer((socket) => {
      socket.on('error', (error) => console.log('peer', error.message)).resume();
      server.close();
    }).listen(0, () => {
      const socket = net.connect(server.address().port, async () => {
        for (let s = 0; s < 3; s += 1) try { STPsetopt(s, STP_GIVE_TIMEOUT, 40); } catch {}
        await socket.stpGive();
        socket.write('held', (error) => console.log('write', error.code));
      });
      socket.on('error', (error) => console.log('giver', error.code, error.syscall));
      socket.on('close', (hadError) => console.log('closed', hadError));
    });
  `;
  const { stdout, stderr } = await node(['-e', program], { STP_REGION: region, STP_NET: 'stp' });
  t.same(
    stdout.trim().split('\n').sort(),
    ['closed true', 'giver ETIMEDOUT give', 'peer read ECONNRESET', 'write ESTPGIVEN'],
    stderr,
  );
});

void t.test('a give to one client is for that client alone, and what was read and not used goes along', async (t) => {
  const { region, remove } = scratch();
  t.teardown(remove);
  const program = `
    const net = require(${JSON.stringify(PACKAGE)});
    const { STPgetclientid } = require(${JSON.stringify(CALLS)});
    const server = net.createServer((socket) => {
      socket.resume();
      socket.write('abcdefghij');
      socket.end('klm');
    }).listen(0, async () => {
      const socket = net.connect({ port: server.address().port, allowHalfOpen: true });
      await new Promise((resolve) => socket.once('readable', resolve));
      const read = String(socket.read(3));
      await new Promise((resolve) => setTimeout(resolve, 50));
      const { process: own, ...rest } = STPgetclientid();
      const events = [];
      socket.on('data', () => events.push('data')).on('end', () => events.push('end'));
      socket.pause();
      socket.write('unsent');
      const token = await socket.stpGive({ ...rest, process: own });
      const taken = net.stpTake(token, { allowHalfOpen: true });
      let text = '';
      for await (const chunk of taken) text += chunk;
      console.log(read, text, events.join());
      taken.end();
      server.close();
    });
  `;
  const { stdout, stderr } = await node(['-e', program], { STP_REGION: region, STP_NET: 'stp' });
  t.equal(stdout, 'abc defghijklm \n', stderr);
});

void t.test('a connection whose taker dies in mid-take is back with its giver, and goes on', async (t) => {
  const { directory, region, remove } = scratch();
  t.teardown(remove);
  const taker = path.join(directory, 'taker.cjs');
  // Dies when it has everything and is about to say so: the last moment at which the giver can have it back. What the
  // giver writes meanwhile waits.
  fs.writeFileSync(
    taker,
    `
    globalThis[Symbol.for('stp-net.crash-hook')] = (point) => {
      if (point === 'take.ready') process.kill(process.pid, 'SIGKILL');
    };
    const net = require(${JSON.stringify(PACKAGE)});
    const socket = net.stpTake(process.argv[2]).on('connect', () => console.log('connected'));
    socket.on('error', (error) => console.log(error.message));
  `,
  );
  const program = `
    const net = require(${JSON.stringify(PACKAGE)});
    const { once } = require('node:events');
    const { spawn } = require('node:child_process');
    const server = net.createServer(async (socket) => {
      server.close();
      socket.pause().on('close', (hadError) => console.log('giver closed', hadError));
      socket.on('error', (error) => console.log(error.message));
      await once(socket, 'readable');
      const token = await socket.stpGive();
      socket.write('held ', (error) => console.log('write', error?.code ?? 'fine'));
      const child = spawn(process.execPath, [process.argv[2], token], { stdio: ['ignore', 'inherit', 'inherit'] });
      const [[, signal]] = await Promise.all([once(child, 'exit'), once(socket, 'stpBack')]);
      console.log('back', signal, socket.destroyed, socket.writable);
      const again = await socket.stpGive();
      console.log('given again', again !== token);
      const own = net.stpTake(again);
      own.end('from the giver');
      let text = '';
      for await (const chunk of own) text += chunk;
      console.log(text);
    }).listen(0, async () => {
      const socket = net.connect(server.address().port);
      socket.end('to the giver');
      let text = '';
      for await (const chunk of socket) text += chunk;
      console.log(text);
    });
  `;
  const file = path.join(directory, 'giver.cjs');
  fs.writeFileSync(file, program);
  const { stdout, stderr } = await node([file, taker], { STP_REGION: region, STP_NET: 'stp' });
  t.same(
    stdout.trim().split('\n').sort(),
    [
      'back SIGKILL false true',
      'given again true',
      'giver closed false',
      'held from the giver',
      'to the giver',
      'write fine',
    ],
    stderr,
  );
});
