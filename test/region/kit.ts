/** What the tests of the region share: temporary regions, and other processes that do as they are told. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { StpError, type ErrorCode } from '../../src/errors';
import { Region, type RegionOptions, type RegionSetup } from '../../src/region';
import { type ChildAnswer } from './region-child';

interface Test {
  teardown(handler: () => unknown): void;
}

/** A new directory that is gone after the test. */
export function temporaryDirectory(t: Test, parent = os.tmpdir()): string {
  const directory = fs.mkdtempSync(path.join(parent, 'stp-region-test-'));
  t.teardown(() => {
    fs.rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}

/** Options for a region in a new directory (or the given one). */
export function optionsFor(t: Test, over: Partial<RegionOptions> = {}): RegionOptions {
  const directory = over.directory ?? path.join(temporaryDirectory(t), 'region');
  return { directory, system: 'here', group: 'STG', driver: 'direct', ...over };
}

/** Opens a region that is closed after the test. */
export function openRegion(t: Test, options: RegionOptions, setup?: RegionSetup): Region {
  const region = Region.open(options, setup);
  t.teardown(() => {
    region.close();
  });
  return region;
}

/** Code of the StpError that `act` throws, 'none' where it throws nothing; other errors come through. */
export function codeOf(act: () => unknown): ErrorCode | 'none' {
  try {
    act();
    return 'none';
  } catch (error) {
    if (error instanceof StpError) return error.code;
    throw error;
  }
}

export const isRoot = process.getuid?.() === 0;

/** Reason to skip where root is needed to make the situation. */
export const needsRoot = isRoot ? false : 'needs root';

/** Reason to skip where `unshare` with these flags can't be had. */
export function needsUnshare(...flags: string[]): string | false {
  try {
    execFileSync('unshare', [...flags, 'true'], { stdio: 'ignore' });
    return false;
  } catch {
    return `needs unshare ${flags.join(' ')}`;
  }
}

/** Mounts a tmpfs of `kib` KiB with its own options on a new directory; root only. */
export function mountTmpfs(t: Test, mountOptions: string): string {
  const directory = temporaryDirectory(t);
  execFileSync('mount', ['-t', 'tmpfs', '-o', mountOptions, 'stp-test', directory]);
  t.teardown(() => {
    execFileSync('umount', ['-l', directory]);
  });
  return directory;
}

/** Waits until `done` says so; the watchdog of the test run ends what never comes. */
export async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await done())) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** A moment so far ahead that every racer has got its message by then. */
export function startOfRace(): number {
  return Date.now() + 25;
}

/** Another process with the library loaded. */
export class RegionChild {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #ids = 0;
  readonly #ready: Promise<unknown>;
  readonly exited: Promise<void>;

  constructor(t: Test, prefix: readonly string[] = []) {
    const command = [...prefix, process.execPath, path.join(__dirname, 'region-child.js')];
    this.#process = spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#ready = this.#answer(0);
    this.#process.on('message', (answer: ChildAnswer) => {
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if (answer.error !== undefined)
        waiting?.reject(Object.assign(new Error(answer.error.message), { code: answer.error.code }));
      else waiting?.resolve(answer.value);
    });
    this.exited = new Promise((resolve) => {
      this.#process.on('exit', () => {
        for (const { reject } of this.#waiting.values()) reject(new Error('the child has exited'));
        this.#waiting.clear();
        resolve();
      });
    });
    t.teardown(() => this.kill());
  }

  /** Children that are all ready. */
  static async start(t: Test, count: number, prefix: readonly string[] = []): Promise<RegionChild[]> {
    const children = Array.from({ length: count }, () => new RegionChild(t, prefix));
    await Promise.all(children.map((child) => child.#ready));
    return children;
  }

  static async one(t: Test, prefix: readonly string[] = []): Promise<RegionChild> {
    const child = new RegionChild(t, prefix);
    await child.#ready;
    return child;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Does one operation there; rejects with an error that has the `code` of the child's StpError. */
  async call<T = unknown>(op: string, ...args: unknown[]): Promise<T> {
    this.#ids += 1;
    const answer = this.#answer(this.#ids);
    this.#process.send({ id: this.#ids, op, args });
    return (await answer) as T;
  }

  /** Kills it as nothing can be prepared for, and waits until it is gone. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.exited;
  }

  #answer(id: number): Promise<unknown> {
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }
}
