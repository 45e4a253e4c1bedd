/**
 * A program for the test of the enclosure: inside it mounts something, starts a process that would outlive it, and
 * waits. The argument names that process.
 */
import { execFileSync, spawn } from 'node:child_process';
import { endWithOuter, enter, insideDirectory } from './enclosure';

const directory = insideDirectory();
const [name = '1000'] = process.argv.slice(2);

if (directory === undefined) {
  void enter(__filename, [name]).then((code) => {
    process.exitCode = code;
  });
} else {
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', directory]);
  spawn('sleep', [name], { detached: true, stdio: 'ignore' });
  endWithOuter(() => Promise.resolve());
  console.log(`inside ${directory}`);
}
