/**
 * A process on a host that runs one step of a test after another: `actor.run((kit, port) => kit.connect(port), port)`.
 *
 * Steps and outcomes are lines of JSON, so that they can go to another kernel too. A step sees its kit and its
 * arguments, and nothing of the test.
 */
import path from 'node:path';
import { type Host, type HostEnd, type HostProcess } from './host';
import { type HostKit } from './host-actor-main';

export const OUTCOME_PREFIX = 'outcome ';

export interface Step {
  readonly id: number;
  readonly source: string;
  readonly args: readonly unknown[];
}

export interface Outcome {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export interface HostActorOptions {
  readonly region: string;
  readonly system: string;
  readonly execArgv?: readonly string[];
  readonly leaseMs: number;
}

export class HostActor {
  readonly process: HostProcess;
  readonly ended: Promise<HostEnd>;
  #ids = 0;
  #over = false;
  readonly #lines: string[] = [];
  readonly #waiting = new Map<number, Waiting>();

  private constructor(
    readonly name: string,
    started: HostProcess,
  ) {
    this.process = started;
    started.onLine = (line) => {
      this.#line(line);
    };
    this.ended = started.ended.then((end) => {
      this.#over = true;
      for (const id of [...this.#waiting.keys()])
        this.#settle({ id, error: `ended with ${String(end.signal ?? end.code)}\n${this.#lines.join('\n')}` });
      return end;
    });
  }

  static async start(host: Host, { region, system, execArgv = [], leaseMs }: HostActorOptions): Promise<HostActor> {
    const env = {
      STP_REGION: path.posix.join(host.directory, region),
      STP_SYSTEM: system,
      STP_LEASE_MS: String(leaseMs),
    };
    const actor = new HostActor(system, host.start([...execArgv, path.join(__dirname, 'host-actor-main.js')], env));
    await actor.#wait(0, 60_000);
    return actor;
  }

  /** Runs one step there; what it returns. Arguments and result must be JSON. */
  run<A extends unknown[], R>(step: (kit: HostKit, ...args: A) => R, ...args: A): Promise<Awaited<R>> {
    return this.runWithin(120_000, step, ...args);
  }

  /** The same for a step that may take longer. */
  runWithin<A extends unknown[], R>(
    limitMs: number,
    step: (kit: HostKit, ...args: A) => R,
    ...args: A
  ): Promise<Awaited<R>> {
    this.#ids += 1;
    const outcome = this.#wait(this.#ids, limitMs);
    this.process.send(JSON.stringify({ id: this.#ids, source: step.toString(), args } satisfies Step));
    return outcome as Promise<Awaited<R>>;
  }

  async kill(): Promise<void> {
    if (!this.#over) this.process.signal('SIGKILL');
    await this.ended;
  }

  #line(line: string): void {
    if (line.startsWith(OUTCOME_PREFIX)) this.#settle(JSON.parse(line.slice(OUTCOME_PREFIX.length)) as Outcome);
    else this.#lines.push(line);
  }

  #wait(id: number, limitMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#settle({ id, error: `step ${id} hangs for ${limitMs / 1000} s\n${this.#lines.join('\n')}` });
      }, limitMs);
      this.#waiting.set(id, { resolve, reject, timer });
      if (this.#over) this.#settle({ id, error: 'ended before' });
    });
  }

  #settle({ id, value, error }: Outcome): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    if (error === undefined) waiting.resolve(value);
    else waiting.reject(new Error(`${this.name}: ${error}`));
  }
}
