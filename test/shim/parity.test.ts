/** Every scenario over TCP and over STP, between two processes: both ends must see the same. */
import t from 'tap';
import { Actor, REGISTER, scratch } from './kit';
import { scenarios } from './scenarios';

interface Seen {
  readonly client: readonly string[];
  readonly server: readonly string[];
}

/** Two processes that play scenarios with each other; new ones after a scenario that went wrong. */
class Pair {
  readonly #start: () => Actor;
  #server: Actor;
  #client: Actor;

  constructor(env: Readonly<Record<string, string>>, execArgv: readonly string[]) {
    this.#start = () => new Actor('scenario-actor.js', env, execArgv);
    this.#server = this.#start();
    this.#client = this.#start();
  }

  async play(name: string): Promise<Seen> {
    try {
      const { port } = await this.#server.ask<{ port: number }>({ serve: name });
      const called = await this.#client.ask<{ lines: string[] }>({ call: name, port });
      const served = await this.#server.ask<{ lines: string[] }>({ finish: true });
      return { client: called.lines, server: served.lines };
    } catch (error) {
      this.kill();
      this.#server = this.#start();
      this.#client = this.#start();
      throw error;
    }
  }

  kill(): void {
    for (const actor of [this.#server, this.#client]) actor.process.kill('SIGKILL');
  }

  async end(): Promise<unknown[]> {
    const ends = await Promise.all([this.#server.end(), this.#client.end()]);
    return ends.map(({ code, signal, stderr }) => ({ code, signal, stderr }));
  }
}

const WELL = { code: 0, signal: null, stderr: '' };

void t.test('what a program sees over STP is what it sees over TCP', async (t) => {
  const place = scratch();
  const hooked = (settings: Record<string, string>): Pair => new Pair({ STP_REGION: place.region, ...settings }, ['--require', REGISTER]);
  const tcp = new Pair({}, []);
  const ways: Record<string, Pair> = {
    'over STP alone': hooked({ STP_NET: 'stp' }),
    'over STP alone, with plain file I/O': hooked({ STP_NET: 'stp', STP_DRIVER: 'direct' }),
    'over STP with TCP beside it': hooked({}),
  };
  const pairs = [tcp, ...Object.values(ways)];
  t.teardown(() => {
    for (const pair of pairs) pair.kill();
    place.remove();
  });
  for (const name of Object.keys(scenarios)) {
    await t.test(name, async (t) => {
      const expected = await tcp.play(name);
      for (const [way, pair] of Object.entries(ways)) t.same(await pair.play(name), expected, way);
    });
  }
  for (const pair of pairs) t.same(await pair.end(), [WELL, WELL], 'both processes end by themselves');
});
