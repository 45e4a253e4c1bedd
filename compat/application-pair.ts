/**
 * One application run once in one setting: a server, then a client, and what they, their witness and the kernel tell of
 * it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { projectRoot } from '../scripts/project-root';
import { withRequire } from '../src/cli/node-options';
import { type Application } from './application-list';
import { type RunSetting } from './application-settings';
import { endLeftovers, RUN_VARIABLE } from './application-leftovers';
import { spoil } from './application-region';
import { KERNEL_FILES, type KernelFiles, kernelTcp, type KernelTcp } from './kernel-tcp';
import { inNamespace } from './namespace';

/** How many connections went by what. */
export interface Transports {
  readonly stp: number;
  readonly tcp: number;
}

export interface PairOutcome {
  /** What the client has told; undefined where it told nothing. */
  readonly result: unknown;
  /** How it failed; empty where it did not. */
  readonly failure: string;
  readonly client: Transports;
  readonly server: Transports;
  /** The reasons that connections of clients gave. */
  readonly reasons: readonly string[];
  /** What the kernel counted over both processes; undefined where nobody else is kept out of the count. */
  readonly kernel: KernelTcp | undefined;
}

export interface PairOptions {
  readonly application: Application;
  readonly setting: RunSetting;
  /** A directory of this run's own. */
  readonly scratch: string;
  readonly region: string;
  readonly limitMs: number;
  /** This process is in a network namespace that no other program uses. */
  readonly ownNetwork: boolean;
  /** What `prepare` of the application has made. */
  readonly prepared: string | undefined;
}

const KEPT = ['PATH', 'HOME', 'USER', 'LANG', 'TMPDIR'];
const ERRORS_CHARS_MAX = 4000;
const END_MS = 1000;

interface Witnessed extends KernelFiles {
  readonly side?: 'client' | 'server';
  readonly transport?: string;
  readonly reason?: string;
}

class Program {
  readonly process: ChildProcess;
  private readonly exited: Promise<string>;
  private readonly lines: AsyncIterator<string>;
  private errors = '';

  constructor(
    readonly role: 'server' | 'client',
    options: PairOptions,
    args: readonly string[],
  ) {
    const { application, setting } = options;
    const file = path.join(projectRoot(), 'compat/applications', `${application[role]}.mjs`);
    const [command = process.execPath, ...rest] = [
      ...(setting.blocked === true ? inNamespace('blocked') : []),
      process.execPath,
      file,
      ...args,
    ];
    this.process = spawn(command, rest, {
      env: environmentOf(role, options),
      cwd: options.scratch,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    // Closed, not merely over: then all that it printed has been read.
    this.exited = new Promise((resolve) => {
      this.process.once('error', (error) => {
        resolve(error.message);
      });
      this.process.once('close', (code, signal) => {
        resolve(code === 0 ? '' : `${role}: ${code === null ? String(signal) : `exit code ${code}`}`);
      });
    });
    const { stdout, stderr } = this.process;
    if (stdout === null || stderr === null) throw new Error('no pipes');
    this.lines = createInterface(stdout)[Symbol.asyncIterator]();
    stderr.setEncoding('utf8').on('data', (text: string) => {
      this.errors = (this.errors + text).slice(-ERRORS_CHARS_MAX);
    });
  }

  /** The first line that it prints, as JSON; rejects where it ends without one. */
  async told(): Promise<unknown> {
    const line: IteratorResult<string, unknown> = await this.lines.next();
    if (line.done === true) {
      const failure = await this.exited;
      throw new Error(failure === '' ? `the ${this.role} told nothing` : failure);
    }
    return JSON.parse(line.value) as unknown;
  }

  /** Waits for the end that it comes to by itself. */
  async ended(): Promise<void> {
    const failure = await this.exited;
    if (failure !== '') throw new Error(failure);
  }

  said(): string {
    return this.errors.trim();
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null || this.process.pid === undefined) return;
    const end = once(this.process, 'exit');
    this.process.kill(signal);
    await end;
  }
}

function environmentOf(role: 'server' | 'client', { setting, region, scratch }: PairOptions): NodeJS.ProcessEnv {
  const kept = Object.fromEntries(
    KEPT.flatMap((key) => (process.env[key] === undefined ? [] : [[key, process.env[key]]])),
  );
  const witness = path.join(projectRoot(), 'compat/applications/witness.cjs');
  const env: NodeJS.ProcessEnv = { ...kept, [RUN_VARIABLE]: scratch, COMPAT_WITNESS: witnessFile(scratch, role) };
  if (setting.hooked !== role && setting.hooked !== 'both')
    return { ...env, NODE_OPTIONS: withRequire(undefined, witness) };
  const hook = withRequire(undefined, path.join(projectRoot(), 'dist/lib/register.js'));
  return {
    ...env,
    NODE_OPTIONS: withRequire(hook, witness),
    STP_NET: setting.mode,
    STP_REGION: region,
    ...(setting.driver === undefined ? {} : { STP_DRIVER: setting.driver }),
  };
}

function witnessFile(scratch: string, role: string): string {
  return path.join(scratch, `${role}.witness`);
}

export async function runPair(options: PairOptions): Promise<PairOutcome> {
  const { setting, ownNetwork, prepared, region } = options;
  const before = ownNetwork ? kernelTcp(filesOf('self')) : undefined;
  const server = new Program('server', options, prepared === undefined ? [] : [prepared]);
  const programs = [server];
  let result: unknown;
  let failure = '';
  let late = '';
  const limit = setTimeout(() => {
    late = `not done after ${options.limitMs / 1000} s`;
    for (const program of programs) program.process.kill('SIGKILL');
  }, options.limitMs);
  let kernels: (KernelTcp | undefined)[] = [];
  try {
    const port = await server.told();
    if (setting.region === 'late') spoil(region);
    const client = new Program('client', options, [JSON.stringify(port)]);
    programs.push(client);
    result = await client.told();
    await client.ended();
    // In the namespaces of the two, or the one that they share with this process.
    kernels =
      setting.blocked === true
        ? [kernelTcp(filesOf(server.process.pid ?? 0)), kernelOf(options, 'client')]
        : [since(before, kernelTcp(filesOf('self')))];
  } catch (error) {
    failure = [(error as Error).message, late, ...programs.map((program) => program.said())]
      .filter((text) => text !== '')
      .join('\n');
  } finally {
    clearTimeout(limit);
    // The client is over, or must be; the server may clean up, and some do so slowly.
    await programs[1]?.stop('SIGKILL');
    const impatience = setTimeout(() => server.process.kill('SIGKILL'), options.application.endMs ?? END_MS);
    await server.stop('SIGTERM');
    clearTimeout(impatience);
    endLeftovers(options.scratch);
  }
  const seen = witnessed(options, 'client');
  return {
    result,
    failure,
    client: count(seen, 'client'),
    server: count(witnessed(options, 'server'), 'server'),
    reasons: [
      ...new Set(seen.flatMap(({ side, reason }) => (side === 'client' && reason !== undefined ? [reason] : []))),
    ].sort(),
    // Without namespaces the counts are of the whole machine.
    kernel: ownNetwork ? kernels.reduce(sum, { opens: 0, unrouted: 0, sockets: 0 }) : undefined,
  };
}

function filesOf(pid: number | 'self'): KernelFiles {
  const read = (name: string): [string, string][] => {
    const file = `/proc/${pid}/net/${name}`;
    return fs.existsSync(file) ? [[name, fs.readFileSync(file, 'utf8')]] : [];
  };
  return Object.fromEntries(KERNEL_FILES.flatMap(read));
}

function witnessed({ scratch }: PairOptions, role: string): Witnessed[] {
  const file = witnessFile(scratch, role);
  if (!fs.existsSync(file)) return [];
  return fs
    .readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Witnessed);
}

function kernelOf(options: PairOptions, role: string): KernelTcp | undefined {
  return kernelTcp(Object.assign({}, ...witnessed(options, role)) as KernelFiles);
}

function count(seen: readonly Witnessed[], side: 'client' | 'server'): Transports {
  const by = (transport: string): number =>
    seen.filter((each) => each.side === side && each.transport === transport).length;
  return { stp: by('stp'), tcp: by('tcp') };
}

function since(before: KernelTcp | undefined, after: KernelTcp | undefined): KernelTcp | undefined {
  return before === undefined || after === undefined
    ? undefined
    : { ...after, opens: after.opens - before.opens, unrouted: after.unrouted - before.unrouted };
}

/** Undefined as soon as one is: what was not counted must not read as nothing. */
function sum(one: KernelTcp | undefined, other: KernelTcp | undefined): KernelTcp | undefined {
  return one === undefined || other === undefined
    ? undefined
    : { opens: one.opens + other.opens, unrouted: one.unrouted + other.unrouted, sockets: one.sockets + other.sockets };
}
