/** Processes: what keeps them alive, and what becomes of connections when they end. */
import t from 'tap';
import { Actor, type ActorOptions, freshRegion } from './actor';
import { MAPPED, WITHOUT_KOFFI } from './variants';

type Test = Pick<typeof t, 'teardown'>;
type Options = Partial<ActorOptions>;

const start = (test: Test, region: string, options: Options): Promise<Actor> =>
  Actor.start(test, { region, ...options });

for (const variant of [MAPPED, WITHOUT_KOFFI]) {
  void t.test(`lives of processes, ${variant.title}`, variant.skip, async (t) => {
    const region = freshRegion(t, variant.under);
    const peer = await start(t, region, { ...variant.options, name: 'peer' });
    const port = await peer.run((kit) => {
      const { stp } = kit;
      const { s, port: chosen } = kit.listen();
      // Echoes every connection until its end, and remembers how each ended.
      const ends: { to: number; why: string }[] = [];
      kit.notes.set('ends', ends);
      const serve = async (c: number): Promise<void> => {
        const into = Buffer.alloc(65_536);
        let to = 0;
        let why = 'end';
        try {
          for (let n = await stp.STPrecv(c, into); n > 0; n = await stp.STPrecv(c, into)) {
            kit.check(5, to, into.subarray(0, n));
            to += n;
            if (kit.notes.get('echo') === true) await stp.STPsend(c, into, n);
          }
        } catch (error) {
          why = (error as { code?: string }).code ?? String(error);
        }
        ends.push({ to, why });
        (kit.notes.get('told') as (() => void) | undefined)?.();
        await kit.code(() => stp.STPclose(c));
      };
      stp.STPsetopt(s, stp.STP_WATCHER, {
        acceptable: () => {
          for (
            let c = stp.STPaccept(s, stp.MSG_DONTWAIT) as number;
            c >= 0;
            c = stp.STPaccept(s, stp.MSG_DONTWAIT) as number
          )
            void serve(c);
        },
      });
      return chosen;
    });
    /** How the next connection of the peer ends. */
    const nextEnd = (): Promise<unknown> =>
      peer.run(async (kit) => {
        const ends = kit.notes.get('ends') as unknown[];
        while (ends.length === 0)
          await new Promise<void>((resolve) => {
            kit.notes.set('told', resolve);
          });
        return ends.shift();
      });

    void t.test(
      'a process with a listener or a connection lives on, and ends by itself when all is closed',
      async (t) => {
        const server = await start(t, region, { ...variant.options, name: 'server' });
        const at = await server.run((kit) => {
          const { s, port: chosen } = kit.listen();
          void kit.stp.STPaccept(s).then(async (c) => {
            await kit.stp.STPclose(s);
            await kit.sendText(c, await kit.text(c, 4));
            await kit.text(c, 1);
            await kit.stp.STPclose(c);
          });
          kit.letGo();
          return chosen;
        });
        // Several exchanges of other processes later it is still there.
        await peer.run((kit) => kit.pair());
        const echoed = await peer.run(async (kit, to) => {
          const s = await kit.connect(to);
          kit.fds['kept'] = s;
          await kit.sendText(s, 'ping');
          return kit.text(s, 4);
        }, at);
        t.equal(echoed, 'ping');
        await peer.run((kit) => kit.stp.STPclose(kit.fds['kept'] ?? -1));
        t.same(await server.ended, { code: 0, signal: null, stderr: '' });
      },
    );

    void t.test('unreferenced sockets let a process end, in good order for the peer', async (t) => {
      const client = await start(t, region, { ...variant.options, name: 'client' });
      await client.run(async (kit, to) => {
        const { stp } = kit;
        const s = await kit.connect(to);
        const { s: listener } = kit.listen();
        await stp.STPsend(s, kit.pattern(5, 0, 1000));
        stp.STPsetopt(s, stp.STP_REF, false);
        stp.STPsetopt(listener, stp.STP_REF, false);
        kit.letGo();
      }, port);
      t.same(await client.ended, { code: 0, signal: null, stderr: '' });
      t.same(await nextEnd(), { to: 1000, why: 'end' });
    });

    void t.test('bound, fresh and reset sockets keep nobody alive', async (t) => {
      const client = await start(t, region, { ...variant.options, name: 'client' });
      await client.run(async (kit) => {
        const { stp } = kit;
        kit.socket();
        stp.STPbind(kit.socket(), null);
        const [a, b] = await kit.pair();
        stp.STPsetsockopt(b, stp.SOL_SOCKET, stp.SO_LINGER, { onoff: true, linger: 0 });
        void stp.STPclose(b);
        await kit.code(() => stp.STPrecv(a, Buffer.alloc(1)));
        kit.letGo();
      });
      t.same(await client.ended, { code: 0, signal: null, stderr: '' });
    });

    void t.test(
      'an exit right after sends loses nothing that was taken; the peer sees the end of the stream',
      async (t) => {
        for (const how of ['exit', 'throw', 'return'] as const) {
          const client = await start(t, region, { ...variant.options, name: 'client' });
          const taken = client.run(
            async (kit, to, way) => {
              const { stp } = kit;
              const s = await kit.connect(to);
              let sent = 0;
              let n: number;
              do {
                n = stp.STPsend(s, kit.pattern(5, sent, 50_000), undefined, stp.MSG_DONTWAIT) as number;
                if (n > 0) sent += n;
              } while (n > 0);
              // The last thing this process says; it must be out before the process ends.
              await new Promise<void>((resolve) => {
                process.send?.({ id: 1, value: sent }, () => {
                  resolve();
                });
              });
              if (way === 'exit') process.exit(0);
              if (way === 'throw')
                process.nextTick(() => {
                  throw new Error('thrown on purpose');
                });
              void stp.STPclose(s);
              kit.letGo();
              return sent;
            },
            port,
            how,
          );
          const sent = await taken;
          t.ok(sent >= 200_000, `${how}: ${sent} bytes`);
          t.match(await client.ended, { code: how === 'throw' ? 1 : 0, signal: null });
          t.same(await nextEnd(), { to: sent, why: 'end' }, how);
        }
      },
    );

    void t.test('an exit with sends that still wait resets the connection after what was taken', async (t) => {
      const client = await start(t, region, { ...variant.options, name: 'client' });
      await client.run(async (kit, to) => {
        const { stp } = kit;
        const s = await kit.connect(to);
        for (let i = 0; i < 40; i++) void stp.STPsend(s, kit.pattern(5, i * 50_000, 50_000)).catch(() => undefined);
        setImmediate(() => {
          process.exit(0);
        });
      }, port);
      await client.ended;
      const { to, why } = (await nextEnd()) as { to: number; why: string };
      t.equal(why, 'ECONNRESET');
      t.ok(to >= 200_000 && to < 2_000_000);
    });

    void t.test('kill -9: all that was taken arrives, then ECONNRESET; nobody else notices', async (t) => {
      const [client, other] = await Promise.all([
        start(t, region, { ...variant.options, name: 'client' }),
        start(t, region, { ...variant.options, name: 'other' }),
      ]);
      await other.run(async (kit, to) => {
        kit.fds['s'] = await kit.connect(to);
      }, port);
      const taken = await client.run(async (kit, to) => {
        const { stp } = kit;
        const s = await kit.connect(to);
        let sent = 0;
        for (let n = 0; n >= 0; n = stp.STPsend(s, kit.pattern(5, sent, 9_999), undefined, stp.MSG_DONTWAIT) as number)
          sent += n;
        // What is tried without waiting is visible at the end of the turn.
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
        return sent;
      }, port);
      await client.kill();
      t.same(await nextEnd(), { to: taken, why: 'ECONNRESET' });
      await other.run(async (kit) => {
        await kit.feed(kit.fds['s'] ?? -1, 5, 0, 100_000);
        await kit.stp.STPclose(kit.fds['s'] ?? -1);
      });
      t.same(await nextEnd(), { to: 100_000, why: 'end' });
    });

    void t.test(
      'what a waiting send has acknowledged arrives, though its process is killed before it does anything else',
      async (t) => {
        const client = await start(t, region, { ...variant.options, name: 'client' });
        const killed = client.run(async (kit, to) => {
          const s = await kit.connect(to);
          let sent = 0;
          for (const bytes of [1, 63, 64, 1000, 10_000, 7, 40_000, 5]) {
            await kit.stp.STPsend(s, kit.pattern(5, sent, bytes));
            sent += bytes;
          }
          process.kill(process.pid, 'SIGKILL');
        }, port);
        await t.rejects(killed);
        t.same(await nextEnd(), { to: 51_140, why: 'ECONNRESET' });
      },
    );

    void t.test('many processes come and go, some killed, and the peer serves on', async (t) => {
      for (let round = 0; round < 2; round++) {
        const clients = await Promise.all(
          [0, 1].map((i) => start(t, region, { ...variant.options, name: `client ${i}` })),
        );
        await Promise.all(
          clients.map((client) =>
            client.run(async (kit, to) => {
              kit.fds['s'] = await kit.connect(to);
              await kit.feed(kit.fds['s'], 5, 0, 300_000);
            }, port),
          ),
        );
        await clients[0]?.kill();
        await clients[1]?.run((kit) => kit.stp.STPclose(kit.fds['s'] ?? -1));
        const ends = [await nextEnd(), await nextEnd()] as { to: number; why: string }[];
        t.same(
          ends.map(({ to }) => to),
          [300_000, 300_000],
        );
        t.same(ends.map(({ why }) => why).sort(), ['ECONNRESET', 'end']);
        await clients[1]?.kill();
      }
    });
  });
}
