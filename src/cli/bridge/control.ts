/**
 * How a running bridge is reached by `stp bridge ctl`: where its control socket is, and what each request does. Without
 * --control a bridge runs also where the socket can't be had, and says so.
 */
import fs from 'node:fs';
import { type Server } from 'node:net';
import path from 'node:path';
import { shownForward } from '../../bridge';
import { nowMs } from '../../host';
import { checkControlPath, controlDirectories, isDead, liveSockets, makeControlDirectory } from './control-directory';
import { type BridgeReport, type ChangeReport, type ControlReply, type ControlRequest } from './control-protocol';
import { serveControl } from './control-server';
import { CliFailure } from '../failure';
import { reasonOf } from './option-lines';
import { secondsOf } from './options';
import { type RunningBridge } from './running-bridge';
import { type StopSignal } from './stop-signal';
import { type Tell } from './tell';

export class Control {
  readonly #running: RunningBridge;
  readonly #stop: StopSignal;
  readonly #startedMs = nowMs();
  #server: Server | undefined;

  private constructor(running: RunningBridge, stop: StopSignal) {
    this.#running = running;
    this.#stop = stop;
  }

  /** Rejects where the socket that --control names can't be had. */
  static async open(running: RunningBridge, stop: StopSignal, tell: Tell): Promise<Control> {
    const control = new Control(running, stop);
    const { control: wanted } = running.options;
    try {
      await control.#listen(wanted === undefined ? await ownSocket() : await namedSocket(wanted));
    } catch (error) {
      if (wanted !== undefined) throw error instanceof CliFailure ? error : failureOf(wanted, error);
      const why = `stp bridge ctl can't reach this bridge: ${reasonOf(error)}`;
      tell('warning', why, { error: why });
    }
    return control;
  }

  async #listen(socket: string | undefined): Promise<void> {
    if (socket !== undefined) this.#server = await serveControl(socket, (request) => this.#answer(request));
  }

  async #answer(request: ControlRequest): Promise<ControlReply> {
    switch (request.command) {
      case 'add':
        return reportOf(await this.#running.add(request.lines));
      case 'remove':
        return reportOf(await this.#running.remove(request.lines));
      case 'list':
        return this.#report();
      case 'stop': {
        const { drain } = request;
        const drainMs = drain === undefined ? undefined : secondsOf('--drain', drain, 0);
        // After the answer has gone out.
        setImmediate(() => {
          this.#stop.stop('ctl', drainMs);
        });
        return { connections: this.#running.connections };
      }
    }
  }

  #report(): BridgeReport {
    return {
      pid: process.pid,
      uptimeMs: Math.round(nowMs() - this.#startedMs),
      connections: this.#running.connections,
      forwards: this.#running.statuses.map(({ forward, state, error, traffic }) => ({
        forward,
        state,
        shown: shownForward(forward),
        error: error?.message,
        ...traffic,
      })),
      allow: this.#running.rules('allow'),
      deny: this.#running.rules('deny'),
    };
  }

  /** Node removes the socket's file. */
  close(): void {
    this.#server?.close();
  }
}

function reportOf(forwards: Awaited<ReturnType<RunningBridge['add']>>): ChangeReport {
  return { forwards: forwards.map((forward) => ({ forward, shown: shownForward(forward) })) };
}

/** In the directory of this user; undefined on Windows, which has no such sockets. */
async function ownSocket(): Promise<string | undefined> {
  if (process.platform === 'win32') return undefined;
  const [directory = ''] = controlDirectories(process.env);
  makeControlDirectory(directory);
  // Those of bridges that were killed.
  await liveSockets([directory]);
  return path.join(directory, `${process.pid}.sock`);
}

async function namedSocket(socket: string): Promise<string> {
  checkControlPath(socket);
  if (fs.existsSync(socket) && !(await isDead(socket)))
    throw new CliFailure(`--control ${socket}: a bridge that runs has it`);
  return path.resolve(socket);
}

function failureOf(socket: string, error: unknown): CliFailure {
  return new CliFailure(`--control ${socket}: ${(error as Error).message}`);
}
