/** Listening, connecting and accepting between simulated processes. */
import t from 'tap';
import { errnoOf } from '../../src/errors';
import { connect, dispatch } from '../../src/engine';
import { connectPayload } from '../../src/engine/asking';
import { ConnectPayload, RecordType, SocketState } from '../../src/layout';
import { eachMechanism } from './mechanisms';
import { Network, type Probe } from './network';

eachMechanism('a connect is complete when the server has accepted, and both know each other', (tt, mechanism) => {
  const network = new Network({ mechanism });
  const listener = network.listen(1, 7);
  const client = network.connect(2, 1, 7);
  network.settle();
  tt.same(listener.told, ['acceptable']);
  tt.same(client.told, [], 'it waits');
  const server = network.accept(listener);
  network.settle();
  tt.same(client.told, ['connected 0']);
  tt.equal(server.socket.remote.port, client.socket.local.port);
  tt.equal(server.socket.state, SocketState.established);
  tt.equal(client.socket.state, SocketState.established);
});

eachMechanism('a connect to a port where nobody listens is refused', (tt, mechanism) => {
  const network = new Network({ mechanism });
  const client = network.connect(2, 1, 7);
  network.settle();
  tt.same(client.told, [`connected ${errnoOf('ECONNREFUSED')}`]);
  tt.ok(client.close());
  tt.equal(network.socketCount, 0);
});

eachMechanism('a full backlog makes clients wait, and each is accepted once', (tt, mechanism) => {
  const network = new Network({ mechanism });
  const listener = network.listen(1, 7, 2);
  const clients = Array.from({ length: 5 }, () => network.connect(2, 1, 7));
  network.settle();
  tt.equal(listener.socket.listener?.queue.length, 2);
  const ports: number[] = [];
  for (let round = 0; round < 50 && ports.length < 5; round++) {
    while ((listener.socket.listener?.queue.length ?? 0) > 0) ports.push(network.accept(listener).socket.remote.port);
    network.wait(600);
  }
  tt.same(ports.sort(), clients.map((client) => client.socket.local.port).sort());
  for (const client of clients) tt.same(client.told, ['connected 0']);
});

eachMechanism('a client that gives up is taken out of the queue', (tt, mechanism) => {
  const network = new Network({ mechanism });
  const listener = network.listen(1, 7);
  const client = network.connect(2, 1, 7);
  network.settle();
  tt.ok(client.close());
  network.settle();
  tt.equal(listener.socket.listener?.queue.length, 0);
  tt.equal(network.process(2).engine.count, 0);
});

eachMechanism('a client whose limit passes just as it is accepted leaves no half of a connection', (tt, mechanism) => {
  const network = new Network({ mechanism });
  const listener = network.listen(1, 7);
  const client = network.connect(2, 1, 7, { timeoutMs: 100 });
  network.settle();
  const server = network.accept(listener);
  network.nowMs += 100;
  network.settle();
  tt.same(client.told, [`connected ${errnoOf('ETIMEDOUT')}`]);
  tt.same(server.told, ['reset'], 'also while the client still holds its socket');
});

eachMechanism('the end of a listener refuses those who wait', (tt, mechanism) => {
  const network = new Network({ mechanism });
  const listener = network.listen(1, 7);
  const client = network.connect(2, 1, 7);
  network.settle();
  tt.ok(listener.close());
  network.settle();
  tt.same(client.told, [`connected ${errnoOf('ECONNRESET')}`]);
});

eachMechanism(
  'a client whose server dies is told, and a server whose client dies forgets its request',
  (tt, mechanism) => {
    const network = new Network({ mechanism, processes: 3 });
    network.listen(1, 7);
    const doomed = network.connect(2, 1, 7);
    network.settle();
    network.end(1);
    network.settle();
    tt.same(doomed.told, [`connected ${errnoOf('ECONNRESET')}`]);

    const listener = network.listen(2, 8);
    network.connect(3, 2, 8);
    network.settle();
    tt.equal(listener.socket.listener?.queue.length, 1);
    network.end(3);
    network.settle();
    tt.equal(listener.socket.listener?.queue.length, 0);
  },
);

eachMechanism('a process talks to itself', (tt, mechanism) => {
  const network = new Network({ mechanism, processes: 1 });
  const [client, server] = network.pair(1, 1);
  client.sendAll('to myself');
  tt.equal(server.receiveAll().toString(), 'to myself');
  tt.notOk(client.close());
  tt.notOk(server.close());
  network.settle();
  tt.equal(network.socketCount, 0);
});

void t.test('a server whose socket table is full refuses the request, and nothing waits for ever', (tt) => {
  const network = new Network({ mechanism: 'ring' });
  const listener = network.listen(1, 7);
  const refused = network.connect(2, 1, 7);
  const accepted = network.connect(2, 1, 7);
  network.settle();
  const { engine } = network.process(1);
  const rest = Array.from({ length: 2047 }, () => engine.open());
  tt.throws(() => network.accept(listener), { code: 'EMFILE' });
  tt.equal(listener.socket.listener?.queue.length, 1, 'the next one is not touched');
  network.settle();
  tt.same(refused.told, [`connected ${errnoOf('ECONNRESET')}`]);
  rest.forEach((socket) => {
    engine.release(socket);
  });
  tt.ok(network.accept(listener));
  network.settle();
  tt.same(accepted.told, ['connected 0']);
  tt.end();
});

eachMechanism('listeners of one port at several addresses each get the requests for theirs', (tt, mechanism) => {
  const network = new Network({ mechanism });
  const reaches = ['127.0.0.1', '127.0.0.2', '::'];
  const listeners = reaches.map((reach) => network.listen(1, 7, 8, reach));
  const waiting = (): (number | undefined)[] => listeners.map(({ socket }) => socket.listener?.queue.length);
  for (const [ip, expected] of [
    ['127.0.0.2', [0, 1, 0]],
    ['127.0.0.1', [1, 1, 0]],
    ['fd00::2', [1, 1, 1]],
  ] as const) {
    network.calledIp = ip;
    network.connect(2, 1, 7);
    network.settle();
    tt.same(waiting(), expected, ip);
  }
  tt.same(
    listeners.map((listener) => network.accept(listener).socket.local.ip),
    ['127.0.0.1', '127.0.0.2', 'fd00::2'],
  );
  network.calledIp = '127.0.0.3';
  const stray = network.connect(2, 1, 7);
  network.settle();
  tt.same(stray.told, [`connected ${errnoOf('ECONNREFUSED')}`]);
  tt.equal(listeners[0]?.close(), true);
  network.calledIp = '';
  network.connect(2, 1, 7);
  network.settle();
  tt.equal(network.accept(listeners[1] as Probe).socket.local.ip, '127.0.0.2', 'who names no address gets any of them');
});

eachMechanism('a request from or for an impossible address is refused', (tt, mechanism) => {
  for (const [family, ip] of [
    ['clientFamily', 'clientIp'],
    ['calledFamily', 'calledIp'],
  ] as const) {
    const network = new Network({ mechanism });
    const listener = network.listen(1, 7);
    const client = network.connect(2, 1, 9);
    network.settle();
    client.told.length = 0;
    const payload = connectPayload(client.socket, 0);
    payload[ConnectPayload.fields[family].at] = 4;
    payload[ConnectPayload.fields[ip].at + 9] = 1;
    const { engine } = network.process(1);
    const peer = engine.peer(2);
    if (peer === undefined) throw new Error('no link');
    for (const type of [RecordType.connect, RecordType.ask])
      dispatch(engine, peer, {
        type,
        source: 0,
        socket: 7,
        generation: 0,
        bytes: Buffer.from(payload),
        at: 0,
        lengthBytes: payload.length,
      });
    tt.equal(listener.socket.listener?.queue.length, 0);
    tt.same(listener.told, []);
  }
});

void t.test('a request with a payload cut short is dropped, and one for another group is refused', (tt) => {
  const network = new Network({ mechanism: 'ring' });
  const listener = network.listen(1, 7);
  const { engine } = network.process(2);
  const peer = engine.peer(1);
  tt.ok(peer);
  peer?.control(1, 0, 7, 0, new Uint8Array(8));
  const socket = engine.open();
  const told: number[] = [];
  socket.owner = {
    readable() {
      told.push(-1);
    },
    writable() {
      told.push(-2);
    },
    acceptable() {
      told.push(-3);
    },
    connected(errno) {
      told.push(errno);
    },
    reset() {
      told.push(-4);
    },
    closed() {
      told.push(-5);
    },
    taken() {
      told.push(-6);
    },
    took() {
      told.push(-7);
    },
  };
  if (peer !== undefined) connect(engine, socket, peer, { system: 'h1', group: 'OTHER', port: 7, ip: '' });
  network.settle();
  tt.same(told, [errnoOf('ECONNREFUSED')]);
  tt.same(listener.told, []);
  tt.end();
});

eachMechanism(
  'where several share a port, a client goes on to another that listens when the first one closes, dies or is busy',
  (tt, mechanism) => {
    for (const why of ['closes', 'dies', 'is busy'] as const) {
      const network = new Network({ mechanism, processes: 4 });
      const first = network.listen(1, 7, 1);
      const second = network.listen(2, 7);
      if (why === 'is busy') network.connect(4, 1, 7);
      network.settle();
      const client = network.connect(3, 1, 7, { anyListener: true });
      network.settle();
      if (why === 'closes') tt.ok(first.close());
      else if (why === 'dies') network.end(1);
      network.settle();
      network.wait(600);
      tt.same(client.told, [], `${why}: it still waits`);
      tt.equal(second.socket.listener?.queue.length, 1, 'at the other one');
      network.accept(second);
      network.settle();
      tt.same(client.told, ['connected 0']);
      tt.equal(client.socket.peer?.process, 2);
    }
  },
);

eachMechanism('where the last of those that shared a port is gone, a client is told', (tt, mechanism) => {
  const network = new Network({ mechanism });
  const listener = network.listen(1, 7);
  const client = network.connect(2, 1, 7, { anyListener: true });
  network.settle();
  tt.ok(listener.close());
  network.settle();
  network.wait(600);
  tt.same(client.told, [`connected ${errnoOf('ECONNRESET')}`]);
});
