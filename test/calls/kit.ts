/**
 * What the steps of a test find in the process they run in: the call library, and streams whose every byte is checked.
 */
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type * as Runtime from '../../src/calls/runtime';
import * as stp from '../../src/index';
import { CRASH_CONTROL, type CrashControl } from '../crashes/crash-control';
import { FAULT_CONTROL, type FaultControl } from '../errors/fault-control';
import { type Outcome, type Step } from './actor-main';
import { Duplex, type DuplexState } from './duplex';
import { pattern } from './pattern';

/** The code of whatever a call throws or rejects with. */
export function codeOf(error: unknown): string {
  return error instanceof stp.StpError ? error.code : `no StpError: ${String(error)}`;
}

export interface Drained {
  /** Offset of the first byte that is not there. */
  readonly to: number;
  /** 'end' of stream, 'enough', or the code of the error. */
  readonly why: string;
}

/** A worker thread of an actor. */
export class Thread {
  readonly #worker = new Worker(path.join(__dirname, 'actor-main.js'));
  #ids = 0;

  run<A extends unknown[], R>(step: (kit: Kit, ...args: A) => R, ...args: A): Promise<Awaited<R>> {
    const id = ++this.#ids;
    return new Promise((resolve, reject) => {
      const worker = this.#worker;
      const onMessage = (outcome: Outcome): void => {
        if (outcome.id !== id) return;
        worker.off('message', onMessage);
        if (outcome.error === undefined) resolve(outcome.value as Awaited<R>);
        else reject(Object.assign(new Error(outcome.error.message), { code: outcome.error.code }));
      };
      worker.on('message', onMessage);
      worker.once('error', reject);
      worker.postMessage({ id, source: step.toString(), args } satisfies Step);
    });
  }

  /** Ends it from outside. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  /** Resolves when it has ended by itself. */
  ended(): Promise<number> {
    return new Promise((resolve) => {
      this.#worker.once('exit', resolve);
    });
  }
}

/** What {@link Kit.another} gives. */
export interface Another {
  readonly kit: Kit;
  /** What the end of a program does. */
  leave(): void;
}

const LOADED_AGAIN = /\/src\/(calls\/[\w-]+|index)\.js$|\/test\/calls\/(kit|duplex)\.js$/u;

export class Kit {
  readonly stp = stp;
  readonly pattern = pattern;
  /** Descriptors that later steps need. */
  readonly fds: Record<string, number> = {};
  /** Anything else that later steps need. */
  readonly notes = new Map<string, unknown>();

  /** Where this process is to kill itself; only with the preload of the crash tests. */
  get crash(): CrashControl {
    const control = (globalThis as { [CRASH_CONTROL]?: CrashControl })[CRASH_CONTROL];
    if (control === undefined) throw new Error('the crash preload is not loaded');
    return control;
  }

  /** Which file calls of this thread are to fail; only with the preload of the tests of errors. */
  get faults(): FaultControl {
    const control = (globalThis as { [FAULT_CONTROL]?: FaultControl })[FAULT_CONTROL];
    if (control === undefined) throw new Error('the fault preload is not loaded');
    return control;
  }

  /** Milliseconds on the clock that all processes of this host share. */
  nowMs(): number {
    return Number(process.hrtime.bigint()) / 1e6;
  }

  socket(): number {
    return stp.STPsocket(stp.PF_STP, stp.SOCK_STREAM, stp.PF_STP);
  }

  /** A listening socket; 0 chooses a port. Its address as clients want it. */
  listen(port = 0, backlog = 511): { s: number; port: number } {
    const s = this.socket();
    stp.STPbind(s, { port });
    stp.STPlisten(s, backlog);
    return { s, port: stp.STPgethostname(s).port };
  }

  async connect(port: number, system?: string, group?: string): Promise<number> {
    const s = this.socket();
    await stp.STPconnect(s, { port, system, group });
    return s;
  }

  /** Both ends of a connection of this process with itself. */
  async pair(): Promise<[number, number]> {
    const { s, port } = this.listen();
    const [client, server] = await Promise.all([this.connect(port), stp.STPaccept(s)]);
    await stp.STPclose(s);
    return [client, server];
  }

  async sendText(s: number, text: string): Promise<void> {
    await stp.STPsend(s, Buffer.from(text));
  }

  /** Receives exactly so many bytes, or less at the end. */
  async text(s: number, bytes: number): Promise<string> {
    const into = Buffer.alloc(bytes);
    let at = 0;
    while (at < bytes) {
      const n = await stp.STPrecv(s, into.subarray(at));
      if (n === 0) break;
      at += n;
    }
    return into.toString('latin1', 0, at);
  }

  /** Sends bytes `from` to `to` of a stream with waiting calls. */
  async feed(s: number, stream: number, from: number, to: number, chunkBytes = 65_536): Promise<void> {
    for (let at = from; at < to; at += chunkBytes) {
      await stp.STPsend(s, pattern(stream, at, Math.min(chunkBytes, to - at)));
    }
  }

  /** Receives a stream from `from` on, up to `to`, its end or an error; throws at the first byte that is wrong. */
  async drain(s: number, stream: number, from = 0, to = Infinity, chunkBytes = 65_536): Promise<Drained> {
    const into = Buffer.allocUnsafe(chunkBytes);
    for (let at = from; ;) {
      if (at >= to) return { to: at, why: 'enough' };
      let n: number;
      try {
        n = await stp.STPrecv(s, into, Math.min(into.length, to - at));
      } catch (error) {
        return { to: at, why: codeOf(error) };
      }
      if (n === 0) return { to: at, why: 'end' };
      this.check(stream, at, into.subarray(0, n));
      at += n;
    }
  }

  check(stream: number, at: number, bytes: Uint8Array): void {
    if (Buffer.compare(bytes, pattern(stream, at, bytes.length)) !== 0)
      throw new Error(`stream ${stream} is wrong between ${at} and ${at + bytes.length}`);
  }

  /** Sends and receives all the time, see Duplex. */
  duplex(s: number, state: DuplexState): Duplex {
    return new Duplex(s, state);
  }

  /** The code that a call fails with; '' where it succeeds. */
  async code(act: () => unknown): Promise<string> {
    try {
      await act();
      return '';
    } catch (error) {
      return codeOf(error);
    }
  }

  /** Another process of the region in this thread: the calls, loaded once more. */
  another(): Another {
    for (const file of Object.keys(require.cache))
      if (LOADED_AGAIN.test(file)) Reflect.deleteProperty(require.cache, file);
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- an import would give what is loaded already.
    const { Kit: Again } = require('./kit') as { Kit: typeof Kit };
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- as above.
    const { runtimeIfOpen } = require('../../src/calls/runtime') as typeof Runtime;
    return {
      kit: new Again(),
      leave: () => {
        runtimeIfOpen()?.leave();
      },
    };
  }

  /** A worker thread, to run steps in as an actor does. */
  thread(): Thread {
    return new Thread();
  }

  /** From now on only sockets (and what the step itself does) keep this process alive. */
  letGo(): void {
    process.channel?.unref();
  }
}
