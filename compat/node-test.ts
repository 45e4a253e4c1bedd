/** One of Node's own tests, run once: in a process, a region and a network namespace of its own. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { projectRoot } from '../scripts/project-root';
import { withRequire } from '../src/cli/node-options';
import { inNamespace } from './namespace';

/**
 * - `native`: as it is; `stp`: with the hook and STP_NET=stp where kernel TCP can't connect; `none`: there too, with
 * nothing in its place.
 */
export type Mode = 'native' | 'stp' | 'none';

/** `skip`: the test says itself that it can't run here. */
export type Outcome = 'pass' | 'fail' | 'skip';

export interface Ran {
  readonly outcome: Outcome;
  /** The end of what it printed, and how it ended; for people. */
  readonly why: string;
}

export interface Setting {
  readonly node: string;
  /** The directory that has `parallel` and `sequential`. */
  readonly tests: string;
  readonly limitMs: number;
  /** The tests' own Node: another has globals that they take for leaks. */
  readonly ownNode: boolean;
}

const OUTPUT_CHARS_MAX = 1 << 20;
const WHY_CHARS_MAX = 4000;
const FIRST_PORT = 12_346;
const PORTS_EACH = 100;

/**
 * Of the environment of this process, only what a program needs to run: what a user has set for Node or for us must not
 * decide here.
 */
const KEPT = ['PATH', 'HOME', 'USER', 'LANG', 'TMPDIR'];

/** Runs a test. `slot` is a number that no test has that runs at the same time. */
export async function runNodeTest(setting: Setting, test: string, mode: Mode, slot: number): Promise<Ran> {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'stp-compat-'));
  const region = fs.mkdtempSync(path.join(fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir(), 'stp-compat-'));
  const file = path.join(setting.tests, test);
  const [command, ...args] = [
    ...inNamespace(mode === 'native' ? 'own' : 'blocked'),
    setting.node,
    ...flagsOf(file),
    file,
  ];
  const env = {
    ...environment(mode, region),
    NODE_TEST_DIR: scratch,
    TEST_THREAD_ID: String(slot),
    NODE_COMMON_PORT: String(FIRST_PORT + slot * PORTS_EACH),
    ...(setting.ownNode ? {} : { NODE_TEST_KNOWN_GLOBALS: '0' }),
  };
  try {
    return await runToEnd(command, args, { env, cwd: scratch }, setting.limitMs);
  } finally {
    // A grandchild that dies just now may write still.
    for (const directory of [scratch, region])
      fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

function environment(mode: Mode, region: string): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = Object.fromEntries(
    KEPT.flatMap((key) => (process.env[key] === undefined ? [] : [[key, process.env[key]]])),
  );
  const dist = path.join(projectRoot(), 'dist');
  if (mode === 'native') return env;
  if (mode === 'none') return { ...env, ...withPreload(path.join(projectRoot(), 'compat/node/no-transport.cjs')) };
  const driver = process.env['STP_DRIVER'];
  return {
    ...env,
    ...withPreload(path.join(dist, 'lib/register.js')),
    STP_NET: 'stp',
    STP_REGION: region,
    ...(driver === undefined ? {} : { STP_DRIVER: driver }),
  };
}

/** By NODE_OPTIONS: tests start programs of their own. */
function withPreload(file: string): NodeJS.ProcessEnv {
  return { NODE_OPTIONS: withRequire(undefined, file) };
}

/** What the test says that it must be run with, in a comment in its head. */
function flagsOf(file: string): string[] {
  const line = /^\/\/ Flags:(.*)$/mu.exec(fs.readFileSync(file, 'utf8'))?.[1] ?? '';
  return line.split(/\s+/u).filter((flag) => flag !== '');
}

function runToEnd(
  command: string,
  args: readonly string[],
  options: { env: NodeJS.ProcessEnv; cwd: string },
  limitMs: number,
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    // Of a process group of its own, so that nothing that it started outlives it.
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let output = '';
    let late = false;
    const add = (text: string): void => {
      output = (output + text).slice(-OUTPUT_CHARS_MAX);
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', add);
    const limit = setTimeout(() => {
      late = true;
      killGroup(child.pid);
    }, limitMs);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      clearTimeout(limit);
      // Those that it left behind hold its output open.
      killGroup(child.pid);
      child.once('close', () => {
        resolve(ranOf(code, signal, late ? `not done after ${limitMs / 1000} s` : '', output));
      });
    });
  });
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function ranOf(code: number | null, signal: string | null, late: string, output: string): Ran {
  if (code === 0)
    return { outcome: /^1\.\.0 # Skipped/mu.test(output) ? 'skip' : 'pass', why: output.trim().slice(-WHY_CHARS_MAX) };
  const end = late !== '' ? late : code === null ? `ended by ${String(signal)}` : `exit code ${code}`;
  return { outcome: 'fail', why: `${output.trim().slice(-WHY_CHARS_MAX)}\n${end}`.trim() };
}
