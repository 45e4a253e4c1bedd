/** Bells keep their names when a link is given up and begun again: the end of the former one must not be taken for the end of the next. */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { Actor, freshRegion } from '../calls/actor';
import { DIRECT } from '../calls/variants';

const PRELOAD = path.join(__dirname, '..', 'errors', 'fault-preload.js');

void t.test('a process that connects again at once after its link has failed gets through, though the peer has not noticed yet', async (t) => {
  const region = freshRegion(t, DIRECT.under);
  const server = await Actor.start(t, { region, ...DIRECT.options, name: 'server' });
  const client = await Actor.start(t, { region, ...DIRECT.options, name: 'client', execArgv: ['--require', PRELOAD] });
  const port = await server.run((kit) => {
    const { s, port: chosen } = kit.listen();
    const accept = (): void => {
      void kit.stp.STPaccept(s).then((c) => {
        void kit.text(c, 4).then((text) => kit.sendText(c, text)).catch(() => undefined);
        accept();
      });
    };
    accept();
    return chosen;
  });
  const link = `${await client.run((kit) => kit.stp.STPgetclientid().process)}-${await server.run((kit) => kit.stp.STPgetclientid().process)}`;
  const logOf = (): bigint => fs.statSync(path.join(region, 'links', link), { bigint: true, throwIfNoEntry: false })?.ino ?? 0n;
  for (let round = 1; round <= 3; round++) {
    await client.run(async (kit, to) => { kit.fds['kept'] = await kit.connect(to); }, port);
    const former = logOf();
    server.child.kill('SIGSTOP');
    const code = await client.run(async (kit) => {
      const s = kit.fds['kept'] ?? -1;
      kit.faults.arm({ call: 'read link', code: 'EIO', times: Infinity });
      const told = await kit.code(() => kit.sendText(s, 'ping').then(() => kit.text(s, 4)));
      kit.faults.disarm();
      await kit.code(() => kit.stp.STPclose(s));
      return told;
    });
    t.equal(code, 'EIO', 'the link fails');
    const again = client.run(async (kit, to) => {
      const s = await kit.connect(to);
      await kit.sendText(s, 'pong');
      const text = await kit.text(s, 4);
      await kit.stp.STPclose(s);
      return text;
    }, port);
    while (logOf() === 0n || logOf() === former) await delay(1);
    server.child.kill('SIGCONT');
    t.equal(await again, 'pong', 'and the next one serves');
  }
});
