/**
 * `stp run`: runs a command with the hook in every Node process that it starts, and is otherwise not there: standard
 * streams, signals and the way it ends are the command's own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { configuration } from '../../shim/configuration';
import { regionOptions } from '../region';
import { CliFailure, ExitCode } from './failure';
import { withRequire } from './node-options';
import { type PlaceOptions, setPlace } from './region-option';

export interface RunOptions extends PlaceOptions {
  readonly net?: string;
  readonly rules?: string;
  readonly trace?: boolean;
}

/** Signals that end or talk to a program. Stopping and going on (Ctrl-Z) reach the command by its process group. */
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGALRM'] as const;
/** A terminal sends these to the whole process group: passed on, the command would have them twice. */
const FROM_TERMINAL: ReadonlySet<string> = new Set(['SIGINT', 'SIGQUIT']);
/** How long a signal raised on ourselves may take to end us before we settle for its exit code, milliseconds. */
const RAISE_MS = 500;

/** The hook that programs preload. */
export function registerPath(): string {
  return require.resolve('stp-net/register');
}

/** The environment of the command: ours, with what the options say and the hook in NODE_OPTIONS. */
export function runEnvironment(options: RunOptions, base: NodeJS.ProcessEnv, register: string): NodeJS.ProcessEnv {
  const nodeOptions = withRequire(base['NODE_OPTIONS'], register);
  if (nodeOptions === undefined) {
    throw new CliFailure(
      'NODE_OPTIONS has a double quote that is not closed',
      ExitCode.usage,
      'Node would refuse it too; correct or unset it.',
    );
  }
  const environment: NodeJS.ProcessEnv = { ...base, NODE_OPTIONS: nodeOptions };
  setPlace(options, environment);
  if (options.net !== undefined) environment['STP_NET'] = options.net;
  if (options.rules !== undefined) environment['STP_RULES'] = options.rules;
  if (options.trace === true) environment['STP_TRACE'] = '1';
  checkEnvironment(environment);
  return environment;
}

/** In `auto` a program falls back to TCP when something here is wrong; the user who typed it should be told at once. */
function checkEnvironment(environment: NodeJS.ProcessEnv): void {
  const { directory } = regionOptions(environment);
  const { mode } = configuration(environment);
  if (mode !== 'tcp' && fs.statSync(directory, { throwIfNoEntry: false })?.isDirectory() === false) {
    throw new CliFailure(
      `${directory}: not a directory`,
      ExitCode.usage,
      'A region is a directory; it is made by the first program that uses it.',
    );
  }
}

/**
 * Runs the command and resolves when this process may end: its exit code is set, or the command's signal was raised.
 */
export async function run(command: readonly string[], options: RunOptions): Promise<void> {
  const [file, ...args] = command;
  if (file === undefined || file === '')
    throw new CliFailure('no command given', ExitCode.usage, 'Example: stp run -- node server.js');
  const register = registerPath();
  if (!fs.existsSync(register))
    throw new CliFailure(`the hook is missing (${register})`, ExitCode.failed, 'Build or install stp-net again.');
  const env = runEnvironment(options, process.env, register);

  const stopForwarding = forwardSignals(() => child);
  const child = spawn(file, args, { stdio: 'inherit', env });
  const end = await ended(child, file);
  stopForwarding();
  if (end.signal === null) process.exitCode = end.code ?? ExitCode.failed;
  else await raise(end.signal);
}

/** Passes signals on to the command for as long as it runs. Returns what gives them back to this process. */
function forwardSignals(child: () => ChildProcess): () => void {
  const atTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  const listeners = FORWARDED.map((signal) => {
    const listener = (): void => {
      if (!(atTerminal && FROM_TERMINAL.has(signal))) child().kill(signal);
    };
    try {
      process.on(signal, listener);
    } catch {
      // Not a signal of this system (Windows has few).
    }
    return { signal, listener };
  });
  return () => {
    for (const { signal, listener } of listeners) process.removeListener(signal, listener);
  };
}

interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

function ended(child: ChildProcess, file: string): Promise<End> {
  return new Promise((resolve, reject) => {
    let started = false;
    child.once('spawn', () => {
      started = true;
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      // Later errors are of signals that came too late for the command.
      if (!started) reject(notStarted(file, error));
    });
    child.once('exit', (code, signal) => {
      resolve({ code, signal });
    });
  });
}

function notStarted(file: string, error: NodeJS.ErrnoException): CliFailure {
  const script = /\.[cm]?[jt]s$/.test(file);
  const hint = script ? `To run a script: stp run -- node ${file}` : undefined;
  if (error.code === 'ENOENT') return new CliFailure(`${file}: command not found`, ExitCode.notFound, hint);
  if (error.code === 'EACCES') return new CliFailure(`${file}: not executable`, ExitCode.notExecutable, hint);
  return new CliFailure(`${file}: ${error.message}`, ExitCode.notExecutable, hint);
}

/** Ends this process by the signal that ended the command, so that the process that waits for us sees the same. */
async function raise(signal: NodeJS.Signals): Promise<void> {
  const number = os.constants.signals[signal];
  process.exitCode = ExitCode.signalBase + number;
  try {
    process.kill(process.pid, signal);
  } catch {
    return;
  }
  // Some signals do not end a Node process (SIGPIPE, where it is ignored): then the shell's convention has to do.
  await new Promise((resolve) => setTimeout(resolve, RAISE_MS));
}
