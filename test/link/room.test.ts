import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { RecordType } from '../../src/layout';
import { Link } from '../../src/link/link';
import { Poller } from '../../src/link/poller';
import { FileStorage, loadNative, type LogReader, type LogWriter } from '../../src/storage';
import { memoryDirectory } from '../memory-directory';
import { IDENTITY, OPPOSITE } from '../storage/kits';

const CAPACITY_BYTES = 131_072;
const SLEEPS_AND_WANTS_ROOM = 3;
const PAYLOAD = Buffer.alloc(1000, 'x');
const ignore = (): void => undefined;

/** A link with its poller, and by hand the two logs of its peer. */
interface Pair {
  readonly poller: Poller;
  readonly link: Link;
  readonly peerOut: LogWriter;
  readonly peerIn: LogReader;
  roomMade: number;
}

function opened(reader: LogReader | undefined): LogReader {
  if (reader === undefined) throw new Error('the log is not there');
  return reader;
}

function pair(test: Test, driver: 'mapped' | 'direct', startPosition: number): Pair {
  const root = mkdtempSync(path.join(memoryDirectory(), 'stp-link-'));
  mkdirSync(path.join(root, 'links'));
  test.teardown(() => { rmSync(root, { recursive: true, force: true }); });
  const storage = new FileStorage(root, { driver, startPosition });
  const mechanism = driver === 'mapped' ? 'ring' : 'frames';
  const told = { roomMade: 0 };
  const sink = { record: ignore, roomMade: (): void => { told.roomMade += 1; } };
  const poller = new Poller(sink, { linkOver: ignore, care: ignore, turnOver: ignore }, 16, undefined);
  const out = storage.createLog('links/1-2', IDENTITY, mechanism, CAPACITY_BYTES);
  const peerOut = storage.createLog('links/2-1', OPPOSITE, mechanism, CAPACITY_BYTES);
  const link = new Link(poller, 2, 1, out, mechanism === 'ring');
  link.in = opened(storage.openLog('links/2-1'));
  poller.links.add(link);
  const peerIn = opened(storage.openLog('links/1-2'));
  test.teardown(() => {
    poller.close();
    link.close();
    peerOut.close();
    peerIn.close();
  });
  return Object.assign(told, { poller, link, peerOut, peerIn });
}

async function untilAsleep(poller: Poller): Promise<void> {
  while (!poller.asleep) await turn();
}

function send({ link }: Pair): number {
  const taken = link.append(RecordType.data, 1, 1, 1, PAYLOAD, 0, PAYLOAD.length);
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
    void t.test(`a sleeper that finds a log full asks to be rung for room: ${driver}, from position ${startPosition}`, { skip }, async (test) => {
      const all = pair(test, driver, startPosition);
      test.ok((await fillAndSleep(all)) > 10);
      test.equal(all.link.needsRoom, false, 'it slept without a wish');
      test.equal(send(all), -1, 'no room');
      await untilAsleep(all.poller);
      test.equal(all.peerIn.peerAsleep() & SLEEPS_AND_WANTS_ROOM, SLEEPS_AND_WANTS_ROOM, 'its word says what it waits for');
      readAll(all);
      all.poller.rung();
      await untilAsleep(all.poller);
      test.equal(all.roomMade, 1);
      test.equal(send(all), PAYLOAD.length);
    });
  }
}
