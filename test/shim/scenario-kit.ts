/**
 * What the scenarios are written with: a log that is the same whatever carries the bytes, and waits that can't hang.
 */
import { type EventEmitter, once } from 'node:events';
import net from 'node:net';

export class Log {
  readonly #lines: (string | Log)[] = [];
  readonly #names: Map<string, string>;

  constructor(names = new Map<string, string>()) {
    this.#names = names;
  }

  get lines(): string[] {
    return this.#lines.flatMap((line) => (typeof line === 'string' ? [line] : line.lines));
  }

  /**
   * A log of its own that stands in this one from here on: of one connection, say, whose events mix with those of
   * others.
   */
  part(name: string): Log {
    const part = new Log(this.#names);
    part.add('--', name);
    this.#lines.push(part);
    return part;
  }

  /** Writes `name` wherever the number of a port would stand. */
  name(port: number | undefined, name: string): void {
    if (port !== undefined) this.#names.set(String(port), name);
  }

  add(...values: unknown[]): void {
    this.#lines.push(values.map((value) => this.shown(value)).join(' '));
  }

  /**
   * The lines, those of one numbered connection (`#1 ...`) after those of another: how several run beside each other is
   * chance.
   */
  grouped(): string[] {
    const group = (line: string): number => Number(/^#(\d+)/.exec(line)?.[1] ?? 0);
    return [...this.lines].sort((one, two) => group(one) - group(two));
  }

  /** A value as it stands in a line, with the names that ports have by now. */
  shown(value: unknown): string {
    const text =
      value instanceof Error ? errorText(value) : typeof value === 'string' ? value : JSON.stringify(value, replacer);
    return text.replace(/\d{4,5}/g, (number) => this.#names.get(number) ?? number);
  }
}

function replacer(_key: string, value: unknown): unknown {
  return value === undefined ? 'undefined' : value;
}

/** An argument of a call, as a log shows it. */
export function argumentText(value: unknown): string {
  return typeof value === 'function'
    ? 'function'
    : typeof value === 'symbol'
      ? String(value)
      : Array.isArray(value)
        ? `[${value.map(argumentText).join()}]`
        : value === undefined
          ? 'undefined'
          : JSON.stringify(value);
}

/** All that programs look at in an error, in the order of its properties. */
export function errorText(error: Error): string {
  const fields = Object.entries(error).filter(([, value]) => typeof value !== 'object');
  return `${error.name}: ${error.message} ${JSON.stringify(fields)}`;
}

const QUIET = [
  'connect',
  'ready',
  'end',
  'close',
  'error',
  'timeout',
  'lookup',
  'connectionAttempt',
  'connectionAttemptFailed',
];

/** Logs what a socket tells, `data` as the text that came in all when it ends or closes. */
export function watch(socket: net.Socket, log: Log, who: string, options: { data?: boolean } = {}): net.Socket {
  let received = '';
  if (options.data !== false)
    socket.on('data', (chunk: Buffer | string) => (received += chunk.toString('latin1' as never)));
  for (const event of QUIET) {
    socket.on(event, (...values: unknown[]) => {
      if (event === 'connect') log.name(socket.localPort, 'CLIENT');
      if (event === 'end' || event === 'close')
        values.push(received.length > 60 ? `${received.length} bytes` : received);
      log.add(who, event, ...values);
    });
  }
  return socket;
}

/** Resolves when `emitter` emits; fails where it does not. */
export async function event(emitter: EventEmitter, name: string): Promise<unknown[]> {
  const controller = new AbortController();
  const watchdog = setTimeout(() => {
    controller.abort(new Error(`no '${name}'`));
  }, 8000);
  try {
    return name === 'error'
      ? await new Promise((resolve, reject) => {
          emitter.once('error', (error) => {
            resolve([error]);
          });
          controller.signal.addEventListener('abort', () => {
            reject(controller.signal.reason as Error);
          });
        })
      : ((await once(emitter, name, { signal: controller.signal })) as unknown[]);
  } finally {
    clearTimeout(watchdog);
  }
}

/** Resolves when a socket has closed, with or without an error. */
export function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const watchdog = setTimeout(() => {
      reject(new Error('a socket does not close'));
    }, 8000);
    socket.once('close', () => {
      clearTimeout(watchdog);
      resolve();
    });
  });
}

/** What a program sees otherwise over STP, where nothing can be done about it. */
export interface Difference {
  readonly end: 'client' | 'server';
  readonly tcp: string;
  readonly stp: string;
  readonly reason: string;
}

export interface Scenario {
  /** Makes the server; it is then told to listen at 127.0.0.1. */
  readonly server: (log: Log) => net.Server;
  readonly client: (port: number, log: Log) => Promise<void>;
  /**
   * How many connections the server gets: those that wait in its queue when all is over must not depend on who is
   * faster.
   */
  readonly connections?: number;
  /** Where the server listens, if not there. */
  readonly host?: string;
  readonly differences?: readonly Difference[];
}

/**
 * Below the ports that systems choose for sockets without one: a client can't be given the very port that it calls
 * (TCP connects it to itself then), and no server comes upon it by chance.
 */
const FREE_PORT_FIRST = 12_000;
const FREE_PORTS_OF_PROCESS = 16;
const FREE_PORT_PROCESSES = 1125;
let freePorts = 0;

/** A port where nobody listens; processes that play side by side get different ones. */
export async function freePort(): Promise<number> {
  for (;;) {
    const turn = freePorts++ % FREE_PORTS_OF_PROCESS;
    const port = FREE_PORT_FIRST + (process.pid % FREE_PORT_PROCESSES) * FREE_PORTS_OF_PROCESS + turn;
    const server = net.createServer();
    const free = await new Promise<boolean>((resolve) => {
      server
        .once('error', () => {
          resolve(false);
        })
        .listen(port, () => {
          resolve(true);
        });
    });
    if (!free) continue;
    server.close();
    await event(server, 'close');
    return port;
  }
}

/** A server that takes everything and says nothing. */
export function silent(): net.Server {
  return net.createServer((socket) => socket.on('error', () => undefined).resume());
}

/** Waits until what is asked holds, without a guess how long that takes. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 8000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
