/** Connections that move while the link between the taker and the other end is given up and made again. */
import path from 'node:path';
import t from 'tap';
import { Actor, freshRegion } from './actor';
import { DIRECT } from './variants';

const FAULTS = path.join(__dirname, '..', 'errors', 'fault-preload.js');
const CRASHES = path.join(__dirname, '..', 'crashes', 'crash-preload.js');
/** The process of the other end stands still for so long when it is frozen, and again when it has said so. */
const STALL_MS = 300;
/** The taker can't read its links from then on, and for so long; less than it waits for that to pass. */
const CAUSE_FROM_MS = 100;
const CAUSE_MS = 300;

void t.test('a taker whose link with the other end is made anew meanwhile gets the connection', async (t) => {
  const region = freshRegion(t, DIRECT.under);
  const start = (name: string, preload: string): Promise<Actor> =>
    Actor.start(t, { region, ...DIRECT.options, name, execArgv: ['--require', preload] });
  const [other, giver, taker] = await Promise.all([
    start('other', CRASHES),
    start('giver', CRASHES),
    start('taker', FAULTS),
  ]);
  const port = await other.run((kit) => {
    const { stp } = kit;
    const { s, port: chosen } = kit.listen();
    const accept = async (): Promise<void> => {
      const c = await stp.STPaccept(s);
      accept().catch(() => undefined);
      await kit.sendText(c, await kit.text(c, 4));
    };
    // The taker's first connection is reset with its link.
    accept().catch(() => undefined);
    return chosen;
  });
  const giverProcess = await giver.run((kit) => kit.stp.STPgetclientid().process);
  const token = await giver.run(async (kit, to) => kit.stp.STPgivesocket(await kit.connect(to), null), port);
  // So that there is a link, which will be given up. The links are looked at in the order in which they were made.
  await taker.run(async (kit, to) => {
    await kit.connect(to);
  }, port);
  await other.run((kit, ms) => {
    kit.crash.stall(['take.frozen', 'publish.rung'], ms);
  }, STALL_MS);
  const said = await taker.run(
    async (kit, given, { spared, fromMs, causeMs }) => {
      const { stp, faults } = kit;
      faults.spare(spared);
      setTimeout(() => {
        faults.arm({ call: 'read link', code: 'EIO', times: Infinity });
        // So that it looks at its links.
        void stp.STPtakesocket(given).catch(() => undefined);
      }, fromMs);
      setTimeout(() => {
        faults.disarm();
      }, fromMs + causeMs);
      const s = await stp.STPtakesocket(given);
      await kit.sendText(s, 'ping');
      return kit.text(s, 4);
    },
    token,
    { spared: giverProcess, fromMs: CAUSE_FROM_MS, causeMs: CAUSE_MS },
  );
  t.equal(said, 'ping', 'what was sent through the connection that moved came back');
});
