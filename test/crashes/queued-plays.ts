/** Deaths around a request whose program goes on before it is accepted: of the client, and of the listener. */
import { type Kit } from '../calls/kit';
import { type Play } from './plays';
import { share, unshare } from './sharing-plays';
import { assert, type Ending } from './stage';

const EARLY_BYTES = 1000;

/** In a process: a listener that accepts nothing until {@link acceptAll}. */
function listenLate(kit: Kit): number {
  const { s, port } = kit.listen();
  kit.fds['late'] = s;
  return port;
}

/** In the same process: how each connection ends of which a client has been told. The listener is closed. */
async function acceptAll(kit: Kit): Promise<Ending[]> {
  const { stp } = kit;
  const listener = kit.fds['late'] ?? -1;
  const endings: Ending[] = [];
  const accept = (): number => stp.STPaccept(listener, stp.MSG_DONTWAIT) as number;
  for (let c = accept(); c >= 0; c = accept()) {
    const { to, why } = await kit.drain(c, 1);
    endings.push({ to, why, atMs: kit.nowMs() });
    await kit.code(() => stp.STPclose(c));
  }
  await stp.STPclose(listener);
  return endings;
}

/** In a victim: connects twice, and sends before anything is accepted. */
async function connectEarly(kit: Kit, port: number, bytes: number): Promise<void> {
  const { stp, crash } = kit;
  for (let i = 0; i < 2; i++) {
    const s = kit.socket();
    stp.STPsetopt(s, stp.STP_CONNECT_QUEUED, true);
    await stp.STPconnect(s, { port });
    await stp.STPsend(s, kit.pattern(1, 0, bytes));
    crash.acknowledged += bytes;
    stp.STPshutdown(s, 1);
    // What is published in good order ends in good order.
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
  process.exit(0);
}

/**
 * A client dies after it was told that it is connected: the listener accepts it all the same, also long after the
 * death, and reads what it sent.
 */
export const queuedClientPlay: Play = {
  title: 'client that goes on before the accept',
  points: [
    'connect.asked',
    'connect.published',
    'connect.queued',
    'data.appended',
    'publish.begun',
    'publish.done',
    'fin.sent',
    'fin.acknowledged',
    'leave.told',
    'leave.published',
    'leave.left',
  ],
  spares: [0, 1],
  async run(stage, point, spare) {
    // A program ends once.
    const times = point.startsWith('leave.') ? 0 : spare;
    const port = await stage.peer.run(listenLate);
    const victim = await stage.victim();
    await victim.run(
      (kit, at, often) => {
        kit.crash.arm(at, often);
      },
      point,
      times,
    );
    const playing = victim.run(connectEarly, port, EARLY_BYTES).catch(() => undefined);
    const words = await stage.died(victim, point);
    await playing;
    // The death is known, and all of it is over.
    await stage.clean();
    const endings = await stage.peer.run(acceptAll);
    const told = words.acknowledged / EARLY_BYTES;
    // The second request was published over a link that the listener had.
    const least = times === 1 && (point === 'connect.published' || point === 'connect.queued') ? 2 : told;
    assert(endings.length >= least && endings.length <= 2, `${least} were connected, ${endings.length} accepted`);
    for (const [i, { to, why }] of endings.entries()) {
      assert(to === EARLY_BYTES || (i >= told && to === 0), `connection ${i + 1}: ${to} bytes came of ${EARLY_BYTES}`);
      assert(why === 'ECONNRESET' || why === 'end', `connection ${i + 1} ended with ${why}`);
    }
    await stage.check();
  },
};

/** A client dies while what it sent to a shared port goes to the listener that has offered. */
export const queuedSharingPlay: Play = {
  title: 'client that goes on before the accept, at a shared port',
  points: [
    'ask.asked',
    'connect.queued',
    'ask.chosen',
    'connect.asked',
    'connect.early',
    'connect.published',
    'connect.accepted',
  ],
  async run(stage, point) {
    const port = await stage.peer.run(share, 0);
    await stage.other.run(share, port);
    const victim = await stage.victim();
    const playing = victim
      .run(
        async (kit, at, to) => {
          const { stp } = kit;
          kit.crash.arm(at);
          const s = kit.socket();
          stp.STPsetopt(s, stp.STP_CONNECT_QUEUED, true);
          await stp.STPconnect(s, { port: to });
          await stp.STPsend(s, kit.pattern(1, 0, 1000));
          await stp.STPclose(s);
          process.exit(0);
        },
        point,
        port,
      )
      .catch(() => undefined);
    await stage.died(victim, point);
    await playing;
    for (const client of [stage.peer, stage.other]) {
      await client.run(async (kit, to) => {
        for (let i = 0; i < 4; i++) await kit.stp.STPclose(await kit.connect(to));
      }, port);
    }
    for (const listener of [stage.peer, stage.other]) await listener.run(unshare);
    await stage.check();
  },
};

/** A listener dies with a request in its queue, or while it accepts it: the client that was told is reset. */
export const queuedServerPlay: Play = {
  title: 'server of a client that goes on before the accept',
  points: ['accept.queued', 'accept.early', 'accept.begun', 'accept.answered'],
  async run(stage, point) {
    const victim = await stage.victim();
    const port = await victim.run((kit, at) => {
      const { stp } = kit;
      const listening = kit.listen();
      const { s } = listening;
      kit.crash.arm(at);
      const accepts = at === 'accept.begun' || at === 'accept.answered';
      // By then bytes have come, or come with the accept.
      const accept = (): void => {
        setTimeout(() => {
          void stp.STPaccept(s, stp.MSG_DONTWAIT);
        }, 10);
      };
      stp.STPsetopt(s, stp.STP_WATCHER, { acceptable: accepts ? accept : () => undefined });
      return listening.port;
    }, point);
    const client = stage.other.run(async (kit, to) => {
      const { stp } = kit;
      const s = kit.socket();
      stp.STPsetopt(s, stp.STP_CONNECT_QUEUED, true);
      const connected = await kit.code(() => stp.STPconnect(s, { port: to }));
      if (connected === '') await kit.code(() => stp.STPsend(s, kit.pattern(1, 0, 1000)));
      const read = connected === '' ? await kit.drain(s, 1) : { to: 0, why: connected };
      const atMs = kit.nowMs();
      await kit.code(() => stp.STPclose(s));
      return { ...read, told: connected === '', atMs };
    }, port);
    const words = await stage.died(victim, point);
    const { why, told, atMs } = await stage.within(client, () => `${point}: the client still waits`);
    assert(why === 'ECONNRESET' || (!told && why === 'ECONNREFUSED'), `told: ${told}, it ended with '${why}'`);
    stage.noticed(words, atMs);
    await stage.check();
    await stage.other.run(async (kit, to) => {
      await kit.stp.STPclose(kit.listen(to).s);
    }, port);
  },
};
