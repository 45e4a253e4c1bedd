/** A link with its poller, whose other end is played by hand. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { type Test } from 'tap';
import { Link } from '../../src/link/link';
import { Poller } from '../../src/link/poller';
import { FileStorage, type LogReader, type LogWriter } from '../../src/storage';
import { memoryDirectory } from '../memory-directory';
import { IDENTITY, OPPOSITE } from '../storage/kits';

export const CAPACITY_BYTES = 131_072;
const ignore = (): void => undefined;

/** A link with its poller, and by hand the two logs of its peer. */
export interface Pair {
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

export function pair(test: Test, driver: 'mapped' | 'direct', startPosition = 0): Pair {
  const root = mkdtempSync(path.join(memoryDirectory(), 'stp-link-'));
  mkdirSync(path.join(root, 'links'));
  test.teardown(() => {
    rmSync(root, { recursive: true, force: true });
  });
  const storage = new FileStorage(root, { driver, startPosition });
  const mechanism = driver === 'mapped' ? 'ring' : 'frames';
  const told = { roomMade: 0 };
  const sink = {
    record: ignore,
    roomMade: (): void => {
      told.roomMade += 1;
    },
  };
  const poller = new Poller(sink, { linkOver: ignore, housekeep: ignore }, undefined);
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

export async function untilAsleep(poller: Poller): Promise<void> {
  while (!poller.asleep) await turn();
}
