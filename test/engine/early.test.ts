/** Connected before the server accepts, and deaths that look like TCP's, between simulated processes. */
import t from 'tap';
import { errnoOf } from '../../src/errors';
import { SocketState } from '../../src/layout';
import { eachMechanism } from './mechanisms';
import { Network, type Probe } from './network';

const early = { backlog: 8 };

function queued(listener: Probe): number {
  return listener.socket.listener?.queue.length ?? 0;
}

eachMechanism(
  'a client is connected while its server is busy, and what it sent is there when it is accepted',
  (tt, mechanism) => {
    const network = new Network({ mechanism });
    const listener = network.listen(1, 7);
    network.stalled.add(1);
    const client = network.connect(2, 1, 7, { early });
    network.settle();
    tt.same(client.told, ['connected 0']);
    tt.equal(client.send('hello'), 5);
    network.settle();
    network.stalled.clear();
    network.settle();
    tt.equal(queued(listener), 1);
    tt.equal(client.send(', world'), 7, 'also to a request that waits');
    network.settle();
    const server = network.accept(listener);
    tt.equal(server.receiveAll().toString(), 'hello, world');
    tt.equal(network.process(1).engine.queued.size + network.process(2).engine.queued.size, 0);
    server.sendAll('and back');
    client.sendAll('and on');
    tt.equal(client.receiveAll().toString(), 'and back');
    tt.equal(server.receiveAll().toString(), 'and on');
    tt.notOk(client.close());
    network.settle();
    tt.ok(server.atEnd);
    tt.notOk(server.close());
    network.settle();
    tt.equal(network.socketCount, 1, 'the listener');
  },
);

eachMechanism('the first bytes are limited, and go on with the accept', (tt, mechanism) => {
  const network = new Network({ mechanism });
  const listener = network.listen(1, 7);
  const client = network.connect(2, 1, 7, { early: { backlog: 8, bytes: 1000 } });
  network.settle();
  tt.equal(client.send(Buffer.alloc(3000, 1)), 1000);
  network.settle();
  const server = network.accept(listener);
  network.settle();
  tt.same(client.told, ['connected 0', 'writable']);
  tt.equal(client.send(Buffer.alloc(2000, 1)), 2000);
  tt.equal(server.receiveAll().length, 3000);
});

eachMechanism(
  'a client that is done before the accept leaves its bytes and their end, whether it closes, exits, dies or resets',
  (tt, mechanism) => {
    for (const how of ['closes', 'exits', 'dies', 'dies as TCP', 'resets'] as const) {
      const network = new Network({ mechanism });
      const listener = network.listen(1, 7);
      listener.socket.deathAsTcp = how === 'dies as TCP';
      const client = network.connect(2, 1, 7, { early });
      network.settle();
      client.sendAll('last words');
      network.process(2).flush();
      if (how === 'closes') tt.notOk(client.close());
      else if (how === 'resets') tt.ok(client.close(0));
      else network.end(2, how === 'exits');
      network.settle();
      if (how === 'closes') tt.same(client.told, ['connected 0', 'closed 0'], 'it has arrived');
      const server = network.accept(listener);
      tt.equal(server.receive().toString(), 'last words', how);
      network.settle();
      const { socket } = server;
      if (how === 'resets' || how === 'dies') tt.equal(socket.resetErrno, errnoOf('ECONNRESET'), how);
      else tt.ok(server.atEnd, how);
      tt.equal(socket.deathErrno, how === 'dies as TCP' ? errnoOf('ECONNRESET') : 0);
      if (how === 'closes') {
        tt.equal(server.send('too late'), 8);
        network.settle();
        tt.same(server.told, ['reset']);
      }
      server.close();
      network.settle();
      tt.equal(network.process(1).engine.count, 1, how);
    }
  },
);

eachMechanism(
  'a listener that closes, is not there, or dies resets who was told that it is connected',
  (tt, mechanism) => {
    for (const how of ['closes', 'is not there', 'dies'] as const) {
      const network = new Network({ mechanism });
      const listener = how === 'is not there' ? undefined : network.listen(1, 7);
      network.stalled.add(1);
      const client = network.connect(2, 1, 7, { early });
      client.socket.deathAsTcp = true;
      network.settle();
      client.sendAll('hello');
      network.stalled.clear();
      network.settle();
      listener?.onNotice('');
      if (how === 'closes') tt.ok(listener?.close());
      else if (how === 'dies') network.end(1);
      network.settle();
      tt.same(client.told, ['connected 0', 'reset'], how);
      tt.equal(client.socket.resetErrno, errnoOf('ECONNRESET'));
      tt.ok(client.close());
      tt.equal(network.process(2).engine.queued.size, 0);
    }
  },
);

eachMechanism(
  'so many are told as the backlog has places, also where they are closed again, and none of these is turned away',
  (tt, mechanism) => {
    const network = new Network({ mechanism, processes: 3 });
    const listener = network.listen(1, 7, 2);
    const options = { early: { backlog: 2 } };
    const clients = [2, 2, 2, 3, 3, 3].map((process) => network.connect(process, 1, 7, options));
    network.settle();
    tt.same(
      clients.map(({ told }) => told.length),
      [1, 1, 0, 1, 1, 0],
    );
    tt.equal(queued(listener), 4, 'a process counts its own');
    tt.notOk(clients[0]?.close());
    const another = network.connect(2, 1, 7, options);
    network.settle();
    tt.same(another.told, [], 'a closed one still stands in the queue');
    for (let round = 0; round < 20; round++) {
      while (queued(listener) > 0) network.accept(listener);
      network.wait(100);
    }
    for (const client of clients.slice(1)) tt.same(client.told, ['connected 0']);
    tt.same(another.told, ['connected 0']);
    tt.same(
      [2, 3].map((process) => network.process(process).engine.queued.size),
      [0, 0],
    );
  },
);

eachMechanism(
  'where all that share a port are busy, a client is connected, and its bytes go to the first that has time',
  (tt, mechanism) => {
    const network = new Network({ mechanism, processes: 3 });
    const listeners = [network.listen(1, 7), network.listen(2, 7)] as const;
    for (const number of [1, 2]) network.stalled.add(number);
    const client = network.connect(3, 1, 7, { early, anyListener: true });
    network.settle();
    tt.same(client.told, ['connected 0']);
    tt.equal(client.send('hello'), 5);
    network.wait(200);
    network.stalled.delete(2);
    network.settle();
    tt.equal(queued(listeners[1]), 1);
    const server = network.accept(listeners[1]);
    tt.equal(server.receiveAll().toString(), 'hello');
    client.sendAll('more');
    tt.equal(server.receiveAll().toString(), 'more');
    network.stalled.clear();
    network.settle();
    tt.same(listeners[0].told, []);
  },
);

eachMechanism(
  'what was sent to one that shares a port and refuses goes to the next, and what one that dies may have read does not',
  (tt, mechanism) => {
    for (const how of ['closes', 'dies'] as const) {
      const network = new Network({ mechanism, processes: 3 });
      const listeners = [network.listen(1, 7), network.listen(2, 7)] as const;
      const client = network.connect(3, 1, 7, { early, anyListener: true });
      network.settle();
      client.sendAll('hello');
      client.shutdown('w');
      network.settle();
      tt.equal(queued(listeners[0]), 1);
      if (how === 'closes') tt.ok(listeners[0].close());
      else network.end(1);
      network.settle();
      network.wait(600);
      if (how === 'dies') {
        tt.same(client.told, ['connected 0', 'reset']);
        continue;
      }
      const server = network.accept(listeners[1]);
      tt.equal(server.receiveAll().toString(), 'hello');
      tt.ok(server.atEnd);
      tt.equal(client.socket.state, SocketState.finWait);
    }
  },
);

eachMechanism(
  'who was offered a place by one that closes or leaves before it reads of that goes to the next, with what was sent',
  (tt, mechanism) => {
    for (const leaves of [false, true]) {
      const network = new Network({ mechanism, processes: 3 });
      const listeners = [network.listen(1, 7), network.listen(2, 7)] as const;
      network.stalled.add(1);
      const client = network.connect(3, 1, 7, { early, anyListener: true });
      network.until(() => client.told.length > 0);
      client.sendAll('hello');
      client.shutdown('w');
      network.settle();
      network.stalled.clear();
      network.stalled.add(3);
      network.settle();
      tt.ok([...(listeners[0].socket.listener?.asks.values() ?? [])].some(({ offered }) => offered !== null));
      tt.ok(listeners[0].close());
      if (leaves) network.end(1, true);
      network.stalled.clear();
      network.settle();
      network.wait(600);
      tt.same(client.told, ['connected 0']);
      tt.equal(queued(listeners[1]), 1);
      const server = network.accept(listeners[1]);
      tt.equal(server.receiveAll().toString(), 'hello');
      tt.ok(server.atEnd);
      tt.equal(client.socket.state, SocketState.finWait);
      client.close();
      server.close();
      network.settle();
      tt.equal(network.socketCount, 1, 'the other listener');
      tt.equal(network.process(3).engine.queued.size, 0);
    }
  },
);

eachMechanism(
  'a client that exits while all that share a port are busy leaves what it sent with one of them',
  (tt, mechanism) => {
    const network = new Network({ mechanism, processes: 3 });
    const listeners = [network.listen(1, 7), network.listen(2, 7)] as const;
    for (const number of [1, 2]) network.stalled.add(number);
    const client = network.connect(3, 1, 7, { early, anyListener: true });
    network.settle();
    client.sendAll('last words');
    network.end(3, true);
    network.stalled.clear();
    network.settle();
    tt.same(listeners.map(queued), [1, 0]);
    const server = network.accept(listeners[0]);
    tt.equal(server.receiveAll().toString(), 'last words');
    tt.ok(server.atEnd);
  },
);

eachMechanism('on first contact a connect can be limited, and then nobody ever accepts it', (tt, mechanism) => {
  for (const anyListener of [false, true]) {
    const network = new Network({ mechanism });
    const listener = network.listen(1, 7);
    network.stalled.add(1);
    const limited = { early, anyListener, linkTimeoutMs: 100 };
    const client = network.connect(2, 1, 7, limited);
    network.wait(50);
    tt.same(client.told, []);
    network.wait(60);
    tt.same(client.told, [`connected ${errnoOf('ETIMEDOUT')}`]);
    tt.ok(client.close());
    network.stalled.clear();
    network.settle();
    tt.same(listener.told, [], 'never');
    const second = network.connect(2, 1, 7, limited);
    network.stalled.add(1);
    network.settle();
    tt.same(second.told, ['connected 0'], 'the link is there');
    network.wait(500);
    network.stalled.clear();
    network.settle();
    tt.same(listener.told, ['acceptable']);
  }
});

eachMechanism('a connection is given while it waits to be accepted, and moves when it is', (tt, mechanism) => {
  const network = new Network({ mechanism, processes: 3 });
  const listener = network.listen(1, 7);
  const client = network.connect(2, 1, 7, { early });
  network.settle();
  client.sendAll('from the first, ');
  const taker = network.take(3, client.give());
  network.settle();
  tt.same(taker.told, []);
  const server = network.accept(listener);
  network.settle();
  tt.same(taker.told, ['took 0']);
  taker.sendAll('from the second');
  tt.equal(server.receiveAll().toString(), 'from the first, from the second');
});

void t.test('a death is the end of the stream where all was read, and a reset where not', (tt) => {
  for (const [what, read, resets] of [
    ['all read', true, false],
    ['in its queue', false, true],
    ['in the log', 'not taken in', true],
  ] as const) {
    const network = new Network({ mechanism: 'ring' });
    const [client, server] = network.pair(2, 1);
    client.socket.deathAsTcp = true;
    server.sendAll('answer');
    network.settle();
    if (read === 'not taken in') network.stalled.add(1);
    client.sendAll('question');
    network.settle();
    if (read === true) server.receive();
    network.end(1);
    network.settle();
    tt.equal(client.receive().toString(), 'answer');
    tt.equal(client.socket.resetErrno, resets ? errnoOf('ECONNRESET') : 0, what);
    tt.equal(client.socket.deathErrno, resets ? 0 : errnoOf('ECONNRESET'), what);
    tt.same(client.told, resets ? ['connected 0', 'reset'] : ['connected 0']);
    if (!resets) tt.ok(client.atEnd && client.socket.peerGone);
    tt.ok(client.close());
  }
  tt.end();
});
