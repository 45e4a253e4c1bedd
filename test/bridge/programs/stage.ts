/**
 * Where real programs meet through bridges: a region, a near and a far bridge with nothing but the region between them,
 * and what was started for it, all of which ends with it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { memoryDirectory } from '../../memory-directory';
import { STP } from '../../cli/stp-process';
import { BridgeProcess, HOST, type Test } from '../kit';

const READY_MS_MAX = 20_000;
const RUN_MS_MAX = 90_000;
/** A user without rights, for servers that do not run as root. */
const NOBODY = 65_534;

export interface Started {
  readonly asNobody?: boolean;
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export class Stage implements Test {
  readonly directory: string;
  readonly region: string;
  readonly #teardowns: (() => unknown)[] = [];

  constructor() {
    this.directory = fs.mkdtempSync(path.join(memoryDirectory(), 'stp-bridge-'));
    fs.chmodSync(this.directory, 0o755);
    this.region = path.join(this.directory, 'region');
  }

  teardown = (fn: () => unknown): void => {
    this.#teardowns.push(fn);
  };

  async close(): Promise<void> {
    for (const fn of this.#teardowns.reverse()) await fn();
    fs.rmSync(this.directory, { recursive: true, force: true });
  }

  file(name: string, content: string | Buffer, mode = 0o644): string {
    const file = path.join(this.directory, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, content, { mode });
    return file;
  }

  /** A directory, of the user without rights where this one is root. */
  folder(name: string): string {
    const folder = path.join(this.directory, name);
    fs.mkdirSync(folder, { recursive: true });
    if (process.getuid?.() === 0) fs.chownSync(folder, NOBODY, NOBODY);
    return folder;
  }

  async freePort(): Promise<number> {
    const server = net.createServer().listen(0, HOST);
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    server.close();
    await once(server, 'close');
    return port;
  }

  #spawn(command: readonly string[], { asNobody, env }: Started): ChildProcess {
    const [file = '', ...args] = command;
    const user = asNobody === true && process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
    return spawn(file, args, { cwd: this.directory, env: { ...process.env, ...env }, ...user });
  }

  /** A server; resolves once it accepts at the port. */
  async serve(port: number, command: readonly string[], options: Started = {}): Promise<void> {
    const child = this.#spawn(command, options);
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.on('error', (error) => (said += error.message));
    this.teardown(async () => {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
      child.kill('SIGTERM');
      const hard = setTimeout(() => child.kill('SIGKILL'), 5000);
      await once(child, 'exit');
      clearTimeout(hard);
    });
    const endMs = performance.now() + READY_MS_MAX;
    while (!(await accepts(port))) {
      if (child.exitCode !== null || performance.now() > endMs)
        throw new Error(`${command[0] ?? ''} does not serve: ${said}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Runs a program to its end; its standard output. Rejects where its exit code is not 0. */
  async run(command: readonly string[], options: Started = {}): Promise<string> {
    return (await this.runRaw(command, options)).toString();
  }

  async runRaw(command: readonly string[], options: Started = {}): Promise<Buffer> {
    const child = this.#spawn(command, options);
    const output: Buffer[] = [];
    let errors = '';
    child.stdout?.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    child.stdin?.on('error', () => undefined).end(options.input ?? '');
    const limit = setTimeout(() => child.kill('SIGKILL'), RUN_MS_MAX);
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    clearTimeout(limit);
    const stdout = Buffer.concat(output);
    if (code !== 0)
      throw new Error(`${command.join(' ')} ended with ${String(code ?? signal)}: ${errors}${stdout.toString()}`);
    return stdout;
  }

  /** A hooked Node program of the system `near`, which sees nothing but the region. */
  hooked(script: string): Promise<string> {
    return this.run([process.execPath, STP, 'run', '--net', 'stp', '--', process.execPath, '-e', script], {
      env: { STP_REGION: this.region, STP_SYSTEM: 'near' },
    });
  }

  /** TCP `port` becomes port `stpPort` of `far`. */
  async far(stpPort: number, port: number): Promise<void> {
    const bridge = new BridgeProcess(this, this.region, ['-R', `${stpPort}:${HOST}:${port}`], { STP_SYSTEM: 'far' });
    await bridge.ports(1);
  }

  /** The TCP ports of the forwards of a near bridge. */
  near(...args: string[]): Promise<number[]> {
    const bridge = new BridgeProcess(this, this.region, args, { STP_SYSTEM: 'near' });
    return bridge.ports(args.length / 2);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: HOST });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}

export function check(what: string, actual: unknown, wanted: unknown): void {
  if (actual !== wanted) throw new Error(`${what}: ${JSON.stringify(actual)}, not ${JSON.stringify(wanted)}`);
}

export const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
