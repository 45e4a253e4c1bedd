import t from 'tap';
import { RecordType } from '../../src/layout';
import { loadNative } from '../../src/storage';
import { CAPACITY_BYTES, type Pair, pair, untilAsleep } from './pair';

const SLEEPS_AND_WANTS_ROOM = 3;
const PAYLOAD = Buffer.alloc(1000, 'x');

function send({ link }: Pair): number {
  const taken = link.append(
    RecordType.data,
    { index: 1, remoteSocket: 1, remoteGeneration: 1 },
    PAYLOAD,
    0,
    PAYLOAD.length,
  );
  if (taken > 0) link.publishNow();
  return taken;
}

/** Everything but the last of the log, each record in a turn of its own, and then sleep: nobody has found it full. */
async function fillAndSleep(all: Pair): Promise<number> {
  let sent = 0;
  for (let room = Infinity; room >= 8192; room = all.link.out.freeBytes) {
    if (send(all) === PAYLOAD.length) sent += 1;
    all.link.publish();
  }
  await untilAsleep(all.poller);
  return sent;
}

function readAll({ peerIn, peerOut }: Pair): void {
  for (let found = peerIn.poll(); found > 0; found = peerIn.poll()) peerIn.consume(found);
  peerOut.acknowledge(peerIn.position);
  peerOut.publish();
}

for (const driver of ['mapped', 'direct'] as const) {
  for (const startPosition of [0, 2 ** 32 - CAPACITY_BYTES / 2, 2 ** 31 - CAPACITY_BYTES / 2]) {
    const skip = driver === 'mapped' && loadNative() === undefined ? 'no memory mapping here' : false;
    void t.test(
      `a sleeper that finds a log full asks to be rung for room: ${driver}, from position ${startPosition}`,
      { skip },
      async (test) => {
        const all = pair(test, driver, startPosition);
        test.ok((await fillAndSleep(all)) > 10);
        test.equal(all.link.needsRoom, false, 'it slept without asking for room');
        test.equal(send(all), -1, 'no room');
        await untilAsleep(all.poller);
        test.equal(
          all.peerIn.peerAsleep() & SLEEPS_AND_WANTS_ROOM,
          SLEEPS_AND_WANTS_ROOM,
          'its word says what it waits for',
        );
        readAll(all);
        all.poller.rung(all.link);
        await untilAsleep(all.poller);
        test.equal(all.roomMade, 1);
        test.equal(send(all), PAYLOAD.length);
      },
    );
  }
}
