/** Runs the command `stp` as a person would: as a process of its own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import path from 'node:path';

export const STP = path.join(__dirname, '..', '..', 'lib', 'cli.js');

export interface StpEnd {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StpRun {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly input?: string;
  readonly cwd?: string;
  /** User and group to be; needs root. */
  readonly uid?: number;
}

/** The environment of this process without what tap or a person may have put in it for Node and for us. */
function environment(extra: Readonly<Record<string, string | undefined>> = {}): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env))
    if (!/^(NODE_OPTIONS|STP_|TAP|_TAPJS)/.test(name)) env[name] = value;
  return { ...env, ...extra };
}

/** Runs it to its end. */
export function stp(args: readonly string[], run: StpRun = {}): StpEnd {
  const options = { encoding: 'utf8', env: environment(run.env), input: run.input ?? '', timeout: 60_000 } as const;
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [STP, ...args], {
    ...options,
    ...(run.cwd === undefined ? {} : { cwd: run.cwd }),
    ...(run.uid === undefined ? {} : { uid: run.uid, gid: run.uid }),
  });
  return { status, signal, stdout, stderr };
}

/** Starts it. */
export function startStp(args: readonly string[], run: StpRun = {}): ChildProcess {
  return spawn(process.execPath, [STP, ...args], { env: environment(run.env), stdio: ['ignore', 'pipe', 'pipe'] });
}
