/** What waits for room in a log, and the order in which it gets it. */
import t from 'tap';
import { errnoOf, type StpError } from '../../src/errors';
import { Peer, type PeerPort } from '../../src/engine';
import { CONTROL_QUEUE_MAX } from '../../src/engine/peer';
import { type RecordEnds, RecordType } from '../../src/layout';
import { Network } from './network';

/** A port that notes what it takes; no room while `full`. */
class NotingPort implements PeerPort {
  readonly remote = false;
  readonly attached = true;
  readonly process = 1;
  readonly epoch = 1;
  readonly taken: string[] = [];
  full = false;

  append(type: number, _ends: RecordEnds, payload: Uint8Array | null, from: number, to: number): number {
    if (this.full) return -1;
    this.taken.push(`${type}:${payload === null ? '' : Buffer.from(payload.subarray(from, to)).toString()}`);
    return to - from;
  }

  publishNow(): void {
    // Nobody reads.
  }

  publishSoon(): void {
    // Nobody reads.
  }

  fail(error: StpError): void {
    this.taken.push(error.code);
  }
}

void t.test('a peer that makes us answer and never reads ends its link', (tt) => {
  const port = new NotingPort();
  port.full = true;
  const peer = new Peer(port);
  for (let i = 0; i < CONTROL_QUEUE_MAX; i++) peer.control(4, 0, 0, 0, null);
  tt.same(port.taken, []);
  peer.control(4, 0, 0, 0, null);
  tt.same(port.taken, ['ENOBUFS']);
  tt.end();
});

void t.test('a control record that waits is a copy, keeps its place, and data does not overtake it', (tt) => {
  const port = new NotingPort();
  const peer = new Peer(port);
  const shared = Buffer.from('first');
  port.full = true;
  peer.control(6, 0, 0, 0, shared);
  shared.write('other');
  port.full = false;
  peer.control(7, 0, 0, 0, shared);
  tt.equal(peer.data(5, { index: 0, remoteSocket: 0, remoteGeneration: 0 }, Buffer.from('data'), 0, 4), -1);
  tt.ok(peer.drainControl());
  tt.equal(peer.data(5, { index: 0, remoteSocket: 0, remoteGeneration: 0 }, Buffer.from('data'), 0, 4), 4);
  tt.same(port.taken, ['6:first', '7:other', '5:data']);
  tt.end();
});

void t.test('credit that a giver could not give for want of room is given by the taker', (tt) => {
  const network = new Network({ mechanism: 'ring', processes: 3, capacityBytes: 4096, windowBytes: 3000 });
  const [client, server] = network.pair(1, 2);
  client.sendAll(Buffer.alloc(9000, 1));
  network.settle();
  // The client's process does not run, and the log to it is full.
  network.process(1).dead = true;
  const toClient = network.process(2).engine.peer(1);
  while (toClient?.waiting === false) toClient.control(RecordType.gone, 0, 9999, 0, new Uint8Array(16));
  tt.equal(server.receive().length, 3000);
  tt.ok(server.socket.owesCredit);
  const taken = network.take(3, server.give());
  for (let round = 0; round < 30; round++) network.round();
  network.process(1).dead = false;
  network.settle();
  tt.same(taken.told, ['took 0']);
  tt.equal(taken.receiveAll().length, 6000);
  tt.end();
});

void t.test('an owner that throws at the death of a process does not keep it from the others', (tt) => {
  const network = new Network({ mechanism: 'ring' });
  const pairs = Array.from({ length: 3 }, () => network.pair(1, 2));
  for (const [, server] of pairs.slice(0, 2)) {
    server.onNotice = (what) => {
      throw new Error(`mine: ${what}`);
    };
  }
  network.end(1);
  let thrown: unknown;
  try {
    network.settle();
  } catch (error) {
    thrown = error;
  }
  tt.ok(thrown instanceof AggregateError && thrown.errors.length === 2, 'what they threw goes up, together');
  for (const [, server] of pairs) tt.ok(server.told.includes('reset'));
  tt.end();
});

void t.test('an owner that throws in a timer does not stop the timers of others', (tt) => {
  const network = new Network({ mechanism: 'ring' });
  const listener = network.listen(2, 5);
  const clients = [10, 10, 40].map((limitMs) => network.connect(1, 2, 5, { timeoutMs: limitMs }));
  network.settle();
  tt.equal(listener.socket.listener?.queue.length, 3);
  for (const client of clients) {
    client.onNotice = () => {
      throw new Error('mine');
    };
  }
  tt.throws(() => {
    network.wait(15);
  });
  tt.throws(() => {
    network.wait(30);
  }, /mine/);
  for (const client of clients) tt.same(client.told, [`connected ${errnoOf('ETIMEDOUT')}`]);
  tt.end();
});

void t.test('a sender that waits is told when a reset ends its wait', (tt) => {
  const network = new Network({ mechanism: 'ring', windowBytes: 1000 });
  const [client, server] = network.pair(1, 2);
  client.sendAll(Buffer.alloc(5000));
  network.settle();
  server.close(0);
  network.settle();
  tt.same(client.sends, [errnoOf('ECONNRESET')], 'before it is closed');
  tt.end();
});
