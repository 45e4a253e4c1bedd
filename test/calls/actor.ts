/**
 * Processes of a test that run one step of it after another: `actor.run((kit, port) => kit.connect(port), port)`.
 *
 * A step is sent as source: it sees its kit and arguments (structured clones), and nothing of the test around it. An
 * actor dies with its test; a step that hangs fails the test with the name of its actor and ends the process.
 */
import { type ChildProcess, fork } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type t from 'tap';
import { memoryDirectory } from '../memory-directory';
import { type Outcome, type Step } from './actor-main';
import { type Kit } from './kit';

const STEP_MS_MAX = 60_000;

export interface ActorOptions {
  /** Directory of the region. */
  readonly region: string;
  readonly driver?: 'auto' | 'mapped' | 'direct';
  readonly system?: string;
  readonly group?: string;
  /** Run as if the optional dependency were not installed. */
  readonly withoutKoffi?: boolean;
  readonly uid?: number;
  /** Default: the same number as `uid`. */
  readonly gid?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly execArgv?: readonly string[];
  /** A command that runs the actor's node: `['unshare', '--pid', '--fork']`. */
  readonly prefix?: readonly string[];
  readonly name?: string;
}

export interface ActorEnd {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stderr: string;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

type Test = Pick<typeof t, 'teardown'>;

export class StepError extends Error {
  readonly code: string | undefined;

  constructor(actor: string, error: { message: string; code?: string }) {
    super(`${actor}: ${error.message}`);
    this.code = error.code;
  }
}

export class Actor {
  readonly name: string;
  readonly child: ChildProcess;
  /** Resolves when the process is gone, however it went. */
  readonly ended: Promise<ActorEnd>;
  #ids = 0;
  #over: ActorEnd | undefined;
  readonly #waiting = new Map<number, Waiting>();

  private constructor(options: ActorOptions) {
    this.name = options.name ?? 'actor';
    this.child = fork(path.join(__dirname, 'actor-main.js'), [], {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
      ...command(options),
      env: environment(options),
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.gid ?? options.uid }),
    });
    let stderr = '';
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    this.child.on('message', (outcome: Outcome) => {
      this.#settle(outcome);
    });
    this.child.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      this.child.once('close', (code, signal) => {
        this.#over = { code, signal, stderr };
        for (const { reject, timer } of this.#waiting.values()) {
          clearTimeout(timer);
          reject(new Error(`${this.name} ended in a step with ${String(signal ?? code)}\n${stderr}`));
        }
        this.#waiting.clear();
        resolve(this.#over);
      });
    });
  }

  static async start(test: Test, options: ActorOptions): Promise<Actor> {
    const actor = new Actor(options);
    test.teardown(() => actor.kill());
    await actor.#wait(0);
    return actor;
  }

  /** Runs one step there; what it returns, or a StepError with the code of what it threw. */
  run<A extends unknown[], R>(step: (kit: Kit, ...args: A) => R, ...args: A): Promise<Awaited<R>> {
    this.#ids += 1;
    const outcome = this.#wait(this.#ids);
    this.child.send({ id: this.#ids, source: step.toString(), args } satisfies Step, (error) => {
      if (error !== null) this.#settle({ id: this.#ids, error: { message: error.message } });
    });
    return outcome as Promise<Awaited<R>>;
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<void> {
    if (this.#over === undefined) this.child.kill('SIGKILL');
    await this.ended;
  }

  #wait(id: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#settle({ id, error: { message: `step ${id} hangs` } });
        this.child.kill('SIGKILL');
      }, STEP_MS_MAX);
      this.#waiting.set(id, { resolve, reject, timer });
      if (this.#over !== undefined) this.#settle({ id, error: { message: 'ended before' } });
    });
  }

  #settle({ id, value, error }: Outcome): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    if (error === undefined) waiting.resolve(value);
    else waiting.reject(new StepError(this.name, error));
  }
}

/** What runs the program: node, or a command that does. */
function command({ prefix = [], withoutKoffi = false, execArgv = [] }: ActorOptions): {
  execPath: string;
  execArgv: string[];
} {
  const words = [...prefix, process.execPath];
  return {
    execPath: words[0] ?? process.execPath,
    execArgv: [...words.slice(1), ...(withoutKoffi ? ['--require', noKoffiPath()] : []), ...execArgv],
  };
}

/** The environment of this process without what a test runner or a person may have put in it for Node and for us. */
function environment({ region, driver, system, group, env }: ActorOptions): NodeJS.ProcessEnv {
  const clean: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env))
    if (!/^(NODE_OPTIONS|STP_|TAP|_TAPJS)/u.test(name)) clean[name] = value;
  return {
    ...clean,
    STP_REGION: region,
    STP_DRIVER: driver ?? 'auto',
    STP_SYSTEM: system ?? 'alpha',
    ...(group === undefined ? {} : { STP_GROUP: group }),
    ...env,
  };
}

function noKoffiPath(): string {
  return path.join(__dirname, '..', 'storage', 'no-koffi.js');
}

/** Path of a region that does not exist yet; removed with the test. */
export function freshRegion(test: Test, under = memoryDirectory()): string {
  const directory = fs.mkdtempSync(path.join(under, 'stp-calls-'));
  // A region holds sockets of one user; tests of other users make this one theirs.
  test.teardown(() => {
    fs.rmSync(directory, { recursive: true, force: true });
  });
  return path.join(directory, 'region');
}
