/** What the suites that every storage must pass are written with. */
import type t from 'tap';
import { type StpError } from '../../src/errors';
import { BLOCK_BYTES } from '../../src/layout';
import { type LogReader, type LogWriter, type Storage } from '../../src/storage';
import { seededRandom } from '../../src/storage/simulated-disk';
import { IDENTITY, type Kit, OPPOSITE, type Site } from './kits';

export type Test = Pick<typeof t, 'test' | 'equal' | 'ok' | 'same' | 'throws' | 'comment' | 'not' | 'teardown'>;

/** Small, and for frames not a power of two: laps end everywhere. */
export const CAPACITY = { ring: 16_384, frames: 13 * BLOCK_BYTES } as const;

/** A site that is removed with its test. */
export function site(test: Test, kit: Kit, options?: Parameters<Kit['make']>[0]): Site {
  const made = kit.make(options);
  test.teardown(() => {
    made.remove();
  });
  return made;
}

export function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as StpError).code;
  }
  return 'nothing thrown';
}

export function pattern(length: number, seed: number): Uint8Array {
  const random = seededRandom(seed);
  return Uint8Array.from({ length }, () => Math.floor(random() * 256));
}

/** Both directions between two processes, so that positions travel as they do in a link. */
export interface Pair {
  readonly out: LogWriter;
  readonly in: LogReader;
  /** B's log to A, and A's view of it: how B tells what it has read. */
  readonly answer: LogWriter;
  readonly answers: LogReader;
}

function openLog(storage: Storage, name: string): LogReader {
  const reader = storage.openLog(name);
  if (reader === undefined) throw new Error(`no log ${name}`);
  return reader;
}

export function pairOf(here: Site, kit: Kit, capacityBytes: number = CAPACITY[kit.mechanism]): Pair {
  const out = here.a.createLog('1-2', IDENTITY, kit.mechanism, capacityBytes);
  const answer = here.b.createLog('2-1', OPPOSITE, kit.mechanism, capacityBytes);
  here.settle();
  return { out, in: openLog(here.b, '1-2'), answer, answers: openLog(here.a, '2-1') };
}

/**
 * Writes one record of `length` bytes (a multiple of 8, at least 16): its length, its number, then bytes that follow
 * from both.
 */
export function writeRecord(out: LogWriter, length: number, number: number): boolean {
  if (out.claim(length, length) < length) return false;
  const word = out.at >> 2;
  out.words[word] = length;
  out.words[word + 1] = number;
  out.bytes.fill(number & 255, out.at + 8, out.at + length);
  out.commit(length);
  return true;
}

/** Reads and consumes all records that are there; returns the next number expected. */
export function readRecords(reader: LogReader, expected: number, most = Infinity): number {
  let next = expected;
  for (let left = most; left > 0;) {
    let run = reader.poll();
    if (run === 0) break;
    for (; run > 0 && left > 0; left--) {
      const word = reader.at >> 2;
      const length = reader.words[word] ?? 0;
      const number = reader.words[word + 1];
      if (number !== next) throw new Error(`record ${number ?? 'none'} where ${next} was due`);
      if (length < 16 || length > run) throw new Error(`record ${next} has ${length} bytes of ${run}`);
      const body = reader.bytes.subarray(reader.at + 8, reader.at + length);
      if (body.some((byte) => byte !== (next & 255))) throw new Error(`record ${next} has wrong bytes`);
      reader.consume(length);
      run -= length;
      next++;
    }
  }
  return next;
}
