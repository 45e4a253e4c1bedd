/** Whether there is a region at all: what a client in `auto` asks before anything is loaded for it. */
import { statSync } from 'node:fs';
import path from 'node:path';
import { nowMs } from '../../src/host';
import { type Configuration } from '../configuration';

/** For so long an answer is good, milliseconds. */
const FRESH_MS = 20;

let present = false;
let askedAtMs = -Infinity;

export function regionPresent({ directories }: Configuration): boolean {
  const now = nowMs();
  if (now - askedAtMs < FRESH_MS) return present;
  askedAtMs = now;
  present = directories.some(hasProcesses);
  return present;
}

/** A directory that can't be looked at holds no region for us. */
function hasProcesses(directory: string): boolean {
  try {
    return statSync(path.join(directory, 'processes'), { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}
