/**
 * Process numbers: from 1, growing, and never used twice in the life of a region.
 *
 * What makes that true: a number is claimed by creating its file exclusively (on a file server by link, see
 * storage/temporary.ts), one above the highest there is; the claim is good only if no higher one has appeared meanwhile
 * (else the number may have been used and reclaimed between our look and our claim); and the highest-numbered file is
 * never removed by any process.
 */
import { StpError } from '../errors';
import { REGION_PATHS } from '../layout';
import { type BlockWriter, type Storage } from '../storage';
import { processPath } from './process-info';

export const PROCESS_NUMBER_MAX = 0xffff_ffff;
const DEAD_SUFFIX = '.dead';
const NUMBER = /^[1-9][0-9]{0,9}$/u;
/** Each try fails only because another process got a number meanwhile. */
const TRIES_MAX = 10_000;

/** The number that a file name stands for, 0 where it stands for none. */
export function numberOfName(name: string): number {
  if (!NUMBER.test(name)) return 0;
  const number = Number(name);
  return number <= PROCESS_NUMBER_MAX ? number : 0;
}

/** The number of a process that another process took for dead, by the name of its mark; 0 for any other name. */
export function numberOfMark(name: string): number {
  return name.endsWith(DEAD_SUFFIX) ? numberOfName(name.slice(0, -DEAD_SUFFIX.length)) : 0;
}

/** Path of the mark that tells a process, and all others, that its lease ran out. */
export function markPath(number: number): string {
  return `${processPath(number)}${DEAD_SUFFIX}`;
}

/** Numbers that have a process file, and those that are marked dead, in no order. */
export function listProcesses(storage: Storage): { numbers: Set<number>; marked: Set<number> } {
  const numbers = new Set<number>();
  const marked = new Set<number>();
  for (const name of storage.list(REGION_PATHS.processes)) {
    const number = numberOfName(name);
    if (number !== 0) numbers.add(number);
    else marked.add(numberOfMark(name));
  }
  marked.delete(0);
  return { numbers, marked };
}

/**
 * True where process `number` has no file. A list of a directory on a file server that others change meanwhile may lack
 * a name that is there all the time; a process not in it is dead only if a look at the name itself finds nothing.
 */
export function lacksFile(storage: Storage, listed: ReadonlySet<number>, number: number): boolean {
  return !listed.has(number) && !(storage.shared && storage.info(processPath(number)) !== undefined);
}

/** Numbers that have a process file, in no order. */
export function listNumbers(storage: Storage): number[] {
  const numbers: number[] = [];
  for (const name of storage.list(REGION_PATHS.processes)) {
    const number = numberOfName(name);
    if (number !== 0) numbers.push(number);
  }
  return numbers;
}

/** The largest of `numbers`, 0 of none. */
export function highest(numbers: readonly number[]): number {
  let top = 0;
  for (const number of numbers) if (number > top) top = number;
  return top;
}

/** Claims a new number: its file exists from now on, empty, and is ours to write. */
export function claimNumber(storage: Storage): { number: number; file: BlockWriter } {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const number = highest(listNumbers(storage)) + 1;
    if (number > PROCESS_NUMBER_MAX)
      throw new StpError('ESTPCORRUPT', `${processPath(PROCESS_NUMBER_MAX)} leaves no number for another process`);
    const file = storage.createBlocks(processPath(number));
    if (file === undefined) continue;
    let isHighest: boolean;
    try {
      isHighest = highest(listNumbers(storage)) === number;
    } catch (error) {
      // To list takes a descriptor, and ours may have been the last one. The empty file is left to recovery: it may be
      // the highest.
      file.close();
      throw error;
    }
    if (isHighest) return { number, file };
    file.close();
    storage.remove(processPath(number));
  }
  throw new StpError('EBUSY', 'no process number could be claimed: too many processes open the region');
}

/** Removes the file of process `number`, unless it is the highest: that one keeps the numbers from starting again. */
export function removeUnlessHighest(storage: Storage, number: number): boolean {
  if (highest(listNumbers(storage)) <= number) return false;
  return storage.remove(processPath(number));
}
