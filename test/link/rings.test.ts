/** Whom a burst of answers wakes, and how often: a ring costs more than most answers. */
import t, { type Test } from 'tap';
import { RecordType } from '../../src/layout';
import { Link } from '../../src/link/link';
import { loadNative } from '../../src/storage';
import { type Pair, pair, untilAsleep } from './pair';

const skip = loadNative() === undefined ? 'no memory mapping here' : false;
const PAYLOAD = Buffer.alloc(100, 'x');
/** Asleep words of a peer: the number of the sleep, and that it sleeps. */
const ASLEEP = 5;
const ASLEEP_AGAIN = 9;

interface Scene extends Pair {
  rings: number;
  answer(socket: number): void;
}

/** A peer that sleeps, while records of which each takes little time are at hand. */
function scene(test: Test): Scene {
  const all = pair(test, 'mapped');
  const { poller, link, peerOut } = all;
  const answer = (socket: number): void => {
    link.append(
      RecordType.data,
      { index: socket, remoteSocket: socket, remoteGeneration: 1 },
      PAYLOAD,
      0,
      PAYLOAD.length,
    );
    link.publishNow();
  };
  const made: Scene = Object.assign(all, { rings: 0, answer });
  link.ringPeer = (): boolean => {
    made.rings += 1;
    return true;
  };
  peerOut.setAsleep(ASLEEP);
  poller.quick = true;
  poller.moreAtHand = true;
  return made;
}

void t.test('a peer that sleeps is rung once for several quick answers, and sees each at once', { skip }, (test) => {
  const all = scene(test);
  for (let socket = 1; socket <= 7; socket++) {
    const before = all.peerIn.poll();
    all.answer(socket);
    test.ok(all.peerIn.poll() > before, `answer ${socket} is there to be read`);
    test.equal(all.rings, 0, `no ring for answer ${socket} alone`);
  }
  all.answer(8);
  test.equal(all.rings, 1, 'a long burst does not wait for its end');
  all.peerOut.setAsleep(ASLEEP_AGAIN);
  all.answer(9);
  test.equal(all.rings, 1);
  all.poller.flush(true);
  test.equal(all.rings, 2, 'the end of the turn rings for what is left');
  all.poller.flush(true);
  test.equal(all.rings, 2, 'and once');
  test.end();
});

void t.test('a peer is rung for answers of a turn whose last record is not answered', { skip }, async (test) => {
  const all = scene(test);
  const { poller, peerOut } = all;
  poller.moreAtHand = false;
  const owner = {
    sink: poller.sink,
    lastTurns: new Int32Array(8),
    turn: 0,
    polling: false,
    records: 0,
    moreAtHand: false,
    quick: false,
  };
  const peer = new Link({ ...owner, publishLater: () => undefined }, 1, 1, peerOut, true);
  for (let socket = 1; socket <= 5; socket++)
    peer.append(
      RecordType.data,
      { index: socket, remoteSocket: socket, remoteGeneration: 1 },
      PAYLOAD,
      0,
      PAYLOAD.length,
    );
  peer.publish();
  let answered = 0;
  poller.sink.record = (_link, { socket }): void => {
    if (socket === 5) return;
    all.answer(socket);
    answered += 1;
  };
  poller.wake();
  await untilAsleep(poller);
  test.equal(answered, 4);
  test.equal(all.rings, 1);
});

void t.test('a peer that sleeps is rung at once for the last answer, and for slow ones', { skip }, (test) => {
  const last = scene(test);
  last.poller.moreAtHand = false;
  last.answer(1);
  test.equal(last.rings, 1, 'no more records are at hand');
  const slow = scene(test);
  slow.poller.quick = false;
  slow.answer(1);
  test.equal(slow.rings, 1, 'the next answer would take long');
  test.end();
});

void t.test('a peer is busy while it has not looked at the answers of several sockets', { skip }, (test) => {
  const all = scene(test);
  const { link, peerIn, peerOut } = all;
  for (let socket = 1; socket <= 3; socket++) all.answer(socket);
  test.notOk(link.peerIsBusy(), 'three may be one that is about to look');
  for (let socket = 4; socket <= 5; socket++) all.answer(socket);
  test.ok(link.peerIsBusy());
  for (let run = peerIn.poll(); run > 0; run = peerIn.poll()) peerIn.consume(run);
  peerOut.acknowledge(peerIn.position);
  test.notOk(link.peerIsBusy(), 'it has read them');
  for (let i = 0; i < 20; i++) all.answer(7);
  test.notOk(link.peerIsBusy(), 'many of one socket are a stream, whose reader may be waiting');
  test.end();
});
