/** Several processes share a port: clients find one that has time for them, between simulated processes. */
import t from 'tap';
import { errnoOf } from '../../src/errors';
import { askingCost, dispatch } from '../../src/engine';
import { reason } from '../../src/engine/reason';
import { OfferPayload, RecordType } from '../../src/layout';
import { eachMechanism } from './mechanisms';
import { Network, type Probe } from './network';

const CLIENT = 3;

function queued(listener: Probe): number {
  return listener.socket.listener?.queue.length ?? 0;
}

/** Accepts whatever it is told of. */
function eager(listener: Probe): Probe[] {
  const accepted: Probe[] = [];
  listener.onNotice = () => {
    while (queued(listener) > 0) accepted.push(listener.network.accept(listener));
  };
  return accepted;
}

eachMechanism(
  'a client goes on to another listener where the first one is held up, and that one never hears of it',
  (tt, mechanism) => {
    const network = new Network({ mechanism, processes: 3 });
    const busy = network.listen(1, 7, 64);
    const idle = network.listen(2, 7, 64);
    const accepted = eager(idle);
    network.stalled.add(1);
    const clients = Array.from({ length: 20 }, () => network.connect(CLIENT, 1, 7, { anyListener: true }));
    network.settle();
    tt.equal(accepted.length, 0);
    network.wait(10);
    tt.equal(accepted.length, 20);
    for (const client of clients) {
      tt.same(client.told, ['connected 0']);
      tt.equal(client.socket.peer?.process, 2);
    }
    network.stalled.clear();
    network.settle();
    tt.same(busy.told, []);
    tt.equal(busy.socket.listener?.asks.size, 0, 'no request is left there');
    const late = network.connect(CLIENT, 1, 7, { anyListener: true });
    const there = eager(busy);
    network.settle();
    tt.same(late.told, ['connected 0'], 'and it goes on');
    tt.equal(there.length, 1);
  },
);

eachMechanism(
  'of two listeners that are ready at the same moment one accepts, and the other never hears of it',
  (tt, mechanism) => {
    const network = new Network({ mechanism, processes: 3 });
    const listeners = [network.listen(1, 7), network.listen(2, 7)];
    const accepted = listeners.map(eager);
    for (const number of [1, 2]) network.stalled.add(number);
    const client = network.connect(CLIENT, 1, 7, { anyListener: true });
    network.settle();
    network.wait(10);
    tt.equal(client.socket.asked.length, 2, 'both are asked');
    network.stalled.clear();
    network.settle();
    tt.same(client.told, ['connected 0']);
    tt.equal(accepted.flat().length, 1);
    tt.same(accepted.flat()[0]?.told, []);
    tt.same(
      listeners.map(({ socket }) => socket.listener?.asks.size),
      [0, 0],
    );
  },
);

eachMechanism(
  'a listener that does not accept holds one request of a client process, and the rest go elsewhere',
  (tt, mechanism) => {
    const network = new Network({ mechanism, processes: 3 });
    const slow = network.listen(1, 7);
    const accepted = eager(network.listen(2, 7));
    const clients = Array.from({ length: 10 }, () => network.connect(CLIENT, 1, 7, { anyListener: true }));
    network.settle();
    for (let tries = 0; tries < 2; tries++) network.wait(10);
    tt.equal(queued(slow), 1);
    tt.equal(accepted.length, 9);
    network.accept(slow);
    network.settle();
    for (const client of clients) tt.same(client.told, ['connected 0']);
  },
);

eachMechanism('who left a request without an answer is asked after the others, for a while', (tt, mechanism) => {
  const network = new Network({ mechanism, processes: 3 });
  eager(network.listen(1, 7));
  eager(network.listen(2, 7));
  const { engine } = network.process(CLIENT);
  const next = network.connect(CLIENT, 2, 7, { anyListener: true });
  network.settle();
  const cost = (): number => askingCost(engine, next.socket, 1);
  tt.equal(cost(), 0);
  network.stalled.add(1);
  const client = network.connect(CLIENT, 1, 7, { anyListener: true });
  network.settle();
  tt.equal(askingCost(engine, client.socket, 1), Infinity, 'it is asked already');
  network.wait(10);
  tt.same(client.told, ['connected 0']);
  tt.equal(cost(), 1);
  network.stalled.clear();
  network.settle();
  tt.equal(cost(), 0, 'it has answered, if late');
});

eachMechanism('a client that gives up while it asks leaves nothing anywhere', (tt, mechanism) => {
  for (const how of ['closes', 'runs out of time', 'dies'] as const) {
    const network = new Network({ mechanism, processes: 3 });
    const listeners = [network.listen(1, 7), network.listen(2, 7)];
    for (const number of [1, 2]) network.stalled.add(number);
    const client = network.connect(CLIENT, 1, 7, { timeoutMs: how === 'runs out of time' ? 25 : 0, anyListener: true });
    network.settle();
    network.wait(10);
    if (how === 'closes') tt.ok(client.close());
    else if (how === 'dies') network.end(CLIENT);
    else {
      network.wait(20);
      tt.same(client.told, [`connected ${errnoOf('ETIMEDOUT')}`]);
      tt.ok(client.close());
    }
    network.stalled.clear();
    network.settle();
    for (const listener of listeners) {
      tt.same(listener.told, [], how);
      tt.equal(listener.socket.listener?.asks.size, 0);
    }
    if (how !== 'dies') tt.equal(network.process(CLIENT).engine.count, 0);
  }
});

eachMechanism(
  'a client that asks learns of listeners that close or die, and fails when the last is gone',
  (tt, mechanism) => {
    const network = new Network({ mechanism, processes: 3 });
    const first = network.listen(1, 7);
    network.listen(2, 7);
    // It takes a request that it never accepts: those behind wait for an offer.
    network.connect(CLIENT, 1, 7, { anyListener: true });
    network.connect(CLIENT, 2, 7, { anyListener: true });
    const client = network.connect(CLIENT, 1, 7, { anyListener: true });
    network.settle();
    network.wait(10);
    tt.equal(client.socket.asked.length, 2);
    tt.ok(first.close());
    network.settle();
    tt.same(
      client.socket.asked.map(({ peer }) => peer.process),
      [2],
    );
    network.end(2);
    network.settle();
    network.wait(600);
    tt.same(client.told, [`connected ${errnoOf('ECONNRESET')}`]);
  },
);

eachMechanism(
  'the death of a client whose request waits to be accepted makes way for those behind',
  (tt, mechanism) => {
    const network = new Network({ mechanism, processes: 3 });
    const listener = network.listen(1, 7);
    network.connect(2, 1, 7, { anyListener: true });
    network.settle();
    tt.equal(queued(listener), 1);
    const client = network.connect(CLIENT, 1, 7, { anyListener: true });
    network.settle();
    const accepted = eager(listener);
    network.end(2);
    network.settle();
    tt.equal(accepted.length, 1);
    tt.same(client.told, ['connected 0']);
  },
);

/** `client` reads an answer of process 1 to its ASK number `attempt`. */
function answer(client: Probe, type: number, payload: Uint8Array): void {
  const { engine } = client.network.process(CLIENT);
  const peer = engine.peer(1);
  if (peer === undefined) throw new Error('no link');
  const { index, generation } = client.socket;
  const bytes = Buffer.from(payload);
  dispatch(engine, peer, { type, source: 0, socket: index, generation, bytes, at: 0, lengthBytes: bytes.length });
}

function offerOf(attempt: number): Uint8Array {
  const payload = new Uint8Array(OfferPayload.sizeBytes);
  OfferPayload.encode({ attempt }, payload);
  return payload;
}

eachMechanism('an answer that comes late is none to what the client asks now', (tt, mechanism) => {
  const network = new Network({ mechanism, processes: 3 });
  const accepted = eager(network.listen(1, 7));
  network.stalled.add(1);
  const client = network.connect(CLIENT, 1, 7, { anyListener: true });
  const { socket } = client;
  network.settle();
  const askedFirst = socket.attempt;
  // As if it had asked once more since.
  socket.attempt += 1;
  socket.asked = socket.asked.map((asked) => ({ ...asked, attempt: socket.attempt }));
  answer(client, RecordType.offer, offerOf(askedFirst));
  tt.equal(socket.peer, null, 'an older OFFER leads to no CONNECT');
  answer(client, RecordType.decline, reason(errnoOf('ECONNRESET'), askedFirst));
  tt.equal(socket.asked.length, 1, 'an older DECLINE turns none away');
  answer(client, RecordType.offer, offerOf(socket.attempt));
  tt.equal(socket.peer?.process, 1, 'the right OFFER is taken');
  answer(client, RecordType.refuse, reason(errnoOf('ECONNRESET'), askedFirst));
  tt.equal(socket.retryTimer, null, 'an older REFUSE is none of the CONNECT');
  network.stalled.clear();
  network.settle();
  tt.equal(accepted.length, 1);
  tt.same(client.told, ['connected 0']);
});

void t.test('requests beyond the backlog are turned away for now', (tt) => {
  const network = new Network({ mechanism: 'ring' });
  const listener = network.listen(1, 7, 2);
  const clients = Array.from({ length: 6 }, () => network.connect(2, 1, 7, { anyListener: true }));
  network.settle();
  tt.equal(queued(listener), 1);
  tt.equal([...(listener.socket.listener?.asks.values() ?? [])][0]?.waiting.size, 2);
  for (let round = 0; round < 60; round++) {
    if (queued(listener) > 0) network.accept(listener);
    network.wait(50);
  }
  for (const client of clients) tt.same(client.told, ['connected 0']);
  tt.end();
});
