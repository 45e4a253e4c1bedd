/** Links that one end gives up while both live: the other learns of it, and the next link serves at once. */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { Actor, freshRegion } from '../calls/actor';
import { type Kit } from '../calls/kit';
import { DIRECT } from '../calls/variants';

const PRELOAD = path.join(__dirname, '..', 'errors', 'fault-preload.js');

/** A server that echoes four bytes of each connection; its port. */
function serve(kit: Kit): number {
  const { s, port } = kit.listen();
  const accept = (): void => {
    void kit.stp.STPaccept(s).then((c) => {
      void kit
        .text(c, 4)
        .then((text) => kit.sendText(c, text))
        .catch(() => undefined);
      accept();
    });
  };
  accept();
  return port;
}

/** Connects and asks; '' where the answer came. */
async function ask(kit: Kit, port: number): Promise<string> {
  return kit.code(async () => {
    const s = await kit.connect(port);
    await kit.sendText(s, 'ping');
    if ((await kit.text(s, 4)) !== 'ping') throw new Error('garbled');
    await kit.stp.STPclose(s);
  });
}

void t.test(
  'a connect to a process that can not open our end of the link is told so, and gets through when it can',
  async (t) => {
    const region = freshRegion(t, DIRECT.under);
    const server = await Actor.start(t, {
      region,
      ...DIRECT.options,
      name: 'server',
      execArgv: ['--require', PRELOAD],
    });
    const client = await Actor.start(t, { region, ...DIRECT.options, name: 'client' });
    const port = await server.run(serve);
    await server.run((kit) => {
      kit.faults.arm({ call: 'read link', code: 'EIO', times: Infinity });
    });
    t.equal(await client.run(ask, port), 'ECONNRESET');
    await server.run((kit) => {
      kit.faults.disarm();
    });
    t.equal(await client.run(ask, port), '');
  },
);

void t.test('a process that could not open its end of a link is not waited for again', async (t) => {
  const region = freshRegion(t, DIRECT.under);
  const server = await Actor.start(t, { region, ...DIRECT.options, name: 'server', execArgv: ['--require', PRELOAD] });
  const client = await Actor.start(t, { region, ...DIRECT.options, name: 'client' });
  const port = await server.run(serve);
  await server.run((kit) => {
    kit.faults.arm({ call: 'create link', code: 'EMFILE', times: Infinity });
  });
  const patient = (to: number): Promise<string> =>
    client.run(
      (kit, there) =>
        kit.code(async () => {
          const { stp } = kit;
          const s = kit.socket();
          stp.STPsetopt(s, stp.STP_CONNECT_QUEUED, true);
          stp.STPsetopt(s, stp.STP_CONNECT_LINK_TIMEOUT, 100);
          stp.STPsetopt(s, stp.STP_CONNECT_AWAIT_BUSY, true);
          await stp.STPconnect(s, { port: there });
          await kit.sendText(s, 'ping');
          if ((await kit.text(s, 4)) !== 'ping') throw new Error('garbled');
        }),
      to,
    );
  t.equal(await patient(port), 'ECONNRESET', 'it was taken for one that only has no time');
  t.equal(await patient(port), 'ETIMEDOUT', 'and is known from then on');
  await server.run((kit) => {
    kit.faults.disarm();
  });
  t.equal(await client.run(ask, port), '');
  t.equal(await patient(port), '', 'until it could');
});

void t.test(
  'a process that connects again at once after its link has failed gets through, though the peer has not noticed yet',
  async (t) => {
    const region = freshRegion(t, DIRECT.under);
    const server = await Actor.start(t, { region, ...DIRECT.options, name: 'server' });
    const client = await Actor.start(t, {
      region,
      ...DIRECT.options,
      name: 'client',
      execArgv: ['--require', PRELOAD],
    });
    const port = await server.run(serve);
    const numberOf = (actor: Actor): Promise<number> => actor.run((kit) => kit.stp.STPgetclientid().process);
    const link = `${await numberOf(client)}-${await numberOf(server)}`;
    const logOf = (): bigint =>
      fs.statSync(path.join(region, 'links', link), { bigint: true, throwIfNoEntry: false })?.ino ?? 0n;
    for (let round = 1; round <= 3; round++) {
      await client.run(async (kit, to) => {
        kit.fds['kept'] = await kit.connect(to);
      }, port);
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
      const again = client.run(ask, port);
      while (logOf() === 0n || logOf() === former) await delay(1);
      server.child.kill('SIGCONT');
      t.equal(await again, '', 'and the next one serves');
    }
  },
);
