/** The processes of the demo: started, watched, shown with a name before each line, and all ended with it. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import readline from 'node:readline';

export interface Ended {
  readonly lines: readonly string[];
}

export class DemoChildren {
  private readonly running = new Set<ChildProcess>();

  constructor(private readonly environment: NodeJS.ProcessEnv) {}

  pids(): number[] {
    return [...this.running].flatMap((child) => (child.pid === undefined ? [] : [child.pid]));
  }

  /** Starts `node ...args` and shows what it prints. */
  start(name: string, args: readonly string[]): DemoChild {
    const child = spawn(process.execPath, args, { env: this.environment, stdio: ['ignore', 'pipe', 'pipe'] });
    return this.keep(name, child);
  }

  /** Starts a script that is talked to by messages. */
  fork(name: string, script: string): DemoChild {
    return this.keep(
      name,
      fork(script, { env: this.environment, stdio: ['ignore', 'pipe', 'pipe', 'ipc'], execArgv: [] }),
    );
  }

  /** Ends whatever still runs. */
  killAll(): void {
    for (const child of this.running) child.kill('SIGKILL');
  }

  private keep(name: string, child: ChildProcess): DemoChild {
    this.running.add(child);
    child.once('exit', () => this.running.delete(child));
    return new DemoChild(name, child);
  }
}

/** One process. */
export class DemoChild {
  readonly lines: string[] = [];
  private readonly end: Promise<string>;
  private readonly waiting = new Set<() => void>();

  constructor(
    readonly name: string,
    readonly process: ChildProcess,
  ) {
    for (const stream of [process.stdout, process.stderr]) {
      if (stream !== null) readline.createInterface({ input: stream }).on('line', this.take.bind(this));
    }
    this.end = new Promise((resolve, reject) => {
      process.once('error', reject);
      // 'close' waits for the last line; of a process with a channel it never comes once the channel was closed from
      // here.
      process.once(process.channel ? 'exit' : 'close', (code: number | null, signal: string | null) => {
        resolve(signal ?? String(code));
      });
    });
    // A child that could not be started is told of by whoever waits for it.
    this.end.catch(() => undefined);
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  /** Resolves with the first line that matches; fails where the process ends without one. */
  async line(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = this.lines.find((line) => pattern.test(line));
      if (found !== undefined) return found;
      const ended = await Promise.race([this.end, this.nextLine()]);
      if (typeof ended === 'string' && !this.lines.some((line) => pattern.test(line)))
        throw new Error(`${this.name} ended (${ended}) without ${String(pattern)}`);
    }
  }

  private nextLine(): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.add(resolve);
    });
  }

  /** Sends a message and resolves with the next message that has the property `key`. */
  request<T>(message: object, key: string): Promise<T> {
    const answer = this.message<T>(key);
    this.process.send(message);
    return answer;
  }

  message<T>(key: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const onMessage = (message: object): void => {
        if (!(key in message) && !('error' in message)) return;
        this.process.off('message', onMessage);
        if ('error' in message) reject(new Error(`${this.name}: ${String(message.error)}`));
        else resolve(message as T);
      };
      this.process.on('message', onMessage);
      void this.end.then((how) => {
        reject(new Error(`${this.name} ended (${how}) without telling '${key}'`));
      }, reject);
    });
  }

  /** Resolves when the process has ended well with what it printed; fails otherwise. */
  async success(): Promise<Ended> {
    const how = await this.end;
    if (how !== '0') throw new Error(`${this.name} ended with ${how}`);
    return { lines: this.lines };
  }

  async stop(): Promise<void> {
    if (this.process.connected) this.process.disconnect();
    else this.process.kill('SIGTERM');
    await this.end;
  }

  private take(line: string): void {
    this.lines.push(line);
    if (!line.startsWith('{')) process.stdout.write(`  ${this.name.padEnd(8)} | ${line}\n`);
    for (const wake of this.waiting) wake();
    this.waiting.clear();
  }
}
