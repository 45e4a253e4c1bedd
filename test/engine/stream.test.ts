/** Data, half-close, close, linger and reset between simulated processes. */
import t from 'tap';
import { errnoOf } from '../../src/errors';
import { eachMechanism } from './mechanisms';
import { Network } from './network';

const big = Buffer.from(Uint8Array.from({ length: 200_000 }, (_, i) => (i * 7 + (i >> 8)) & 0xff));

eachMechanism('bytes arrive once and in order through logs and windows far smaller than they are', (tt, mechanism) => {
  const network = new Network({ mechanism, capacityBytes: mechanism === 'ring' ? 4096 : 16_384, windowBytes: 5000 });
  const [client, server] = network.pair(1, 2);
  client.sendAll(big);
  server.sendAll(big.subarray(1000));
  const there: Buffer[] = [];
  const back: Buffer[] = [];
  for (let round = 0; round < 500; round++) {
    network.settle();
    there.push(Buffer.from(server.receive(3333)));
    back.push(Buffer.from(client.receive(7777)));
  }
  tt.ok(Buffer.concat(there).equals(big));
  tt.ok(Buffer.concat(back).equals(big.subarray(1000)));
  tt.same([client.sends, server.sends], [[0], [0]]);
});

eachMechanism('a reader that stops costs its peer its window and nothing else', (tt, mechanism) => {
  const network = new Network({ mechanism, windowBytes: 4096 });
  const [client, server] = network.pair(1, 2);
  const [other, otherServer] = network.pair(1, 2);
  tt.equal(client.send(big), 4096);
  tt.equal(client.send(big), -1);
  network.settle();
  tt.equal(server.socket.received.lengthBytes, 4096);
  other.sendAll(big.subarray(0, 50_000));
  tt.ok(otherServer.receiveAll().equals(big.subarray(0, 50_000)), 'others go on');
  tt.same(client.told, ['connected 0'], 'it can not write yet');
  tt.equal(server.receive(1000).length, 1000);
  server.receive(200);
  network.settle();
  tt.same(client.told, ['connected 0', 'writable']);
});

eachMechanism('many sockets that wait for room in one log all get it', (tt, mechanism) => {
  const network = new Network({ mechanism, capacityBytes: mechanism === 'ring' ? 4096 : 16_384, windowBytes: 65_536 });
  const pairs = Array.from({ length: 12 }, () => network.pair(1, 2));
  for (const [client] of pairs) client.sendAll(big.subarray(0, 60_000));
  for (let round = 0; round < 60; round++) network.round();
  const least = Math.min(...pairs.map(([client]) => client.socket.bytesSent));
  tt.ok(least > 0, `the least served of them has sent ${least} bytes`);
  for (const [, server] of pairs) tt.ok(server.receiveAll().equals(big.subarray(0, 60_000)));
});

eachMechanism('peeked bytes are there to be read again, and bytes put back come first', (tt, mechanism) => {
  const network = new Network({ mechanism });
  const [client, server] = network.pair(1, 2);
  client.sendAll('hello world');
  network.settle();
  tt.equal(server.peek(5).toString(), 'hello');
  tt.equal(server.receive(5).toString(), 'hello');
  server.socket.received.unread(Buffer.from('HE'));
  tt.equal(server.receive().toString(), 'HE world');
});

eachMechanism('bytes can be read, peeked and put back while they still lie in the log', (tt, mechanism) => {
  const network = new Network({ mechanism });
  const [client, server] = network.pair(1, 2);
  const seen: string[] = [];
  server.onNotice = () => {
    seen.push(server.peek(4).toString(), server.receive(2).toString());
    server.socket.received.unread(Buffer.from('AB'));
  };
  client.sendAll('abcdef');
  network.settle();
  server.onNotice = () => undefined;
  client.sendAll('gh');
  network.settle();
  tt.same(seen, ['abcd', 'ab']);
  tt.equal(server.receive().toString(), 'ABcdefgh');
});

eachMechanism('each direction is closed by itself', (tt, mechanism) => {
  const network = new Network({ mechanism });
  const [client, server] = network.pair(1, 2);
  client.sendAll('question');
  client.shutdown('w');
  tt.equal(server.receiveAll().toString(), 'question');
  tt.ok(server.atEnd);
  server.sendAll(big);
  tt.ok(client.receiveAll().equals(big), 'the other direction goes on');
  server.shutdown('w');
  network.settle();
  tt.ok(client.atEnd);
  tt.ok(client.close(), 'all is delivered already');
  tt.ok(server.close());
  tt.equal(network.socketCount, 0);
});

eachMechanism(
  'what arrives after shutdown for receiving is dropped, and does not stall the sender',
  (tt, mechanism) => {
    const network = new Network({ mechanism, windowBytes: 4096 });
    const [client, server] = network.pair(1, 2);
    server.shutdown('r');
    client.sendAll(big);
    network.settle();
    tt.same(client.sends, [0]);
    tt.equal(server.receive().length, 0);
  },
);

eachMechanism('a close waits until the peer has all, and is complete then', (tt, mechanism) => {
  const network = new Network({ mechanism, windowBytes: 4096 });
  const [client, server] = network.pair(1, 2);
  client.sendAll(big);
  tt.notOk(client.close());
  network.settle();
  tt.same(client.told, ['connected 0'], 'the peer reads nothing, so it waits');
  tt.ok(server.receiveAll().equals(big));
  tt.ok(server.atEnd);
  tt.same(client.told, ['connected 0', 'closed 0']);
  server.close();
  network.settle();
  tt.equal(network.socketCount, 0);
});

eachMechanism(
  'both may close with bytes under way in both directions, and both learn that they did not arrive',
  (tt, mechanism) => {
    const network = new Network({ mechanism, windowBytes: 4096 });
    const [client, server] = network.pair(1, 2);
    client.sendAll(big);
    server.sendAll(big);
    tt.notOk(client.close());
    tt.notOk(server.close());
    network.settle();
    tt.equal(network.socketCount, 0, 'neither waits for the other for ever');
    tt.match(client.told.at(-1), /^closed \d+$/);
    tt.match(server.told.at(-1), /^closed \d+$/);
    tt.ok(client.told.at(-1) !== 'closed 0' || server.told.at(-1) !== 'closed 0');
  },
);

eachMechanism('bytes for a peer that has closed are not called delivered', (tt, mechanism) => {
  const network = new Network({ mechanism });
  const [client, server] = network.pair(1, 2);
  server.sendAll('answer');
  tt.notOk(server.close());
  client.sendAll('too late');
  tt.notOk(client.close());
  network.settle();
  tt.equal(client.told.at(-1), `closed ${errnoOf('ECONNRESET')}`);
  tt.equal(network.socketCount, 0);
});

eachMechanism('a peer that waits for credit of a closed socket learns that nobody is there', (tt, mechanism) => {
  const network = new Network({ mechanism, windowBytes: 1000 });
  const [client, server] = network.pair(1, 2);
  client.shutdown('w');
  network.settle();
  server.sendAll(big);
  network.settle();
  tt.equal(client.receive(1000).length, 1000);
  tt.ok(client.close(), 'its own direction was delivered');
  network.settle();
  tt.same(server.told, ['reset']);
  tt.same(server.sends, [errnoOf('ECONNRESET')]);
});

eachMechanism('a close with unread bytes resets', (tt, mechanism) => {
  const network = new Network({ mechanism });
  const [client, server] = network.pair(1, 2);
  server.sendAll('to me');
  client.sendAll('not read');
  network.settle();
  tt.ok(server.close());
  network.settle();
  tt.same(client.told, ['connected 0', 'reset']);
  tt.equal(client.receive().toString(), 'to me', 'what came before the reset is read first');
  tt.equal(client.socket.resetErrno, errnoOf('ECONNRESET'));
  tt.ok(client.close());
  tt.equal(network.socketCount, 0);
});

eachMechanism('linger 0 resets at once, linger n after n milliseconds', (tt, mechanism) => {
  const network = new Network({ mechanism, windowBytes: 4096 });
  const [a, b] = network.pair(1, 2);
  a.sendAll('x');
  tt.ok(a.close(0));
  network.settle();
  tt.same(b.told, ['reset']);
  tt.equal(b.receive().toString(), 'x');
  b.close();

  const [client, server] = network.pair(1, 2);
  client.sendAll(big);
  tt.notOk(client.close(500));
  network.wait(499);
  tt.same(client.told, ['connected 0']);
  network.wait(2);
  tt.same(client.told, ['connected 0', `closed ${errnoOf('ETIMEDOUT')}`]);
  tt.same(client.sends, [errnoOf('ETIMEDOUT')]);
  tt.same(server.told, ['reset']);
  tt.equal(server.socket.resetErrno, errnoOf('ECONNRESET'), 'the limit is none of its own');
  server.close();
  b.close();
  tt.equal(network.socketCount, 0);
});

eachMechanism('a linger that is not needed sets no limit on anything later', (tt, mechanism) => {
  const network = new Network({ mechanism });
  const [client, server] = network.pair(1, 2);
  client.sendAll('x');
  client.close(500);
  network.settle();
  tt.equal(client.told.at(-1), 'closed 0');
  tt.equal(network.process(1).engine.timers.nextMs, Infinity);
  tt.equal(server.receive().toString(), 'x');
});

eachMechanism('the death of a process resets its connections, after what it had sent', (tt, mechanism) => {
  const network = new Network({ mechanism });
  const [client, server] = network.pair(1, 2);
  client.sendAll('last words');
  server.sendAll('never read');
  network.process(1).flush();
  network.end(1);
  network.settle();
  tt.same(server.told, ['reset']);
  tt.equal(server.receive().toString(), 'last words');
});

eachMechanism('a stream ended in good order is read to its end though its process has left', (tt, mechanism) => {
  const network = new Network({ mechanism });
  const [client, server] = network.pair(1, 2);
  client.sendAll(big.subarray(0, 9000));
  network.settle();
  network.end(1, true);
  network.settle();
  tt.same(server.told, []);
  tt.equal(server.send('anyone?'), -1);
  tt.ok(server.receive().equals(big.subarray(0, 9000)));
  tt.ok(server.atEnd);
  tt.ok(server.close());
  tt.equal(network.process(2).engine.count, 0);
});

eachMechanism('a process that leaves with bytes it did not read resets', (tt, mechanism) => {
  const network = new Network({ mechanism });
  const [client, server] = network.pair(1, 2);
  server.sendAll('for nobody');
  network.settle();
  network.end(1, true);
  network.settle();
  tt.same(server.told, ['reset']);
  tt.ok(client.socket);
});

void t.test('a sender that passes its credit, and a FIN with another count, reset the one socket', (tt) => {
  const network = new Network({ mechanism: 'ring', windowBytes: 100 });
  const [client, server] = network.pair(1, 2);
  const [other, otherServer] = network.pair(1, 2);
  client.socket.sendLimitBytes = 1000;
  client.send(big);
  network.settle();
  tt.same(server.told, ['reset']);
  tt.equal(server.socket.resetErrno, errnoOf('ESTPCORRUPT'));
  tt.same(client.told, ['connected 0', 'reset', 'writable']);
  otherServer.socket.bytesReceived = 5;
  other.shutdown('w');
  network.settle();
  tt.same(otherServer.told, ['reset']);
  const [good, goodServer] = network.pair(1, 2);
  good.sendAll('fine');
  tt.equal(goodServer.receiveAll().toString(), 'fine');
  tt.end();
});
