/**
 * Starts programs as people do: plain Node processes that have the hook, a region of their own, and nothing else of
 * ours.
 */
import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process';
import { type EventEmitter, once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { memoryDirectory } from '../memory-directory';

const OUT = path.join(__dirname, '..', '..');
export const REGISTER = path.join(OUT, 'lib', 'register.js');
export const PACKAGE = path.join(OUT, 'lib', 'index.js');

/** How long a process may take before it counts as hung, milliseconds. */
export const PATIENCE_MS = 60_000;

/** A directory for one test's region, files and all. Removed by the function that comes with it. */
export function scratch(): { directory: string; region: string; remove: () => void } {
  const directory = fs.mkdtempSync(path.join(memoryDirectory(), 'stp-shim-test-'));
  return {
    directory,
    region: path.join(directory, 'region'),
    remove: () => {
      fs.rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A disk without room for a region; undefined where not even a small one can be had. */
export function fullDisk(directory: string): string | undefined {
  const full = path.join(directory, 'full');
  fs.mkdirSync(full);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4096', 'tmpfs', full], { stdio: 'ignore' });
    return full;
  } catch {
    return undefined;
  }
}

/** The environment of this process without what tap or a person may have put in it for Node and for us. */
export function environment(extra: Readonly<Record<string, string | undefined>> = {}): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env))
    if (!/^(NODE_OPTIONS|STP_|TAP|_TAPJS)/.test(name)) env[name] = value;
  return { ...env, ...extra };
}

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `node ...args` to its end; `input` is its program where `-` is among the arguments. */
export function node(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  input = '',
): Promise<Ended> {
  return run(process.execPath, args, env, input);
}

/** Runs a command to its end. Kills it, and tells so, where it does not end. */
export function run(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  input = '',
): Promise<Ended> {
  const child = spawn(command, args, { env: environment(env), stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return ended(child);
}

export function ended(child: ChildProcess): Promise<Ended> {
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const watchdog = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`the process hangs; it printed ${stdout} ${stderr}`));
    }, PATIENCE_MS);
    child.once('error', reject);
    // Not 'close': a fork whose channel was closed from here never emits it.
    child.once('exit', (code, signal) => {
      clearTimeout(watchdog);
      const open = [child.stdout, child.stderr].filter((stream) => stream?.closed === false);
      void Promise.all(open.map((stream) => once(stream as EventEmitter, 'close'))).then(() => {
        resolve({ code, signal, stdout, stderr });
      });
    });
  });
}

/** A forked program that tells things, each by a message with a property of its own. */
export class Spawned {
  readonly process: ChildProcess;
  readonly #told: Record<string, unknown>[] = [];
  readonly #waiting = new Set<() => void>();
  #end: string | undefined;

  constructor(child: ChildProcess) {
    this.process = child;
    let stderr = '';
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('message', (message: Record<string, unknown>) => {
      this.#told.push(message);
      this.#wake();
    });
    child.once('exit', (code, signal) => {
      this.#end = `the process ended with ${signal ?? String(code)}: ${stderr}`;
      this.#wake();
    });
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  /** The next message with that property; each is given once. */
  async told<T>(property: string): Promise<T> {
    const until = Date.now() + PATIENCE_MS;
    for (;;) {
      const at = this.#told.findIndex((message) => property in message || 'failed' in message);
      const [message] = at < 0 ? [] : this.#told.splice(at, 1);
      if (message !== undefined && 'failed' in message) throw new Error(String(message['failed']));
      if (message !== undefined) return message as T;
      if (this.#end !== undefined) throw new Error(this.#end);
      const leftMs = until - Date.now();
      if (leftMs <= 0) throw new Error(`the process does not tell '${property}'`);
      await this.#change(leftMs);
    }
  }

  #change(mostMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, mostMs);
      this.#waiting.add(done);
    });
  }

  ask<T>(message: object, property: string): Promise<T> {
    this.process.send(message);
    return this.told(property);
  }
}

/** Forks a script; the hook comes by `execArgv`, or by what it requires. */
export function spawnNode(
  script: string,
  env: Readonly<Record<string, string | undefined>>,
  execArgv: readonly string[] = [],
): Spawned {
  return new Spawned(
    fork(script, { env: environment(env), execArgv: [...execArgv], stdio: ['ignore', 'inherit', 'pipe', 'ipc'] }),
  );
}

/** A forked program of this folder that answers one message with one. */
export class Actor {
  readonly process: ChildProcess;
  stderr = '';

  constructor(
    script: string,
    env: Readonly<Record<string, string | undefined>>,
    execArgv: readonly string[] = ['--require', REGISTER],
  ) {
    this.process = fork(path.join(__dirname, script), {
      env: environment(env),
      execArgv: [...execArgv],
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    this.process.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
  }

  ask<T>(message: object): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(watchdog);
        this.process.off('message', onMessage);
        this.process.off('exit', onExit);
        act();
      };
      const onMessage = (answer: object): void => {
        settle(() => {
          if ('failed' in answer) reject(new Error(String(answer.failed)));
          else resolve(answer as T);
        });
      };
      const onExit = (code: number | null, signal: string | null): void => {
        settle(() => {
          reject(new Error(`the process ended with ${signal ?? String(code)}: ${this.stderr}`));
        });
      };
      const watchdog = setTimeout(() => {
        settle(() => {
          reject(new Error(`no answer to ${JSON.stringify(message)}: ${this.stderr}`));
        });
      }, PATIENCE_MS);
      this.process.once('message', onMessage);
      this.process.once('exit', onExit);
      this.process.send(message);
    });
  }

  /** Lets it end by itself, as it has nothing left to do; kills it where it does not. */
  end(): Promise<Ended> {
    const end = ended(this.process);
    if (this.process.connected) this.process.disconnect();
    return end;
  }
}

/** Answers each message of the parent by what `answer` makes of it. */
export function serveParent(answer: (message: Record<string, unknown>) => Promise<object>): void {
  process.on('message', (message: Record<string, unknown>) => {
    answer(message).then(
      (value) => process.send?.(value),
      (error: unknown) => process.send?.({ failed: error instanceof Error ? error.stack : String(error) }),
    );
  });
}
