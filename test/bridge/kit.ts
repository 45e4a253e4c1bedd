/** Bridges as processes of their own, and TCP programs at both ends of them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type t from 'tap';
import { startStp, STP } from '../cli/stp-process';

export const HOST = '127.0.0.1';

/** A test, or what else takes down what was set up for it. */
export type Test = Pick<typeof t, 'teardown'>;

/** What a bridge tells with --json. */
export interface Told {
  readonly event: string;
  readonly forward?: { readonly kind: string; readonly port?: number; readonly listen?: { readonly port: number } };
  readonly error?: string;
  readonly code?: string;
  readonly from?: string;
  readonly to?: string;
  readonly sentBytes?: number;
  readonly receivedBytes?: number;
  readonly droppedDatagrams?: number;
  readonly connections?: number;
  readonly count?: number;
  readonly holder?: string;
}

export class BridgeProcess {
  readonly child: ChildProcess;
  readonly told: Told[] = [];
  stderr = '';
  #changed: () => void = () => undefined;
  #ended: Promise<readonly [number | null, string | null]>;

  constructor(test: Test, region: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.child = startStp(['bridge', '--json', ...args], { env: { STP_REGION: region, ...env } });
    this.#ended = once(this.child, 'exit') as Promise<[number | null, string | null]>;
    if (this.child.stdout === null || this.child.stderr === null) throw new Error('no pipes');
    createInterface(this.child.stdout).on('line', (line) => {
      this.told.push(JSON.parse(line) as Told);
      this.#changed();
    });
    this.child.stderr.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
      this.#changed();
    });
    test.teardown(() => this.child.kill('SIGKILL'));
  }

  /** The first event that fits, now or later. */
  async tells(fits: (told: Told) => boolean): Promise<Told> {
    for (;;) {
      const found = this.told.find(fits);
      if (found !== undefined) return found;
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`the bridge has ended: ${this.stderr}`);
      await Promise.race([new Promise<void>((resolve) => (this.#changed = resolve)), this.#ended]);
    }
  }

  /** The real ports of its forwards, in order. */
  async ports(count: number): Promise<number[]> {
    await this.tells(() => this.told.filter(({ event }) => event === 'listening').length >= count);
    return this.told
      .filter(({ event }) => event === 'listening')
      .map(({ forward }) => forward?.port ?? forward?.listen?.port ?? 0);
  }

  ended(): Promise<readonly [number | null, string | null]> {
    return this.#ended;
  }
}

/** A directory for control sockets, whose paths must be short, as the environment of bridges and of `ctl`. */
export function controlEnvironment(test: Test): {
  readonly directory: string;
  readonly env: Readonly<Record<string, string>>;
} {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'stp-'));
  test.teardown(() => {
    fs.rmSync(directory, { recursive: true, force: true });
  });
  return { directory, env: { XDG_RUNTIME_DIR: directory, TMPDIR: directory } };
}

/** `stp bridge -W`, with `input` on standard input. */
export async function overStdio(
  region: string,
  target: string,
  input: string,
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [STP, 'bridge', '-W', target], { env: { ...process.env, STP_REGION: region } });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].on('data', (chunk: Buffer) => (output[name] += chunk.toString()));
  child.stdin.end(input);
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, ...output };
}

/** A TCP server; each connection goes to `serve`. */
export async function serveTcp(test: Test, serve: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    test.teardown(() => socket.destroy());
    serve(socket);
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  test.teardown(() => server.close());
  return (server.address() as net.AddressInfo).port;
}

/** A connection under way: it may be reset before it stands. */
export function callTcp(test: Test, port: number): net.Socket {
  const socket = net.connect({ port, host: HOST, allowHalfOpen: true });
  socket.on('error', () => undefined);
  test.teardown(() => socket.destroy());
  return socket;
}

export async function connectTcp(test: Test, port: number): Promise<net.Socket> {
  const socket = callTcp(test, port);
  await once(socket, 'connect');
  return socket;
}

/** All bytes until the end; the code of the error where it does not come to its end. */
export function drained(socket: net.Socket): Promise<Buffer | string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.once('end', () => {
      resolve(Buffer.concat(chunks));
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code ?? 'no code');
    });
    socket.once('close', () => {
      resolve('closed');
    });
  });
}

/** Exactly so many bytes. What follows them stays in the socket. */
export function take(socket: net.Socket, lengthBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let missing = lengthBytes;
    const stop = (): void => {
      socket.off('readable', read).off('end', ended).off('close', ended);
    };
    const read = (): void => {
      while (missing > 0 && socket.readableLength > 0) {
        const chunk = socket.read(Math.min(missing, socket.readableLength)) as Buffer;
        chunks.push(chunk);
        missing -= chunk.length;
      }
      if (missing > 0) return;
      stop();
      resolve(Buffer.concat(chunks));
    };
    const ended = (): void => {
      stop();
      reject(new Error('the end came before the bytes'));
    };
    socket.on('readable', read).once('end', ended).once('close', ended);
    read();
  });
}

/**
 * A TCP server behind two bridges, which have nothing but the region between them: the port at which TCP clients reach
 * it.
 */
export async function behindTwo(
  test: Test,
  region: string,
  serverPort: number,
): Promise<{ port: number; near: BridgeProcess; far: BridgeProcess }> {
  const far = new BridgeProcess(test, region, ['-R', `0:${HOST}:${serverPort}`], { STP_SYSTEM: 'far' });
  const [stpPort] = await far.ports(1);
  const near = new BridgeProcess(test, region, ['-L', `0:far:${stpPort ?? 0}`], { STP_SYSTEM: 'near' });
  const [port = 0] = await near.ports(1);
  return { port, near, far };
}
