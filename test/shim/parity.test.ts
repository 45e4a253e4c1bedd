/** Every scenario over TCP and over STP, between two processes: both ends must see the same. */
import t from 'tap';
import { Actor, REGISTER, scratch } from './kit';
import { scenarios } from './scenarios';

interface Seen {
  readonly client: readonly string[];
  readonly server: readonly string[];
}

async function play(name: string, server: Actor, client: Actor): Promise<Seen> {
  const { port } = await server.ask<{ port: number }>({ serve: name });
  const called = await client.ask<{ lines: string[] }>({ call: name, port });
  const served = await server.ask<{ lines: string[] }>({ finish: true });
  return { client: called.lines, server: served.lines };
}

void t.test('what a program sees over STP is what it sees over TCP', async (t) => {
  const place = scratch();
  const env = { STP_REGION: place.region, STP_NET: 'stp' };
  const start = (execArgv: readonly string[]): Actor => new Actor('scenario-actor.js', env, execArgv);
  const tcp = [start([]), start([])] as const;
  const stp = [start(['--require', REGISTER]), start(['--require', REGISTER])] as const;
  t.teardown(() => {
    for (const actor of [...tcp, ...stp]) actor.process.kill('SIGKILL');
    place.remove();
  });
  for (const name of Object.keys(scenarios)) {
    await t.test(name, async (t) => {
      const [expected, seen] = await Promise.all([play(name, ...tcp), play(name, ...stp)]);
      t.same(seen.client, expected.client, 'at the client');
      t.same(seen.server, expected.server, 'at the server');
    });
  }
  for (const actor of [...tcp, ...stp]) {
    const { code, stderr } = await actor.end();
    t.equal(code, 0, 'the process ends by itself');
    t.equal(stderr, '');
  }
});
