/**
 * The namespaces that `npm run test:hosts` runs in: all that is mounted and started there is gone when it ends, however
 * it ends.
 *
 * Outside, the program starts itself again as the first process of namespaces of its own and waits; inside, it lives as
 * long as the pipe from outside is open. So a signal to the outer process, and its death by SIGKILL too, ends the inner
 * one, and with that every process of its pid namespace and every mount.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Set inside: the directory for all files, which is removed outside, where nothing is mounted on it. */
const INSIDE = 'STP_TEST_HOSTS_INSIDE';
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const NAMESPACES = [
  '--net',
  '--mount',
  '--pid',
  '--fork',
  '--kill-child',
  '--mount-proc',
  '--propagation',
  'private',
  '--',
];
/** For the hosts to be taken down in good order; then they are killed. */
const CLOSE_MS_MAX = 10_000;
const KILL_MS_MAX = CLOSE_MS_MAX + 5000;

/** The directory for all files, inside; undefined outside. */
export function insideDirectory(): string | undefined {
  return process.env[INSIDE];
}

/** Runs `program` in namespaces of its own; its exit code, or 128 and the number of the signal that ended it. */
export async function enter(program: string, args: readonly string[]): Promise<number> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'stp-hosts-'));
  const child = spawn('unshare', [...NAMESPACES, process.execPath, program, ...args], {
    stdio: ['pipe', 'inherit', 'inherit'],
    env: { ...process.env, [INSIDE]: directory },
  });
  child.stdin.on('error', () => undefined);
  let caught: (typeof SIGNALS)[number] | undefined;
  let killer: NodeJS.Timeout | undefined;
  const end = (signal: (typeof SIGNALS)[number]): void => {
    caught ??= signal;
    child.stdin.end();
    // With unshare its child dies, and with that all the rest.
    killer ??= setTimeout(() => child.kill('SIGKILL'), KILL_MS_MAX);
  };
  for (const signal of SIGNALS)
    process.on(signal, () => {
      end(signal);
    });
  const code = await new Promise<number>((resolve) => {
    child.once('error', (error) => {
      process.stdout.write(`unshare: ${error.message}\n`);
      resolve(1);
    });
    child.once('close', (status) => {
      resolve(status ?? 1);
    });
  });
  clearTimeout(killer);
  fs.rmSync(directory, { recursive: true, force: true });
  if (caught === undefined) return code;
  process.stdout.write(`ended by ${caught}: all processes and mounts are gone\n`);
  return 128 + os.constants.signals[caught];
}

/** Inside: ends the program, after `close`, when the outer process wants it or is gone. */
export function endWithOuter(close: () => Promise<unknown>): void {
  let ending = false;
  const end = (): void => {
    if (ending) return;
    ending = true;
    setTimeout(() => process.exit(1), CLOSE_MS_MAX);
    close()
      .finally(() => process.exit(1))
      .catch(() => undefined);
  };
  process.stdin.on('error', end).on('close', end).resume();
  // From a terminal they reach all processes at once; the first process of a pid namespace ignores what it does not
  // handle.
  for (const signal of SIGNALS) process.on(signal, end);
}
