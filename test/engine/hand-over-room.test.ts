/** A hand-over whose last step finds the log to the connection's other end full. */
import { eachMechanism } from './mechanisms';
import { Network, type Probe } from './network';

interface Scene {
  readonly network: Network;
  readonly client: Probe;
  readonly server: Probe;
  readonly taken: Probe;
}

/**
 * Process 2 gives the end of a connection to 3, all is handed over, and the log in which 1 is to learn of it has no
 * room. `last` is what 1 sent, and all that it will.
 */
function waitingToMove(mechanism: 'ring' | 'frames', last?: string): Scene {
  const network = new Network({
    mechanism,
    processes: 3,
    capacityBytes: mechanism === 'ring' ? 4096 : 16_384,
    windowBytes: 6000,
  });
  const [client, server] = network.pair(1, 2);
  if (last !== undefined) {
    client.sendAll(last);
    client.shutdown('w');
    network.settle();
  }
  const taken = network.take(3, server.give());
  const phase = (): string | undefined => server.socket.hand?.phase;
  network.process(3).flush();
  network.until(() => phase() === 'sent');
  network.stalled.add(1);
  while (network.process(2).engine.peers.get(1)?.waiting !== true) network.connect(2, 1, 77);
  network.until(() => phase() === 'moving');
  for (let round = 0; round < 20; round++) network.round();
  return { network, client, server, taken };
}

eachMechanism('a giver is told only when the move is in the log, and may end at once', (tt, mechanism) => {
  const { network, client, server, taken } = waitingToMove(mechanism);
  tt.same([server.told, taken.told], [[], []]);
  network.stalled.clear();
  network.until(() => server.told.length > 0);
  network.end(2, true);
  network.settle();
  tt.same([server.told, taken.told], [['taken true'], ['took 0']]);
  client.sendAll('alive');
  tt.equal(taken.receiveAll().toString(), 'alive');
});

eachMechanism('a taker that dies before the move gives the socket back', (tt, mechanism) => {
  const { network, client, server } = waitingToMove(mechanism);
  network.end(3);
  for (let round = 0; round < 20; round++) network.round();
  tt.same(server.told, ['taken false']);
  network.stalled.clear();
  network.settle();
  client.sendAll('mine');
  tt.equal(server.receiveAll().toString(), 'mine');
});

eachMechanism('the other end may die before the move: both ends learn of it', (tt, mechanism) => {
  const { network, server, taken } = waitingToMove(mechanism);
  network.end(1);
  network.settle();
  tt.equal(server.told.at(-1), 'reset');
  tt.match(taken.told, [/^took 1/u]);
});

/** The other end has ended its stream and died; the taker knows, and the giver not yet. */
function otherEndDead(mechanism: 'ring' | 'frames'): Scene {
  const scene = waitingToMove(mechanism, 'once');
  scene.network.stalled.add(2);
  scene.network.end(1);
  scene.network.settle();
  return scene;
}

eachMechanism(
  "the last bytes of an end that is gone are the taker's only when the giver has let go",
  (tt, mechanism) => {
    const { network, server, taken } = otherEndDead(mechanism);
    tt.same([server.told, taken.told], [[], []]);
    network.stalled.clear();
    network.settle();
    tt.same([server.told, taken.told], [['taken true'], ['took 0']]);
    tt.equal(taken.receive().toString(), 'once');
    tt.ok(taken.atEnd);
  },
);

eachMechanism(
  'the giver has them where the taker dies before that, and the taker where the giver does',
  (tt, mechanism) => {
    const one = otherEndDead(mechanism);
    one.network.end(3);
    one.network.stalled.clear();
    one.network.settle();
    if (one.server.told[0] === 'taken false') tt.equal(one.server.receive().toString(), 'once');
    else tt.same(one.server.told, ['taken true'], 'it learns of the death of the other end first, and lets go');
    const other = otherEndDead(mechanism);
    other.network.end(2);
    other.network.settle();
    tt.same(other.taken.told, ['took 0']);
    tt.equal(other.taken.receive().toString(), 'once');
  },
);

eachMechanism(
  'a taker that asks the other end after it was attached, and that one closed, is not reset',
  (tt, mechanism) => {
    let asked = 0;
    for (let seed = 1; seed <= 12; seed++) {
      const network = new Network({ mechanism, processes: 3, seed });
      const [client, server] = network.pair(1, 2);
      client.sendAll('all');
      client.shutdown('w');
      server.shutdown('w');
      network.settle();
      const taken = network.take(3, server.give());
      network.until(() => taken.socket.hand?.role === 'taker' && taken.socket.hand.phase === 'ready');
      network.stalled.add(3);
      client.close();
      network.until(() => client.told.at(-1) === 'closed 0');
      network.end(2);
      for (let round = 0; round < 12; round++) network.round();
      network.stalled.clear();
      taken.onNotice = () => {
        asked += network.process(3).gone.has(2) ? 1 : 0;
      };
      network.settle();
      tt.same(taken.told, ['took 0'], `seed ${seed}`);
      tt.equal(taken.receive().toString(), 'all');
      tt.ok(taken.close());
      tt.equal(network.socketCount, 0);
    }
    tt.ok(asked > 0, 'it was told of the death first');
  },
);
