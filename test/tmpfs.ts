/** Small file systems of their own for tests that need a full, a read-only or another user's disk. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { memoryDirectory } from './memory-directory';

function mount(directory: string, options: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', directory], { stdio: 'ignore' });
}

/** Mounts a tmpfs over a fresh directory for as long as the test runs. */
export function mountTmpfs(test: { teardown(act: () => void): void }, options: string): string {
  const directory = fs.mkdtempSync(path.join(memoryDirectory(), 'stp-tmpfs-'));
  test.teardown(() => {
    fs.rmdirSync(directory);
  });
  mount(directory, options);
  // Runs before the one above.
  test.teardown(() => {
    execFileSync('umount', ['-l', directory], { stdio: 'ignore' });
  });
  return directory;
}

/** Why none can be mounted here: not every user and every container may. */
export function whyNoTmpfs(): string | undefined {
  const directory = fs.mkdtempSync(path.join(memoryDirectory(), 'stp-tmpfs-'));
  try {
    mount(directory, 'size=4k');
    execFileSync('umount', [directory], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'a tmpfs can not be mounted here';
  } finally {
    fs.rmdirSync(directory);
  }
}
