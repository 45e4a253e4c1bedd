/**
 * Processes and threads: what keeps them alive, what becomes of connections when they end, and who is who in one
 * region.
 */
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

for (const variant of [MAPPED, WITHOUT_KOFFI]) {
  void t.test(`threads, ${variant.title}`, variant.skip, async (t) => {
    const region = freshRegion(t, variant.under);
    const actor = await start(t, region, { ...variant.options, name: 'actor' });

    void t.test('a worker thread is a process of its own: it listens, connects, and ends by itself', async (t) => {
      const result = await actor.run(async (kit) => {
        const { stp } = kit;
        const thread = kit.thread();
        const port = await thread.run((k) => {
          const { s, port: chosen } = k.listen();
          void k.stp.STPaccept(s).then(async (c) => {
            await k.stp.STPclose(s);
            const { to } = await k.drain(c, 1);
            await k.feed(c, 2, 0, to);
            await k.stp.STPclose(c);
          });
          return chosen;
        });
        const s = await kit.connect(port);
        await kit.feed(s, 1, 0, 2_000_000);
        stp.STPshutdown(s, 1);
        const drained = await kit.drain(s, 2);
        await stp.STPclose(s);
        const ids = [stp.STPgetclientid(), await thread.run((k) => k.stp.STPgetclientid())] as const;
        await thread.terminate();
        return { drained, distinct: ids[0].process !== ids[1].process, tasks: ids.map(({ task }) => task > 0) };
      });
      t.same(result, { drained: { to: 2_000_000, why: 'end' }, distinct: true, tasks: [false, true] });
    });

    void t.test(
      'a thread that is terminated resets its connections, and takes no descriptor of another thread with it',
      async (t) => {
        const result = await actor.run(async (kit) => {
          const { stp } = kit;
          const { s: listener, port } = kit.listen();
          const thread = kit.thread();
          const client = thread.run(async (k, to) => {
            // A link of it is closed before: its descriptors may have become somebody else's.
            const [a, b] = await k.pair();
            await k.stp.STPclose(a);
            await k.stp.STPclose(b);
            k.fds['s'] = await k.connect(to);
            await k.feed(k.fds['s'], 1, 0, 10_000);
          }, port);
          const c = await stp.STPaccept(listener);
          await client;
          await thread.terminate();
          const end = await kit.drain(c, 1);
          await stp.STPclose(c);
          await stp.STPclose(listener);
          return end;
        });
        t.same(result, { to: 10_000, why: 'ECONNRESET' });
      },
    );

    void t.test('descriptors that a thread has closed can be used by others when it ends', async (t) => {
      const server = await start(t, region, { ...variant.options, name: 'server' });
      const port = await server.run((kit) => {
        const { s, port: chosen } = kit.listen();
        void kit.stp.STPaccept(s).then((c) => {
          kit.fds['c'] = c;
        });
        return chosen;
      });
      await actor.run(async (kit, to) => {
        const thread = kit.thread();
        kit.notes.set('thread', thread);
        await thread.run(async (k, there) => {
          k.fds['s'] = await k.connect(there);
          k.notes.set(
            'reset',
            k.code(() => k.stp.STPrecv(k.fds['s'] ?? -1, Buffer.alloc(1))),
          );
        }, to);
      }, port);
      await server.kill();
      const result = await actor.run(async (kit) => {
        const thread = kit.notes.get('thread') as ReturnType<typeof kit.thread>;
        const code = await thread.run((k) => k.notes.get('reset'));
        // Whatever numbers the thread's link has left are taken by sockets of this one.
        const pairs = [await kit.pair(), await kit.pair()];
        const { port: own } = kit.listen();
        const other = kit.thread();
        await other.run((k, there) => {
          k.fds['s'] = k.socket();
          void k.code(() => k.stp.STPconnect(k.fds['s'] ?? -1, { port: there }));
        }, own);
        await thread.terminate();
        for (const [a, b] of pairs) {
          await kit.sendText(a, 'still here');
          if ((await kit.text(b, 10)) !== 'still here') throw new Error('lost');
        }
        const echo = await other.run((k) => k.stp.STPgetopt(k.fds['s'] ?? -1, k.stp.STP_STATE));
        await other.terminate();
        return [code, echo];
      });
      t.same(result, ['ECONNRESET', 'connecting']);
    });
  });
}

void t.test('systems and groups of one region', async (t) => {
  const region = freshRegion(t);
  const [alpha, beta, blue] = await Promise.all([
    start(t, region, { system: 'Alpha', name: 'alpha' }),
    start(t, region, { system: 'beta', name: 'beta' }),
    start(t, region, { system: 'alpha', group: 'BLUE', name: 'blue' }),
  ]);
  for (const actor of [alpha, beta, blue]) {
    await actor.run((kit) => {
      const { s } = kit.listen(4000);
      kit.fds['listener'] = s;
      kit.stp.STPsetopt(s, kit.stp.STP_WATCHER, {
        acceptable: () => {
          void kit.stp
            .STPaccept(s)
            .then((c) => kit.sendText(c, `${kit.stp.STPgethostname(c).system} ${kit.stp.STPgethostname(c).group}`));
        },
      });
    });
  }

  void t.test('a port can be bound once in each system and group', async (t) => {
    const other = await start(t, region, { system: 'ALPHA', name: 'other' });
    t.equal(
      await other.run((kit) =>
        kit.code(() => {
          kit.listen(4000);
        }),
      ),
      'EADDRINUSE',
      'names of systems compare without case',
    );
    t.equal(
      await alpha.run((kit) =>
        kit.code(() => {
          kit.listen(4000);
        }),
      ),
      'EADDRINUSE',
      'also in one process',
    );
    t.equal(
      await other.run((kit) =>
        kit.code(() => {
          kit.stp.STPbind(kit.socket(), { port: 4000, group: 'blue' });
        }),
      ),
      '',
      'names of groups compare with it',
    );
    t.equal(
      await other.run((kit) =>
        kit.code(() => {
          kit.stp.STPbind(kit.socket(), { port: 4000, group: 'BLUE' });
        }),
      ),
      'EADDRINUSE',
    );
    t.equal(
      await other.run((kit) =>
        kit.code(() => {
          kit.stp.STPbind(kit.socket(), { port: 1, system: 'beta' });
        }),
      ),
      'EADDRNOTAVAIL',
    );
    t.equal(
      await other.run((kit) =>
        kit.code(() => {
          kit.stp.STPbind(kit.socket(), { port: 1, system: 'aLpHa' });
        }),
      ),
      '',
    );
  });

  void t.test('an address names its listener, whatever the case of the system', async (t) => {
    const answer = (actor: Actor, system?: string, group?: string): Promise<string> =>
      actor.run(
        async (kit, to, of) => {
          const s = await kit.connect(4000, to, of);
          const into = Buffer.alloc(40);
          return into.toString('latin1', 0, await kit.stp.STPrecv(s, into));
        },
        system,
        group,
      );
    t.equal(await answer(alpha), 'Alpha STG', 'by default the own system and group');
    t.equal(await answer(alpha, 'BETA'), 'beta STG');
    t.equal(await answer(beta, 'alpha'), 'Alpha STG');
    t.equal(await answer(beta, 'ALPHA', 'BLUE'), 'alpha BLUE');
    t.equal(await answer(blue), 'alpha BLUE');
    t.equal(await beta.run((kit) => kit.code(() => kit.connect(4000, 'beta', 'BLUE'))), 'ECONNREFUSED');
    t.equal(await beta.run((kit) => kit.code(() => kit.connect(4000, 'gamma'))), 'EHOSTUNREACH');
  });

  void t.test('both ends know both addresses; an unbound socket gets its own by asking', async (t) => {
    const names = await beta.run(async (kit) => {
      const { stp } = kit;
      const s = kit.socket();
      const before = stp.STPgetopt(s, stp.STP_STATE);
      const mine = stp.STPgethostname(s);
      const again = stp.STPgethostname(s);
      await stp.STPconnect(s, { system: 'alpha', port: 4000 });
      return { before, mine, again, bound: stp.STPgethostname(s), peer: stp.STPgetpeername(s) };
    });
    t.equal(names.before, 'open');
    t.match(names.mine, { family: 47, system: 'beta', group: 'STG' });
    t.ok(names.mine.port > 0);
    t.same(names.again, names.mine);
    t.same(names.bound, names.mine, 'and keeps it');
    t.same(names.peer, { family: 47, system: 'Alpha', group: 'STG', port: 4000 }, 'as the system spells itself');
    const seen = await alpha.run((kit) => {
      const { s, port } = kit.listen();
      kit.notes.set(
        'accepted',
        kit.stp.STPaccept(s).then((c) => kit.stp.STPgetpeername(c)),
      );
      return port;
    });
    const own = await beta.run(async (kit, port) => kit.stp.STPgethostname(await kit.connect(port, 'alpha')), seen);
    t.same(await alpha.run((kit) => kit.notes.get('accepted')), own);
  });

  void t.test(
    'STPgethostbyname knows every system, by name in any case and by the address that stands for it',
    async (t) => {
      const entries = await beta.run((kit) => {
        const { stp } = kit;
        const entry = stp.STPgethostbyname('ALPHA');
        return { entry, own: stp.STPgethostbyname(null), byAddress: stp.STPgethostbyname(entry.ipv6.toUpperCase()) };
      });
      t.match(entries.entry, { local: false, ipv6: /^fd/u });
      t.equal(entries.entry.name.toLowerCase(), 'alpha');
      t.ok(entries.entry.groups.includes('BLUE') && entries.entry.groups.includes('STG'));
      t.same(entries.byAddress, entries.entry);
      t.match(entries.own, { name: 'beta', local: true });
    },
  );
});
