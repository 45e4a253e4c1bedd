/** Deaths of processes at a port that several share: clients that ask, and listeners that answer. */
import { type Kit } from '../calls/kit';
import { type Play } from './plays';
import { assert } from './stage';

/** In a process: one of several listeners at a port, which reads what comes. */
export function share(kit: Kit, port: number): number {
  const { stp } = kit;
  const s = kit.socket();
  stp.STPsetsockopt(s, stp.SOL_SOCKET, stp.SO_REUSEPORT, true);
  stp.STPbind(s, { port });
  stp.STPlisten(s, 8);
  const serve = async (c: number): Promise<void> => {
    const into = Buffer.alloc(100);
    await kit.code(async () => {
      while ((await stp.STPrecv(c, into)) > 0);
    });
    await kit.code(() => stp.STPclose(c));
  };
  const accept = (): void => {
    for (let c = stp.STPaccept(s, stp.MSG_DONTWAIT) as number; c >= 0; c = stp.STPaccept(s, stp.MSG_DONTWAIT) as number)
      void serve(c);
  };
  stp.STPsetopt(s, stp.STP_WATCHER, { acceptable: accept });
  kit.fds['shared'] = s;
  return stp.STPgethostname(s).port;
}

export async function unshare(kit: Kit): Promise<void> {
  await kit.stp.STPclose(kit.fds['shared'] ?? -1);
}

/** One of two listeners dies before its answer to a client is complete: the other serves it. */
export const sharingServerPlay: Play = {
  title: 'server at a shared port',
  points: ['ask.offered', 'accept.queued', 'accept.begun', 'accept.answered'],
  async run(stage, point) {
    const port = await stage.peer.run(share, 0);
    const victim = await stage.victim();
    await victim.run(share, port);
    await victim.run((kit, at) => {
      kit.crash.arm(at);
    }, point);
    // Those that share a port are asked in turn, but who was late with an answer comes after the others for a second.
    let lives = true;
    const connect = async (): Promise<void> => {
      while (lives)
        await stage.other.run(async (kit, to) => {
          await kit.stp.STPclose(await kit.connect(to));
        }, port);
    };
    const connecting = connect();
    await stage.died(victim, point).finally(() => {
      lives = false;
    });
    await stage.within(connecting, () => `${point}: a client still waits`);
    await stage.peer.run(unshare);
    await stage.check();
  },
};

/** A client dies while it asks: the listeners go on, with others too. */
export const sharingClientPlay: Play = {
  title: 'client at a shared port',
  points: ['ask.asked', 'ask.chosen', 'connect.asked', 'connect.published', 'connect.cancelled'],
  async run(stage, point) {
    const port = await stage.peer.run(share, 0);
    await stage.other.run(share, port);
    const victim = await stage.victim();
    const playing = victim
      .run(
        async (kit, at, to) => {
          kit.crash.arm(at);
          const s = kit.socket();
          const connecting = kit.code(() => kit.stp.STPconnect(s, { port: to }));
          if (at === 'connect.cancelled') await kit.stp.STPclose(s);
          await connecting;
          process.exit(0);
        },
        point,
        port,
      )
      .catch(() => undefined);
    await stage.died(victim, point);
    await playing;
    const served = await stage.peer.run(async (kit, to) => {
      for (let i = 0; i < 4; i++) await kit.stp.STPclose(await kit.connect(to));
      return true;
    }, port);
    assert(served, 'others are served');
    for (const listener of [stage.peer, stage.other]) await listener.run(unshare);
    await stage.check();
  },
};
