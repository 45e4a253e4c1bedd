/**
 * Live connections that move between real processes: which process may take what, and what a death or a limit leaves of
 * it.
 */
import t from 'tap';
import { Actor } from './actor';
import { connectedPair } from './connected-pair';
import { at, cast } from './hand-over-kit';
import { MAPPED, WITHOUT_KOFFI } from './variants';

for (const variant of [MAPPED, WITHOUT_KOFFI]) {
  void t.test(`the rules of giving and taking, ${variant.title}`, variant.skip, async (t) => {
    const { peer, holders, region } = await cast(t, variant, 3);
    const [giver, taker, third] = [at(holders, 0), at(holders, 1), at(holders, 2)];
    const give = (
      to: { system: string; process: number; task: number } | null = null,
      timeoutMs = 30_000,
    ): Promise<string> =>
      giver.run(
        (kit, client, ms) => {
          const { stp, fds } = kit;
          const s = fds['s'] ?? -1;
          stp.STPsetopt(s, stp.STP_GIVE_TIMEOUT, ms);
          kit.notes.set(
            'told',
            new Promise((resolve) => {
              stp.STPsetopt(s, stp.STP_WATCHER, {
                taken: resolve,
                reset: () => {
                  resolve('reset');
                },
              });
            }),
          );
          return stp.STPgivesocket(s, client);
        },
        to,
        timeoutMs,
      );
    const take = (who: Actor, token: string): Promise<string> =>
      who.run(
        (kit, text) =>
          kit.code(async () => {
            kit.fds['s'] = await kit.stp.STPtakesocket(text);
          }),
        token,
      );
    const echo = async (who: Actor): Promise<void> => {
      const text = who.run((kit) =>
        kit.text(kit.fds['s'] ?? -1, 4).then((got) => kit.sendText(kit.fds['s'] ?? -1, got)),
      );
      t.equal(
        await peer.run((kit) => kit.sendText(kit.fds['s'] ?? -1, 'ping').then(() => kit.text(kit.fds['s'] ?? -1, 4))),
        'ping',
      );
      await text;
      await peer.run((kit) => kit.stp.STPclose(kit.fds['s'] ?? -1));
    };

    void t.test('a socket given to one process can be taken by no other; the token works once', async (t) => {
      await connectedPair(giver, peer);
      const token = await give(await taker.run((kit) => kit.stp.STPgetclientid()));
      t.equal(await take(third, token), 'EACCES');
      t.equal(
        await taker.run(
          (kit, text) =>
            kit.code(() => kit.stp.STPtakesocket(text.replace(/.$/u, (last) => (last === 'A' ? 'Q' : 'A')))),
          token,
        ),
        'EBADF',
        'a secret that is not it',
      );
      t.equal(await take(taker, token), '');
      t.equal(await take(taker, token), 'EBADF', 'taken already');
      t.equal(await take(third, token), 'EBADF');
      t.equal(await giver.run((kit) => kit.notes.get('told')), true);
      await echo(taker);
    });

    void t.test('a process takes back what it gave, by its own token', async (t) => {
      await connectedPair(giver, peer);
      const token = await give();
      t.equal(await take(giver, token), '');
      await echo(giver);
    });

    void t.test('both names of the connection go along, and so do bytes that were received and not read', async (t) => {
      await connectedPair(giver, peer);
      await peer.run((kit) => kit.sendText(kit.fds['s'] ?? -1, 'unread'));
      const names = await giver.run(async (kit) => {
        const { stp, fds } = kit;
        const s = fds['s'] ?? -1;
        await stp.STPrecv(s, Buffer.alloc(6), 6, stp.MSG_PEEK);
        return [stp.STPgethostname(s), stp.STPgetpeername(s)];
      });
      t.equal(await take(taker, await give()), '');
      const after = await taker.run(async (kit) => {
        const { stp, fds } = kit;
        const s = fds['s'] ?? -1;
        const same = [stp.STPgethostname(s), stp.STPgetpeername(s)];
        return { same, counts: stp.STPgetopt(s, stp.STP_COUNTS), text: await kit.text(s, 6) };
      });
      t.same(after, { same: names, counts: { bytesReceived: 6, bytesSent: 0 }, text: 'unread' });
      await echo(taker);
    });

    void t.test('a half-closed connection is taken as it is', async (t) => {
      await connectedPair(giver, peer);
      await peer.run(async (kit) => {
        await kit.sendText(kit.fds['s'] ?? -1, 'last words');
        kit.stp.STPshutdown(kit.fds['s'] ?? -1, 1);
      });
      await giver.run(async (kit) => {
        const { stp, fds } = kit;
        await stp.STPrecv(fds['s'] ?? -1, Buffer.alloc(4), 4);
      });
      t.equal(await take(taker, await give()), '');
      t.equal(await taker.run((kit) => kit.text(kit.fds['s'] ?? -1, 100)), ' words');
      await taker.run(async (kit) => {
        await kit.sendText(kit.fds['s'] ?? -1, 'answer');
        await kit.stp.STPclose(kit.fds['s'] ?? -1);
      });
      t.equal(await peer.run((kit) => kit.text(kit.fds['s'] ?? -1, 100)), 'answer');
      await peer.run((kit) => kit.stp.STPclose(kit.fds['s'] ?? -1));
    });

    void t.test('a give that nobody takes in time resets the connection, and the token is void', async (t) => {
      await connectedPair(giver, peer);
      const token = await give(null, 20);
      t.equal(await giver.run((kit) => kit.notes.get('told')), 'reset');
      t.equal(await take(taker, token), 'EBADF');
      t.same(await peer.run((kit) => kit.drain(kit.fds['s'] ?? -1, 1)), { to: 0, why: 'ECONNRESET' });
    });

    void t.test('closing a given socket before it is taken resets the connection', async (t) => {
      await connectedPair(giver, peer);
      const token = await give();
      t.equal(await giver.run((kit) => kit.stp.STPclose(kit.fds['s'] ?? -1)), 0);
      t.equal(await take(taker, token), 'EBADF');
      t.same(await peer.run((kit) => kit.drain(kit.fds['s'] ?? -1, 1)), { to: 0, why: 'ECONNRESET' });
    });

    void t.test('while it is given a socket can only be closed', async (t) => {
      await connectedPair(giver, peer);
      const codes = await giver.run(async (kit) => {
        const { stp, fds } = kit;
        const s = fds['s'] ?? -1;
        const receiving = stp.STPrecv(s, Buffer.alloc(4));
        const waiting = await kit.code(() => stp.STPgivesocket(s, null));
        (kit.notes.get('go') as (() => void) | undefined)?.();
        kit.notes.set('receiving', receiving);
        return waiting;
      });
      t.equal(codes, 'EALREADY', 'a receive waits on it');
      await peer.run((kit) => kit.sendText(kit.fds['s'] ?? -1, 'free'));
      await giver.run((kit) => kit.notes.get('receiving'));
      await give();
      const refused = await giver.run(async (kit) => {
        const { stp, fds } = kit;
        const s = fds['s'] ?? -1;
        const calls = [
          () => stp.STPsend(s, Buffer.of(1)),
          () => stp.STPrecv(s, Buffer.alloc(1)),
          () => stp.STPshutdown(s, 1),
          () => stp.STPgivesocket(s, null),
          () => stp.STPsetopt(s, stp.STP_UNREAD, Buffer.of()),
        ];
        const all: string[] = [];
        for (const call of calls) all.push(await kit.code(call));
        await stp.STPclose(s);
        return all;
      });
      t.same(refused, ['ESTPGIVEN', 'ESTPGIVEN', 'ESTPGIVEN', 'ESTPGIVEN', 'ESTPGIVEN']);
    });

    void t.test('a taker that is killed before it has the socket gives it back', async (t) => {
      const doomed = await Actor.start(t, { region, ...variant.options, name: 'doomed' });
      await connectedPair(giver, peer);
      await peer.run((kit) => kit.feed(kit.fds['s'] ?? -1, 1, 0, 100_000));
      const token = await give();
      const port = await giver.run((kit) => {
        const { s, port: chosen } = kit.listen();
        void kit.stp.STPaccept(s);
        return chosen;
      });
      await doomed.run((kit, to) => kit.connect(to), port);
      // What it asks is out when the call returns, and arrives.
      await t.rejects(
        doomed.run((kit, text) => {
          void kit.stp.STPtakesocket(text);
          process.kill(process.pid, 'SIGKILL');
        }, token),
      );
      t.equal(await giver.run((kit) => kit.notes.get('told')), false, 'the giver is told that it is back');
      t.same(await giver.run((kit) => kit.drain(kit.fds['s'] ?? -1, 1, 0, 100_000)), { to: 100_000, why: 'enough' });
      t.equal(await take(taker, token), 'EBADF', 'its token is used up');
      t.equal(await take(taker, await give()), '', 'it can be given again');
      await echo(taker);
    });

    void t.test('a giver that exits before the take resets the connection, and nobody waits for it', async (t) => {
      for (const how of ['exit', 'kill'] as const) {
        const leaving = await Actor.start(t, { region, ...variant.options, name: 'leaving' });
        await connectedPair(leaving, peer);
        const token = await leaving.run((kit) => kit.stp.STPgivesocket(kit.fds['s'] ?? -1, null));
        if (how === 'exit') leaving.run(() => process.exit(0)).catch(() => undefined);
        else await leaving.kill();
        await leaving.ended;
        t.equal(await take(taker, token), 'EBADF', how);
        t.same(await peer.run((kit) => kit.drain(kit.fds['s'] ?? -1, 1)), { to: 0, why: 'ECONNRESET' }, how);
        await peer.run((kit) => kit.stp.STPclose(kit.fds['s'] ?? -1));
      }
    });

    void t.test(
      'a giver that is killed at any moment of a take leaves a whole connection or a reset one',
      async (t) => {
        const outcomes: string[] = [];
        for (const delayMs of [0, 1, 2, 4, 7, 11]) {
          const leaving = await Actor.start(t, { region, ...variant.options, name: 'leaving' });
          await connectedPair(leaving, peer);
          await peer.run((kit) => kit.feed(kit.fds['s'] ?? -1, 1, 0, 200_000));
          const token = await leaving.run((kit) => kit.stp.STPgivesocket(kit.fds['s'] ?? -1, null));
          const taking = take(taker, token);
          // From the first contact, which it may not live to answer, to the end of it.
          await new Promise((resolve) => {
            setTimeout(resolve, delayMs);
          });
          const killing = leaving.kill();
          const code = await taking;
          await killing;
          outcomes.push(code);
          if (code === '') {
            t.same(await taker.run((kit) => kit.drain(kit.fds['s'] ?? -1, 1, 0, 200_000)), {
              to: 200_000,
              why: 'enough',
            });
            await taker.run((kit) => kit.stp.STPclose(kit.fds['s'] ?? -1));
            t.same(await peer.run((kit) => kit.drain(kit.fds['s'] ?? -1, 2)), { to: 0, why: 'end' });
          } else {
            t.ok(['EBADF', 'ECONNRESET'].includes(code), code);
            t.same(await peer.run((kit) => kit.drain(kit.fds['s'] ?? -1, 2)), { to: 0, why: 'ECONNRESET' });
          }
          await peer.run((kit) => kit.stp.STPclose(kit.fds['s'] ?? -1));
        }
        t.comment(outcomes.join(', '));
      },
    );

    void t.test('both ends are handed over at the same time', async (t) => {
      const [otherPeer, otherHolder] = [third, taker];
      for (let i = 0; i < 3; i++) {
        await connectedPair(giver, peer);
        await Promise.all([
          peer.run((kit) => kit.feed(kit.fds['s'] ?? -1, 1, 0, 150_000)),
          giver.run((kit) => kit.feed(kit.fds['s'] ?? -1, 2, 0, 150_000)),
        ]);
        const tokens = await Promise.all(
          [peer, giver].map((actor) => actor.run((kit) => kit.stp.STPgivesocket(kit.fds['s'] ?? -1, null))),
        );
        t.same(await Promise.all([take(otherPeer, tokens[0] ?? ''), take(otherHolder, tokens[1] ?? '')]), ['', '']);
        const end = async (
          kit: Parameters<Parameters<Actor['run']>[0]>[0],
          reads: number,
          writes: number,
        ): Promise<unknown> => {
          const s = kit.fds['s'] ?? -1;
          const fed = kit.feed(s, writes, 150_000, 400_000).then(() => kit.stp.STPshutdown(s, 1));
          const drained = await kit.drain(s, reads);
          await fed;
          await kit.stp.STPclose(s);
          return drained;
        };
        t.same(await Promise.all([otherPeer.run(end, 2, 1), otherHolder.run(end, 1, 2)]), [
          { to: 400_000, why: 'end' },
          { to: 400_000, why: 'end' },
        ]);
      }
    });
  });
}
