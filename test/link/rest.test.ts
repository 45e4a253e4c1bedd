/**
 * A burst that is longer than a frame, where each write is a trip to a file server: full frames go out at once, and
 * what is left of it waits a little for company.
 */
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { RecordType } from '../../src/layout';
import { type Pair, pair, untilAsleep } from './pair';

const REST_BYTES = 1000;

function remotePair(test: Test): Pair {
  const all = pair(test, 'direct');
  all.link.remote = true;
  all.poller.remote = true;
  all.poller.setReferenced(true);
  test.teardown(() => {
    all.poller.setReferenced(false);
  });
  return all;
}

const ENDS = { index: 1, remoteSocket: 1, remoteGeneration: 1 };

function append({ link }: Pair, bytes: number): void {
  for (let at = 0; at < bytes;) at += link.append(RecordType.data, ENDS, Buffer.alloc(bytes - at), 0, bytes - at);
}

/** A frame to the last byte, without a turn in between, and so much more. */
function burst(all: Pair): void {
  append(all, all.link.out.claimMaxBytes - 16);
  append(all, REST_BYTES);
  all.link.publishSoon();
}

/** Bytes of records that the other end finds now. */
function arrived({ peerIn, peerOut }: Pair): number {
  let bytes = 0;
  for (let found = peerIn.poll(); found > 0; found = peerIn.poll()) {
    bytes += found;
    peerIn.consume(found);
  }
  peerOut.acknowledge(peerIn.position);
  return bytes;
}

void t.test('what is left of a burst waits, and goes after a few turns by itself', async (test) => {
  const all = remotePair(test);
  burst(all);
  await turn();
  test.equal(arrived(all), all.link.out.claimMaxBytes, 'the full frame is there');
  test.ok(all.link.out.pendingBytes >= REST_BYTES, 'the rest is not');
  await untilAsleep(all.poller);
  test.ok(arrived(all) >= REST_BYTES);
  test.equal(all.link.out.pendingBytes, 0);
});

void t.test('what comes meanwhile goes with it, in one frame', async (test) => {
  const all = remotePair(test);
  burst(all);
  await turn();
  arrived(all);
  append(all, 2 * REST_BYTES);
  const frames: number[] = [];
  while (all.link.out.pendingBytes > 0) await turn();
  for (let found = all.peerIn.poll(); found > 0; found = all.peerIn.poll()) {
    frames.push(found);
    all.peerIn.consume(found);
  }
  test.equal(frames.length, 1);
  test.ok((frames[0] ?? 0) >= 3 * REST_BYTES);
  await untilAsleep(all.poller);
});

void t.test('nothing waits in a process that goes', (test) => {
  const all = remotePair(test);
  burst(all);
  all.poller.flush(true);
  test.equal(all.link.out.pendingBytes, 0);
  test.ok(arrived(all) >= all.link.out.claimMaxBytes + REST_BYTES);
  test.end();
});

void t.test('who sent is told as soon as the frame with its last byte is out, while others wait', async (test) => {
  const all = remotePair(test);
  append(all, REST_BYTES);
  let told = false;
  void all.link.settle()?.then((failure) => {
    told = failure === null;
  });
  await Promise.resolve();
  test.equal(told, false, 'not while it is in memory only');
  append(all, all.link.out.claimMaxBytes);
  await turn();
  test.equal(told, true);
  test.ok(all.link.out.pendingBytes > 0, 'of the second one a part is not out yet');
  all.link.publishSoon();
  await untilAsleep(all.poller);
});
