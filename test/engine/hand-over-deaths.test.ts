/** Hand-overs in which the giver, the taker or the process of the other end dies. */
import t from 'tap';
import { errnoOf } from '../../src/errors';
import { SocketState } from '../../src/layout';
import { big, lastOf, small } from './hand-over-kit';
import { eachMechanism } from './mechanisms';

eachMechanism(
  'both ends are given to one process, and a giver dies at any moment: both takers come to an end',
  (tt, mechanism) => {
    const wrong: string[] = [];
    for (const dying of [1, 2]) {
      for (const first of [1, 2]) {
        for (let moment = 0; moment < 60; moment++) {
          const network = small(mechanism, 3);
          const ends = network.pair(1, 2);
          for (const end of ends) end.send('unread');
          network.settle();
          const [one, other] = (first === 1 ? ends : [...ends].reverse()).map((end) => network.take(3, end.give()));
          for (let round = 0; round < moment; round++) network.round();
          network.end(dying);
          network.wait(60_000);
          const told =
            `process ${dying} dies after ${moment} rounds, ${first} gave first: ` +
            JSON.stringify([one?.told, other?.told]);
          for (const taker of [one, other])
            if (taker?.told.some((what) => what.startsWith('took ')) !== true) wrong.push(told);
          for (const probe of [...ends, one, other])
            if (probe !== undefined && probe.process.process !== dying && probe.socket.state !== SocketState.free)
              probe.close();
          network.wait(60_000);
          if (network.socketCount > 0) wrong.push(`${network.socketCount} sockets are left where ${told}`);
        }
      }
    }
    tt.same(wrong, []);
  },
);

eachMechanism(
  'a taker that dies before it has the socket gives it back, and one that dies after resets it',
  (tt, mechanism) => {
    const outcomes = new Set<string>();
    for (let rounds = 1; rounds < 40; rounds++) {
      const network = small(mechanism, 3);
      const [client, server] = network.pair(1, 2);
      client.sendAll(big);
      network.settle();
      network.take(3, server.give());
      network.process(3).flush();
      for (let round = 0; round < rounds; round++) network.round();
      network.end(3);
      network.settle();
      if (server.told.length === 0) {
        // It died before the request was seen.
        outcomes.add('offered');
        continue;
      }
      outcomes.add(lastOf(server) ?? '');
      if (lastOf(server) === 'taken true') tt.equal(lastOf(client), 'reset', `${rounds} rounds`);
      else
        tt.ok(
          server.receiveAll().equals(big.subarray(0, server.socket.bytesReceived)) &&
            server.socket.bytesReceived === big.length,
          `${rounds} rounds`,
        );
    }
    tt.ok(outcomes.has('taken false') && outcomes.has('taken true'), [...outcomes].join());
  },
);

eachMechanism('a giver that dies takes the connection along unless it had moved', (tt, mechanism) => {
  const outcomes = new Set<string>();
  for (let rounds = 1; rounds < 40; rounds++) {
    const network = small(mechanism, 3);
    const [client, server] = network.pair(1, 2);
    client.sendAll('dear');
    network.settle();
    const taken = network.take(3, server.give());
    network.process(3).flush();
    for (let round = 0; round < rounds; round++) network.round();
    network.end(2);
    network.settle();
    outcomes.add(lastOf(taken) ?? 'nothing');
    if (lastOf(taken) === 'took 0') {
      tt.equal(taken.receive().toString(), 'dear');
      client.sendAll(' friend');
      tt.equal(taken.receiveAll().toString(), ' friend', `${rounds} rounds`);
    } else tt.equal(lastOf(client), 'reset', `${rounds} rounds`);
    tt.equal(network.process(3).engine.count, lastOf(taken) === 'took 0' ? 1 : 0);
  }
  tt.ok(outcomes.has('took 0') && outcomes.has(`took ${errnoOf('ECONNRESET')}`), [...outcomes].join());
});

eachMechanism(
  'a taker whose giver dies after the move, and before the peer has seen it, has its connection',
  (tt, mechanism) => {
    const network = small(mechanism, 3);
    const [client, server] = network.pair(1, 2);
    const taken = network.take(3, server.give());
    network.process(3).flush();
    // All but the peer go on: the giver has moved it and dies, the peer has read nothing of it yet.
    const peer = network.process(1);
    for (let round = 0; round < 60 && server.told.length === 0; round++) {
      const stop = network.process(2).engine.sockets[server.socket.index]?.hand;
      if (stop?.role === 'giver' && (stop.phase === 'sending' || stop.phase === 'sent')) peer.dead = true;
      network.round();
    }
    tt.equal(lastOf(server), 'taken true');
    network.end(2);
    for (let round = 0; round < 20; round++) network.round();
    tt.same(taken.told, [], 'it asks the peer and waits');
    peer.dead = false;
    network.settle();
    tt.same(taken.told, ['took 0']);
    client.sendAll('alive');
    tt.equal(taken.receiveAll().toString(), 'alive');
  },
);

eachMechanism('a taker that asks a peer which then closes what it had given is told', (tt, mechanism) => {
  const network = small(mechanism, 3);
  const [client, server] = network.pair(1, 2);
  const taken = network.take(3, server.give());
  network.process(3).flush();
  // The giver is gone before it has moved the socket, the peer does not know that yet and has given its end as well.
  network.until(() => server.socket.hand?.role === 'giver' && server.socket.hand.phase === 'sent');
  network.process(2).dead = true;
  client.give();
  network.until(() => taken.socket.hand?.role === 'taker' && taken.socket.hand.phase === 'ready');
  network.end(2);
  network.process(1).deathsToTell.set(2, Infinity);
  network.until(() => client.socket.claimant !== null);
  tt.ok(client.close());
  network.settle();
  tt.same(taken.told, [`took ${errnoOf('ECONNRESET')}`]);
});

eachMechanism('a peer that dies during the hand-over resets it at both', (tt, mechanism) => {
  const outcomes = new Set<string>();
  for (let rounds = 1; rounds < 30; rounds++) {
    const network = small(mechanism, 3);
    const [, server] = network.pair(1, 2);
    const taken = network.take(3, server.give());
    network.process(3).flush();
    for (let round = 0; round < rounds; round++) network.round();
    network.end(1);
    network.settle();
    outcomes.add(`${lastOf(server) ?? ''} ${lastOf(taken) ?? ''}`);
    const held = network.process(2).engine.count + network.process(3).engine.count;
    tt.ok(held <= 1, `${rounds} rounds: one of them holds it at most, to read the reset`);
    tt.ok(
      [server, taken].some(
        (probe) => probe.told.includes('reset') || probe.told.includes(`took ${errnoOf('ECONNRESET')}`),
      ),
      `${rounds} rounds: ${server.told.join()} ${taken.told.join()}`,
    );
  }
  tt.comment([...outcomes].join('; '));
});

void t.test('an owner that throws when its socket comes back is still told what there is to read', (tt) => {
  const network = small('ring', 3);
  const [client, server] = network.pair(1, 2);
  client.sendAll('wait for me');
  network.settle();
  server.receive(2);
  network.take(3, server.give());
  network.process(3).flush();
  network.until(() => server.socket.hand?.role !== 'giver' || server.socket.hand.phase !== 'offered');
  let readable = 0;
  server.onNotice = (what) => {
    if (what === 'readable') readable++;
    else throw new Error(what);
  };
  network.end(3);
  tt.throws(() => {
    network.settle();
  }, /taken false/);
  network.settle();
  tt.equal(readable, 1);
  tt.equal(server.receive().toString(), 'it for me');
  tt.end();
});
