/** Two processes that play scenarios with each other. */
import { Actor } from './kit';

/** What each end saw. */
export interface Seen {
  readonly client: readonly string[];
  readonly server: readonly string[];
}

/** How one of the two processes is started. */
export interface Side {
  readonly env: Readonly<Record<string, string>>;
  readonly execArgv: readonly string[];
}

/** How a process ends that has nothing left to do and nothing to complain of. */
export const WELL = { code: 0, signal: null, stderr: '' };

export class Pair {
  /** By what the connections of the server came. */
  readonly transports = new Set<string>();
  readonly #start: (side: Side) => Actor;
  readonly #sides: { server: Side; client: Side };
  #server: Actor;
  #client: Actor;

  /** `script` is the compiled actor; both sides are started alike where there is one. */
  constructor(script: string, server: Side, client: Side = server) {
    this.#start = ({ env, execArgv }) => new Actor(script, env, execArgv);
    this.#sides = { server, client };
    this.#server = this.#start(server);
    this.#client = this.#start(client);
  }

  /** Plays one; two new processes take over after one that went wrong. */
  async play(name: string): Promise<Seen> {
    try {
      const { port } = await this.#server.ask<{ port: number }>({ serve: name });
      const called = await this.#client.ask<{ lines: string[] }>({ call: name, port });
      const served = await this.#server.ask<{ lines: string[]; transports: string[] }>({ finish: true });
      for (const transport of served.transports) this.transports.add(transport);
      return { client: called.lines, server: served.lines };
    } catch (error) {
      this.kill();
      this.#server = this.#start(this.#sides.server);
      this.#client = this.#start(this.#sides.client);
      throw error;
    }
  }

  /** Asks the client's process a question of its own. */
  async ask(name: string): Promise<unknown> {
    return (await this.#client.ask<{ answer: unknown }>({ [name]: true })).answer;
  }

  kill(): void {
    for (const actor of [this.#server, this.#client]) actor.process.kill('SIGKILL');
  }

  async end(): Promise<unknown[]> {
    const ends = await Promise.all([this.#server.end(), this.#client.end()]);
    return ends.map(({ code, signal, stderr }) => ({ code, signal, stderr }));
  }
}
