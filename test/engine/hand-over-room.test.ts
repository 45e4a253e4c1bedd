/** A hand-over whose last step finds the log to the connection's other end full. */
import { eachMechanism } from './mechanisms';
import { Network, type Probe } from './network';

interface Scene {
  readonly network: Network;
  readonly client: Probe;
  readonly server: Probe;
  readonly taken: Probe;
}

/** Process 2 gives the end of a connection to 3, all is handed over, and the log in which 1 is to learn of it has no room. */
function waitingToMove(mechanism: 'ring' | 'frames'): Scene {
  const network = new Network({ mechanism, processes: 3, capacityBytes: mechanism === 'ring' ? 4096 : 16_384, windowBytes: 6000 });
  const [client, server] = network.pair(1, 2);
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
