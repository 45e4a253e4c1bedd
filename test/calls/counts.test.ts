/** The bytes of a connection, as others can read them in the region: they follow what moves, again and again. */
import t from 'tap';
import { inspectRegion } from '../../src/region/inspect';
import { Actor, freshRegion } from './actor';
import { DRIVERS } from './variants';

const LIMIT_MS = 10_000;

/** All counts of established sockets, in both directions. */
function counts(region: string): number[] {
  return inspectRegion(region)
    .sockets.filter(({ state }) => state === 'established')
    .flatMap(({ scb }) => [scb.bytesSent, scb.bytesReceived])
    .sort((one, two) => one - two);
}

async function shown(region: string, wanted: readonly number[]): Promise<number[]> {
  const end = Date.now() + LIMIT_MS;
  for (;;) {
    const now = counts(region);
    if (now.join() === wanted.join() || Date.now() > end) return now;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

for (const variant of DRIVERS) {
  void t.test(`counts that others read, ${variant.title}`, variant.skip, async (t) => {
    const region = freshRegion(t, variant.under);
    const [server, client] = await Promise.all(
      ['server', 'client'].map((name) => Actor.start(t, { region, ...variant.options, name })),
    );
    if (server === undefined || client === undefined) throw new Error('no actors');
    const port = await server.run((kit) => {
      const { s, port: chosen } = kit.listen();
      kit.fds['listener'] = s;
      return chosen;
    });
    await Promise.all([
      client.run(async (kit, to) => {
        kit.fds['s'] = await kit.connect(to);
      }, port),
      server.run(async (kit) => {
        kit.fds['s'] = await kit.stp.STPaccept(kit.fds['listener'] ?? -1);
      }),
    ]);
    for (const [round, sum] of [4, 8, 12, 16].entries()) {
      await client.run((kit) => kit.sendText(kit.fds['s'] ?? -1, 'ping'));
      t.equal(await server.run((kit) => kit.text(kit.fds['s'] ?? -1, 4)), 'ping');
      t.same(await shown(region, [0, 0, sum, sum]), [0, 0, sum, sum], `after message ${round + 1}`);
    }
  });
}
