/** Where tests put regions: memory where this machine has a directory for it, else the disk. */
import fs from 'node:fs';
import os from 'node:os';
import { fileSystemOf } from '../src/storage';

const SHARED_MEMORY = '/dev/shm';

/** A directory on a disk of this machine, or the temp directory where there is none. */
export function diskDirectory(): string {
  return (
    [os.tmpdir(), process.cwd()].find((directory) => {
      const { local, inMemory } = fileSystemOf(directory);
      return local && !inMemory;
    }) ?? os.tmpdir()
  );
}

/**
 * A directory in memory, or the temp directory where there is none that can be written (containers have it read-only at
 * times).
 */
export function memoryDirectory(): string {
  try {
    fs.accessSync(SHARED_MEMORY, fs.constants.W_OK);
    return SHARED_MEMORY;
  } catch {
    return os.tmpdir();
  }
}
