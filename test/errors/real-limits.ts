/**
 * Limits as a system has them: no more descriptors (`ulimit -n`) and no more memory (`ulimit -v`), set on a running
 * program with prlimit(1).
 *
 * Under `stp` the program sees a clear error, under `auto` it goes by TCP and can tell why; when the limit is gone, the
 * next connection goes by STP.
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Region } from '../../src/region';
import { freshRegion } from '../calls/actor';
import { type Went } from './real-program';

const HOOK = path.join(__dirname, '../../lib/register.js');
const PROGRAM = path.join(__dirname, 'real-program.js');
const ANSWER_MS = 30_000;
/** Room for so many more descriptors is tried, one after the other: from too few for anything to enough for all. */
const FREE_MAX = 9;
/** So long a region that could not be used is not tried again in `auto`, and a little. */
const UNUSABLE_MS = 1200;
const RING_BYTES = 64 << 20;
/** What a program may still take: far less than a ring, and far more than its heap needs for a connection. */
const MEMORY_LEFT_BYTES = 40 << 20;
/** Nobody listens there. */
const CLOSED_PORT = 1;

export interface Real {
  readonly cases: number;
  readonly findings: readonly string[];
}

type Mode = 'auto' | 'stp';

class Program {
  readonly #child: ChildProcess;
  readonly #first: Promise<unknown>;

  constructor(region: string, mode: Mode, role: 'server' | 'client') {
    const env = { ...process.env, STP_REGION: region, STP_NET: mode, STP_DRIVER: 'auto' };
    this.#child = fork(PROGRAM, [role], {
      execArgv: ['--require', HOOK],
      env,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#first = this.#answer();
  }

  port(): Promise<number> {
    return this.#first as Promise<number>;
  }

  /** It serves as well, by a region that it opens for that. */
  async listen(): Promise<void> {
    const answer = this.#answer();
    this.#child.send('listen');
    await answer;
  }

  connect(port: number): Promise<Went> {
    const answer = this.#answer();
    this.#child.send(port);
    return answer as Promise<Went>;
  }

  limit(what: 'nofile' | 'as', soft: number | 'unlimited'): void {
    execFileSync('prlimit', ['--pid', String(this.#child.pid), `--${what}=${soft}:`], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  }

  /** A limit that leaves room for so many descriptors more. */
  limitFor(free: number): number {
    const open = new Set(fs.readdirSync(`/proc/${this.#child.pid ?? 0}/fd`).map(Number));
    let at = 0;
    for (let left = free; left > 0 || open.has(at); at++) if (!open.has(at)) left--;
    return at;
  }

  memoryBytes(): number {
    const [, kib = '0'] =
      /^VmSize:\s+(\d+)/mu.exec(fs.readFileSync(`/proc/${this.#child.pid ?? 0}/status`, 'utf8')) ?? [];
    return Number(kib) * 1024;
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }

  #answer(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = globalThis.setTimeout(() => {
        reject(new Error('a program does not answer'));
      }, ANSWER_MS);
      const exited = (code: number | null, signal: string | null): void => {
        clearTimeout(timer);
        reject(new Error(`a program ended with ${String(signal ?? code)}`));
      };
      this.#child.once('exit', exited);
      this.#child.once('message', (value) => {
        clearTimeout(timer);
        this.#child.off('exit', exited);
        resolve(value);
      });
    });
  }
}

/** Why limits can't be set here; undefined where they can. */
export function whyNoLimits(): string | undefined {
  if (process.platform !== 'linux') return 'limits of a running process can be set on Linux only';
  try {
    execFileSync('prlimit', ['--pid', String(process.pid), '--nofile'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'prlimit is missing (Debian: util-linux)';
  }
}

/** `scarce` takes away and gives back; `code` is what is told meanwhile. */
async function play(
  mode: Mode,
  code: string,
  scarce: (client: Program, port: number) => Promise<readonly Went[]>,
  ringBytes?: number,
): Promise<Real> {
  const cleanups: (() => unknown)[] = [];
  const findings: string[] = [];
  try {
    const region = freshRegion({
      teardown: (act) => {
        cleanups.unshift(act);
      },
    });
    // Limits of a region are those of who makes it.
    if (ringBytes !== undefined)
      Region.open(
        { directory: region, system: 'alpha', group: 'STG', driver: 'auto' },
        { limits: { ringBytes } },
      ).close();
    const [server, client] = [new Program(region, 'auto', 'server'), new Program(region, mode, 'client')];
    cleanups.unshift(
      () => {
        server.end();
      },
      () => {
        client.end();
      },
    );
    const [port] = await Promise.all([server.port(), client.port()]);
    const went = await scarce(client, port);
    const where = `${code}, ${mode}`;
    for (const one of went) if (!isPromised(one, mode, code)) findings.push(`${where}: ${JSON.stringify(one)}`);
    if (!went.some((one) => one.code === code || (one.reason === 'REGION_UNUSABLE' && one.told === code)))
      findings.push(`${where}: never told: ${JSON.stringify(went)}`);
    // For a moment `auto` does not try again what it could not use.
    await setTimeout(UNUSABLE_MS);
    const after = await client.connect(port);
    if (after.transport !== 'stp' || after.code !== '')
      findings.push(`${where}, when the limit is gone: ${JSON.stringify(after)}`);
    return { cases: went.length + 1, findings };
  } catch (error) {
    return { cases: 1, findings: [`${code}, ${mode}: ${String(error)}`] };
  } finally {
    for (const act of cleanups) await act();
  }
}

/** It worked, by TCP with the reason where it had to be, or the program was told the code. */
function isPromised(went: Went, mode: Mode, code: string): boolean {
  if (went.code === '')
    return went.transport === 'stp' || (mode === 'auto' && went.reason === 'REGION_UNUSABLE' && went.told === code);
  return went.code === code;
}

async function fewDescriptors(client: Program, port: number): Promise<readonly Went[]> {
  const went: Went[] = [];
  for (let free = 0; free <= FREE_MAX; free++) {
    client.limit('nofile', client.limitFor(free));
    const one = await client.connect(port);
    client.limit('nofile', 1024);
    went.push(one);
    if (free === 1 && one.transport === 'tcp' && one.code !== '')
      throw new Error(`the one descriptor that TCP needs was not given back: ${JSON.stringify(one)}`);
    if (one.reason === 'REGION_UNUSABLE') await setTimeout(UNUSABLE_MS);
  }
  return went;
}

async function littleMemory(client: Program, port: number): Promise<readonly Went[]> {
  // What it loads and opens for its first connection is not what is to fail. In `auto` a port where no process listens
  // would load nothing.
  await client.listen();
  await client.connect(CLOSED_PORT);
  client.limit('as', client.memoryBytes() + MEMORY_LEFT_BYTES);
  const went = [await client.connect(port), await client.connect(port)];
  client.limit('as', 'unlimited');
  return went;
}

/** All of it. */
export async function realLimits(mappable: boolean): Promise<Real> {
  const modes = ['auto', 'stp'] as const;
  const all = await Promise.all(modes.map((mode) => play(mode, 'EMFILE', fewDescriptors)));
  if (mappable) for (const mode of modes) all.push(await play(mode, 'ENOBUFS', littleMemory, RING_BYTES));
  return { cases: all.reduce((sum, { cases }) => sum + cases, 0), findings: all.flatMap(({ findings }) => findings) };
}
