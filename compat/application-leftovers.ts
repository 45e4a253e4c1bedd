/**
 * Ends what the programs of a run have started and left behind: daemons, and children of a program that had to be
 * killed. All of them have got the environment of their run, and with it the directory that is the run's own.
 */
import fs from 'node:fs';

export const RUN_VARIABLE = 'COMPAT_RUN';

/** Only where the system shows environments, in /proc; returns how many there were. */
export function endLeftovers(scratch: string): number {
  if (!fs.existsSync('/proc/self/environ')) return 0;
  const left = fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/u.test(name))
    .map(Number)
    .filter((pid) => isOf(pid, scratch));
  for (const pid of left) kill(pid);
  return left.length;
}

function isOf(pid: number, scratch: string): boolean {
  try {
    return fs.readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`${RUN_VARIABLE}=${scratch}`);
  } catch {
    // Over by now, or somebody else's.
    return false;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Over by now.
  }
}
