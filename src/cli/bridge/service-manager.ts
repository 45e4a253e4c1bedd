/**
 * What a service manager (systemd) is told: that the bridge is ready, reloads, ends, and is alive. See sd_notify(3).
 *
 * Messages arrive in the order in which they are told. One that can't be told is one warning, and the bridge goes on.
 */
import { spawn } from 'node:child_process';
import { getSystemErrorName } from 'node:util';
import { sendUnixDatagram } from '../../storage';
import { type Tell } from './tell';

const MICROSECONDS_PER_MS = 1000;
const NANOSECONDS_PER_MICROSECOND = 1000n;
/** Signs of life in each time in which systemd wants one. */
const BEATS = 2;

export class ServiceManager {
  readonly #socket: string;
  readonly #tell: Tell;
  #told: Promise<void> = Promise.resolve();
  #warned = false;
  #watchdog: NodeJS.Timeout | undefined;

  constructor(env: NodeJS.ProcessEnv, tell: Tell) {
    this.#socket = env['NOTIFY_SOCKET'] ?? '';
    this.#tell = tell;
    const periodMs = watchdogMs(env);
    if (this.#socket === '' || periodMs === undefined) return;
    this.#watchdog = setInterval(() => {
      this.#send('WATCHDOG=1');
    }, periodMs / BEATS);
    this.#watchdog.unref();
  }

  ready(): void {
    this.#send('READY=1');
  }

  reloading(): void {
    const nowUs = process.hrtime.bigint() / NANOSECONDS_PER_MICROSECOND;
    this.#send(`RELOADING=1\nMONOTONIC_USEC=${nowUs}`);
  }

  /** Signs of life go on until the process ends. Resolves when it was told. */
  stopping(): Promise<void> {
    this.#send('STOPPING=1');
    return this.#told;
  }

  #send(message: string): void {
    if (this.#socket === '') return;
    this.#told = this.#told.then(() => this.#sendNow(message));
  }

  async #sendNow(message: string): Promise<void> {
    let why: string;
    try {
      const errno = sendUnixDatagram(this.#socket, message);
      if (errno === 0) return;
      why = getSystemErrorName(-errno);
    } catch (error) {
      if (await runNotify(message)) return;
      why = `neither koffi (${firstLine(error)}) nor systemd-notify can be used`;
    }
    if (this.#warned) return;
    this.#warned = true;
    const error = `NOTIFY_SOCKET ${this.#socket}: the service manager can't be told: ${why}`;
    this.#tell('warning', error, { error });
  }
}

/** Undefined where no signs of life are wanted of this process. */
function watchdogMs(env: NodeJS.ProcessEnv): number | undefined {
  const microseconds = Number(env['WATCHDOG_USEC'] ?? '0');
  const isOurs = env['WATCHDOG_PID'] === undefined || Number(env['WATCHDOG_PID']) === process.pid;
  return isOurs && microseconds >= MICROSECONDS_PER_MS ? microseconds / MICROSECONDS_PER_MS : undefined;
}

/** A process of its own tells it: systemd takes that only with NotifyAccess=all. */
function runNotify(message: string): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn('systemd-notify', message.split('\n'), { stdio: 'ignore' });
    child.once('error', () => {
      resolve(false);
    });
    child.once('exit', (status) => {
      resolve(status === 0);
    });
  });
}

function firstLine(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
}
