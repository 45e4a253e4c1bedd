/** A connection that moves on and on between real processes, with data under way in both directions. */
import t from 'tap';
import { type Duplex } from './duplex';
import { connectedPair } from './connected-pair';
import { at, cast } from './hand-over-kit';
import { DIRECT, MAPPED } from './variants';

for (const [variant, rounds] of [
  [MAPPED, 60],
  [DIRECT, 40],
] as const) {
  void t.test(
    `${rounds} hand-overs round robin between three processes, under load, lose, double and move no byte: ` +
      variant.title,
    variant.skip,
    async (t) => {
      const { peer, holders } = await cast(t, variant, 3);
      await connectedPair(at(holders, 0), peer);
      await peer.run((kit) => {
        kit.notes.set(
          'duplex',
          kit.duplex(kit.fds['s'] ?? -1, { reads: { stream: 2, at: 0 }, writes: { stream: 1, at: 0 } }),
        );
      });
      let state = { reads: { stream: 1, at: 0 }, writes: { stream: 2, at: 0 } };
      await at(holders, 0).run((kit, from) => {
        kit.notes.set('duplex', kit.duplex(kit.fds['s'] ?? -1, from));
      }, state);
      for (let round = 0; round < rounds; round++) {
        const giver = at(holders, round);
        const taker = at(holders, round + 1);
        const clientId = round % 2 === 0 ? null : await taker.run((kit) => kit.stp.STPgetclientid());
        const given = await giver.run(
          async (kit, to, least) => {
            const { stp, fds } = kit;
            const s = fds['s'] ?? -1;
            const duplex = kit.notes.get('duplex') as Duplex;
            await duplex.more(least);
            const here = duplex.stop();
            if (duplex.over !== '') throw new Error(duplex.over);
            const token = stp.STPgivesocket(s, to);
            kit.notes.set(
              'taken',
              new Promise<boolean>((resolve) => {
                stp.STPsetopt(s, stp.STP_WATCHER, { taken: resolve });
              }),
            );
            return { token, here };
          },
          clientId,
          50_000 + ((round * 7919) % 100_000),
        );
        state = given.here;
        await taker.run(
          async (kit, token, from) => {
            kit.fds['s'] = await kit.stp.STPtakesocket(token);
            kit.notes.set('duplex', kit.duplex(kit.fds['s'], from));
          },
          given.token,
          state,
        );
        if (!(await giver.run((kit) => kit.notes.get('taken')))) t.fail(`round ${round}: the giver was not told`);
        if (
          (await giver.run((kit) => kit.code(() => kit.stp.STPgetopt(kit.fds['s'] ?? -1, kit.stp.STP_STATE)))) !==
          'EBADF'
        )
          t.fail(`round ${round}: the giver still has it`);
      }
      const last = at(holders, rounds);
      const finish = (kit: { notes: Map<string, unknown> }): Promise<unknown> => {
        const duplex = kit.notes.get('duplex') as Duplex;
        return duplex.finish().then((why) => ({ why, ...duplex.state }));
      };
      const [a, b] = (await Promise.all([peer.run(finish), last.run(finish)])) as {
        why: string;
        reads: { at: number };
        writes: { at: number };
      }[];
      t.same([a?.why, b?.why], ['end', 'end']);
      t.equal(a?.reads.at, b?.writes.at, 'the peer has all that the holders sent');
      t.equal(b?.reads.at, a?.writes.at, 'and they all that the peer sent');
      t.ok((b?.reads.at ?? 0) > rounds * 50_000, `${b?.reads.at ?? 0} bytes came, ${a?.reads.at ?? 0} went`);
      t.same(
        await Promise.all([peer, last].map((actor) => actor.run((kit) => kit.stp.STPclose(kit.fds['s'] ?? -1)))),
        [0, 0],
      );
    },
  );
}
