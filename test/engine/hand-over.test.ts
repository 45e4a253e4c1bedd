/** STPgivesocket and STPtakesocket between simulated processes. */
import { errnoOf } from '../../src/errors';
import { SocketState } from '../../src/layout';
import { big, lastOf, small } from './hand-over-kit';
import { eachMechanism } from './mechanisms';
import { Network } from './network';

eachMechanism(
  'a connection goes on in another process, with what was unread, unsent and under way',
  (tt, mechanism) => {
    const network = small(mechanism, 3);
    const [client, server] = network.pair(1, 2);
    client.sendAll(big);
    network.settle();
    tt.ok(server.receive(2500).equals(big.subarray(0, 2500)));
    server.sendAll(big);
    const token = server.give();
    client.send('nothing may get lost');
    const taken = network.take(3, token);
    network.settle();
    tt.equal(lastOf(server), 'taken true');
    tt.same(server.sends, [0], 'its unsent bytes went along');
    tt.same(taken.told, ['took 0']);
    tt.equal(taken.socket.remote.port, client.socket.local.port);
    const there: Buffer[] = [];
    const back: Buffer[] = [];
    for (let round = 0; round < 100; round++) {
      network.settle();
      there.push(Buffer.from(taken.receive(4000)));
      back.push(Buffer.from(client.receive(4000)));
    }
    tt.ok(Buffer.concat([big.subarray(0, 2500), ...there]).equals(big));
    tt.ok(Buffer.concat(back).equals(big));
    client.close();
    taken.close();
    network.settle();
    tt.equal(network.socketCount, 0);
  },
);

eachMechanism('a connection can be given to its own process and to the process of its peer', (tt, mechanism) => {
  const network = small(mechanism, 2);
  const [client, server] = network.pair(1, 2);
  const own = network.take(2, server.give());
  network.settle();
  tt.equal(lastOf(own), 'took 0');
  const there = network.take(1, own.give());
  network.settle();
  tt.equal(lastOf(there), 'took 0');
  client.sendAll(big);
  tt.ok(there.receiveAll().equals(big));
});

eachMechanism('the end of the stream, seen or not, is handed over too', (tt, mechanism) => {
  const network = small(mechanism, 3);
  const [client, server] = network.pair(1, 2);
  server.shutdown('w');
  client.sendAll('all');
  client.shutdown('w');
  network.settle();
  const taken = network.take(3, server.give());
  network.settle();
  tt.equal(lastOf(taken), 'took 0');
  tt.equal(taken.receive().toString(), 'all');
  tt.ok(taken.atEnd);
  tt.equal(taken.socket.state, SocketState.closing);
  tt.ok(client.close());
  tt.ok(taken.close());
});

eachMechanism('a connection whose other end has closed for good is handed over for its bytes', (tt, mechanism) => {
  const network = small(mechanism, 3);
  const [client, server] = network.pair(1, 2);
  client.sendAll('inheritance');
  client.close();
  network.settle();
  tt.equal(lastOf(client), 'closed 0');
  const taken = network.take(3, server.give());
  network.settle();
  tt.equal(lastOf(taken), 'took 0');
  tt.equal(lastOf(server), 'taken true');
  tt.equal(taken.receive().toString(), 'inheritance');
  tt.ok(taken.atEnd);
  tt.ok(taken.close());
  tt.equal(network.socketCount, 0);
});

eachMechanism(
  'the same where the process of the other end has left, before the take and during it',
  (tt, mechanism) => {
    for (const rounds of [0, 1, 2, 3, 4, 5, 6, 8, 10, 14]) {
      const network = small(mechanism, 3);
      const [client, server] = network.pair(1, 2);
      client.sendAll('inheritance');
      client.close();
      network.settle();
      const token = server.give();
      network.end(1);
      for (let round = 0; round < rounds; round++) network.round();
      const taken = network.take(3, token);
      network.settle();
      const heir = lastOf(taken) === 'took 0' ? taken : server;
      tt.equal(heir.receive().toString(), 'inheritance', `${rounds} rounds`);
      tt.ok(heir.atEnd, `${rounds} rounds`);
    }
  },
);

eachMechanism('both ends are handed over at once', (tt, mechanism) => {
  for (const lead of [0, 1, 2, 3, 4]) {
    const network = small(mechanism, 4);
    const [client, server] = network.pair(1, 2);
    client.sendAll(big.subarray(0, 20_000));
    server.sendAll(big.subarray(0, 30_000));
    const serverToken = server.give();
    const clientToken = client.give();
    const newServer = network.take(4, serverToken);
    for (let round = 0; round < lead; round++) network.round();
    const newClient = network.take(3, clientToken);
    network.settle();
    tt.same([lastOf(newServer), lastOf(newClient)], ['took 0', 'took 0'], `${lead} rounds apart`);
    const there: Buffer[] = [];
    const back: Buffer[] = [];
    for (let round = 0; round < 20; round++) {
      there.push(newServer.receiveAll());
      back.push(newClient.receiveAll());
    }
    tt.ok(Buffer.concat(there).equals(big.subarray(0, 20_000)), `there, ${lead} rounds apart`);
    tt.ok(Buffer.concat(back).equals(big.subarray(0, 30_000)), `back, ${lead} rounds apart`);
  }
});

eachMechanism('a token works once, only with its secret, and only for whom it was made', (tt, mechanism) => {
  const network = small(mechanism, 4);
  const [, server] = network.pair(1, 2);
  const token = server.give(3);
  const wrong = network.take(3, { ...token, secret: new Uint8Array(32) });
  const foreign = network.take(4, token);
  network.settle();
  tt.same(wrong.told, [`took ${errnoOf('EBADF')}`]);
  tt.same(foreign.told, [`took ${errnoOf('EACCES')}`]);
  const right = network.take(3, token);
  network.settle();
  const again = network.take(3, token);
  network.settle();
  tt.same(right.told, ['took 0']);
  tt.same(again.told, [`took ${errnoOf('EBADF')}`]);
});

eachMechanism('a give that nobody takes runs out and resets the connection', (tt, mechanism) => {
  const network = small(mechanism, 3);
  const [client, server] = network.pair(1, 2);
  server.sendAll(big);
  const token = server.give(0, 1000);
  network.wait(999);
  tt.same(server.told, []);
  network.wait(2);
  tt.same(server.told, ['reset']);
  tt.same(server.sends, [errnoOf('ETIMEDOUT')]);
  tt.equal(lastOf(client), 'reset');
  tt.equal(client.socket.resetErrno, errnoOf('ECONNRESET'));
  const late = network.take(3, token);
  network.settle();
  tt.same(late.told, [`took ${errnoOf('EBADF')}`]);
});

eachMechanism('a sender that was held back by a hand-over is told when it may go on', (tt, mechanism) => {
  const network = new Network({ mechanism, processes: 3, windowBytes: 1000 });
  const [client, server] = network.pair(1, 2);
  client.sendAll(Buffer.alloc(100));
  server.sendAll(Buffer.alloc(1000));
  network.settle();
  network.take(3, server.give());
  network.process(3).flush();
  network.until(() => client.socket.frozen);
  // It owes credit, too.
  tt.equal(client.receive().length, 1000);
  tt.equal(client.send('held back'), -1);
  network.settle();
  tt.same(client.told, ['connected 0', 'writable']);
});

eachMechanism(
  'a peer that has closed, and resets for bytes it threw away, ends with the hand-over',
  (tt, mechanism) => {
    for (let rounds = 0; rounds < 12; rounds++) {
      const network = small(mechanism, 3);
      const [client, server] = network.pair(1, 2);
      client.sendAll('my last');
      client.close();
      server.sendAll('too late');
      server.shutdown('w');
      network.take(3, server.give());
      network.process(3).flush();
      for (let round = 0; round < rounds; round++) network.round();
      network.settle();
      tt.match(lastOf(client), /^closed/, `${rounds} rounds`);
      tt.equal(network.process(1).engine.count, 0);
    }
  },
);

eachMechanism('a give that runs out while the other end is handed over resets it all the same', (tt, mechanism) => {
  for (const closes of [true, false]) {
    const network = small(mechanism, 3);
    const [client, server] = network.pair(1, 2);
    client.sendAll(big);
    network.settle();
    network.take(3, server.give());
    // The taker asks, and then does not run.
    network.round();
    network.process(3).dead = true;
    network.settle();
    tt.ok(client.socket.frozen);
    const token = client.give(0, 100);
    network.wait(200);
    tt.equal(client.told.length, 1, 'it has to wait for the end of the other hand-over');
    if (closes) tt.ok(client.close());
    network.end(3);
    network.settle();
    tt.ok(server.told.includes('reset'), server.told.join());
    if (!closes) tt.equal(lastOf(client), 'reset');
    tt.equal(client.process.engine.timers.nextMs, Infinity);
    tt.equal(token.socket, client.socket.index);
  }
});

eachMechanism(
  'a giver that closes before the take resets the connection, and what it had to send fails',
  (tt, mechanism) => {
    const network = small(mechanism, 3);
    const [client, server] = network.pair(1, 2);
    server.sendAll(big);
    const token = server.give();
    tt.ok(server.close());
    tt.same(server.sends, [errnoOf('ECONNABORTED')]);
    network.settle();
    tt.equal(lastOf(client), 'reset');
    const late = network.take(3, token);
    network.settle();
    tt.same(late.told, [`took ${errnoOf('EBADF')}`]);
    client.close();
    tt.equal(network.socketCount, 0);
  },
);

eachMechanism('a giver that closes during the take lets it come to its end', (tt, mechanism) => {
  for (const rounds of [2, 4, 6, 8, 10]) {
    const network = small(mechanism, 3);
    const [client, server] = network.pair(1, 2);
    client.sendAll('still here');
    network.settle();
    const taken = network.take(3, server.give());
    for (let round = 0; round < rounds; round++) network.round();
    const socket = server.socket;
    const done = lastOf(server) === 'taken true' || server.close();
    network.settle();
    const kept = lastOf(taken) === 'took 0';
    tt.ok(
      kept ? taken.receive().toString() === 'still here' : lastOf(client) === 'reset',
      `${rounds} rounds: ${taken.told.join()}`,
    );
    tt.ok(done || server.told.some((what) => what.startsWith('closed')), `${rounds} rounds: the close is complete`);
    tt.equal(socket.state, SocketState.free);
  }
});

eachMechanism(
  'a peer that closes or resets during the hand-over is heard by whoever has the socket',
  (tt, mechanism) => {
    for (let rounds = 1; rounds < 30; rounds += 2) {
      for (const hard of [true, false]) {
        const network = small(mechanism, 3);
        const [client, server] = network.pair(1, 2);
        client.sendAll('bye');
        network.settle();
        const taken = network.take(3, server.give());
        for (let round = 0; round < rounds; round++) network.round();
        client.close(hard ? 0 : -1);
        network.settle();
        const heir = lastOf(taken) === 'took 0' || taken.told.includes('reset') ? taken : server;
        if (hard)
          tt.ok(heir.told.includes('reset') || lastOf(taken) === `took ${errnoOf('ECONNRESET')}`, `${rounds} rounds`);
        else {
          tt.equal(
            heir.receive().toString(),
            'bye',
            `${rounds} rounds: ${server.told.join()}; ${taken.told.join()}; ${client.told.join()}`,
          );
          tt.ok(heir.atEnd, `${rounds} rounds`);
          tt.equal(lastOf(client), 'closed 0');
        }
      }
    }
  },
);
