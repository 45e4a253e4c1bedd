/**
 * Connections between real processes: the queue of a listener, both directions, half-close, close and its limits,
 * addresses.
 */
import t from 'tap';
import { Actor, freshRegion } from './actor';
import { VARIANTS, type Variant } from './variants';

type Test = Pick<typeof t, 'teardown'>;

interface Two {
  readonly server: Actor;
  readonly client: Actor;
}

async function two(test: Test, variant: Variant): Promise<Two> {
  const region = freshRegion(test, variant.under);
  const [server, client] = await Promise.all([
    Actor.start(test, { region, ...variant.options, name: 'server' }),
    Actor.start(test, { region, ...variant.options, name: 'client' }),
  ]);
  return { server, client };
}

/** A new listener of the server, `fds.listener` there; its port. */
function listen(server: Actor, backlog = 511): Promise<number> {
  return server.run((kit, queue) => {
    const { s, port } = kit.listen(0, queue);
    kit.fds['listener'] = s;
    return port;
  }, backlog);
}

/** Connects `fds.s` of the client with `fds.s` of the server. */
async function join(server: Actor, client: Actor, port: number): Promise<void> {
  const accepted = server.run(async (kit) => {
    kit.fds['s'] = await kit.stp.STPaccept(kit.fds['listener'] ?? -1);
  });
  await client.run(async (kit, to) => {
    kit.fds['s'] = await kit.connect(to);
  }, port);
  await accepted;
}

for (const variant of VARIANTS) {
  void t.test(`connections, ${variant.title}`, variant.skip, async (t) => {
    const { server, client } = await two(t, variant);

    void t.test('connect waits until the server accepts, and the queue is served in order', async (t) => {
      const port = await listen(server, 2);
      const waiting = client.run(async (kit, to) => {
        const { stp } = kit;
        const done: number[] = [];
        const sockets: number[] = [];
        const connects: Promise<unknown>[] = [];
        for (let i = 0; i < 5; i++) {
          const s = kit.socket();
          stp.STPbind(s, { port: 21_000 + i });
          sockets.push(s);
          connects.push(stp.STPconnect(s, { port: to }).then(() => done.push(i)));
        }
        kit.notes.set('done', done);
        kit.notes.set('sockets', sockets);
        await Promise.all(connects);
        return done;
      }, port);
      // The backlog of two is full, three more wait outside of it.
      const queued = await server.run(async (kit) => {
        const { stp } = kit;
        const s = kit.fds['listener'] ?? -1;
        let full: () => void = () => undefined;
        const told = new Promise<void>((resolve) => {
          full = resolve;
        });
        stp.STPsetopt(s, stp.STP_WATCHER, {
          acceptable: () => {
            if (stp.STPgetsockopt(s, stp.SOL_SOCKET, stp.SO_NREAD) === 0) full();
          },
        });
        await told;
        return stp.STPgetopt(s, stp.STP_STATE);
      });
      t.equal(queued, 'listening');
      t.same(await client.run((kit) => kit.notes.get('done')), [], 'nobody is connected before accept');
      const peers = await server.run(async (kit) => {
        const { stp } = kit;
        const ports: number[] = [];
        for (let i = 0; i < 5; i++) ports.push(stp.STPgetpeername(await stp.STPaccept(kit.fds['listener'] ?? -1)).port);
        return ports;
      });
      t.same(peers.slice(0, 2), [21_000, 21_001], 'the queue is in order');
      t.same([...peers].sort(), [21_000, 21_001, 21_002, 21_003, 21_004], 'those who waited for a place come as well');
      t.equal((await waiting).length, 5);
    });

    void t.test(
      'bytes go both ways; MSG_PEEK leaves them; MSG_DONTWAIT tells -1, then the bytes, then 0 at the end',
      async (t) => {
        const port = await listen(server);
        await join(server, client, port);
        const empty = await server.run((kit) =>
          kit.stp.STPrecv(kit.fds['s'] ?? -1, Buffer.alloc(1), 1, kit.stp.MSG_DONTWAIT),
        );
        t.equal(empty, -1);
        await client.run((kit) => kit.sendText(kit.fds['s'] ?? -1, 'hello'));
        const seen = await server.run(async (kit) => {
          const { stp, fds } = kit;
          const s = fds['s'] ?? -1;
          const into = Buffer.alloc(10);
          const peeked = [await stp.STPrecv(s, into, 3, stp.MSG_PEEK), into.toString('latin1', 0, 3)];
          const again = [
            await stp.STPrecv(s, into, 10, stp.MSG_PEEK | stp.MSG_DONTWAIT),
            into.toString('latin1', 0, 5),
          ];
          const text = await kit.text(s, 5);
          const after = stp.STPrecv(s, into, 10, stp.MSG_PEEK | stp.MSG_DONTWAIT);
          await kit.sendText(s, 'world');
          return { peeked, again, text, after };
        });
        t.same(seen, { peeked: [3, 'hel'], again: [5, 'hello'], text: 'hello', after: -1 });
        t.equal(await client.run((kit) => kit.text(kit.fds['s'] ?? -1, 5)), 'world');
        await client.run((kit) => kit.stp.STPshutdown(kit.fds['s'] ?? -1, 1));
        const end = await server.run(async (kit) => {
          const s = kit.fds['s'] ?? -1;
          const { stp } = kit;
          const first = await stp.STPrecv(s, Buffer.alloc(1));
          return [
            first,
            stp.STPrecv(s, Buffer.alloc(1), 1, stp.MSG_DONTWAIT),
            stp.STPrecv(s, Buffer.alloc(1), 1, stp.MSG_DONTWAIT | stp.MSG_PEEK),
            stp.STPgetopt(s, stp.STP_STATE),
          ];
        });
        t.same(end, [0, 0, 0, 'closeWait']);
      },
    );

    void t.test('a receive that waits is served in order, also by one that peeks first', async (t) => {
      const port = await listen(server);
      await join(server, client, port);
      const got = server.run(async (kit) => {
        const { stp, fds } = kit;
        const s = fds['s'] ?? -1;
        const buffers = [Buffer.alloc(4), Buffer.alloc(4), Buffer.alloc(4)] as const;
        const sizes = await Promise.all([
          stp.STPrecv(s, buffers[0], 4, stp.MSG_PEEK),
          stp.STPrecv(s, buffers[1], 2),
          stp.STPrecv(s, buffers[2]),
        ]);
        return sizes.map((size, i) => (buffers[i] ?? Buffer.of()).toString('latin1', 0, size));
      });
      await client.run((kit) => kit.sendText(kit.fds['s'] ?? -1, 'abcd'));
      t.same(await got, ['abcd', 'ab', 'cd']);
    });

    void t.test('shutdown(1) ends one direction, shutdown(0) drops what arrives, shutdown(2) closes', async (t) => {
      const port = await listen(server);
      await join(server, client, port);
      const half = await client.run(async (kit) => {
        const { stp, fds } = kit;
        const s = fds['s'] ?? -1;
        await kit.sendText(s, 'last');
        stp.STPshutdown(s, 1);
        return [
          await kit.code(() => stp.STPsend(s, Buffer.from('x'))),
          stp.STPgetopt(s, stp.STP_STATE),
          stp.STPshutdown(s, 1),
        ];
      });
      t.same(half, ['EPIPE', 'finWait', 0], 'no more can be sent; a second shutdown is nothing new');
      const other = await server.run(async (kit) => {
        const s = kit.fds['s'] ?? -1;
        const text = await kit.text(s, 100);
        await kit.sendText(s, 'still');
        return text;
      });
      t.equal(other, 'last');
      const rest = await client.run(async (kit) => {
        const { stp, fds } = kit;
        const s = fds['s'] ?? -1;
        const text = await kit.text(s, 5);
        stp.STPshutdown(s, 0);
        return [text, await stp.STPrecv(s, Buffer.alloc(9)), stp.STPrecv(s, Buffer.alloc(9), 9, stp.MSG_DONTWAIT)];
      });
      t.same(rest, ['still', 0, 0], 'nothing comes in any more');
      await server.run((kit) => kit.feed(kit.fds['s'] ?? -1, 1, 0, 1 << 20));
      const closed = await client.run(async (kit) => {
        const { stp, fds } = kit;
        const s = fds['s'] ?? -1;
        const shut = stp.STPshutdown(s, 2);
        return [shut, await kit.code(() => stp.STPgetopt(s, stp.STP_STATE))];
      });
      t.same(closed, [0, 'EBADF'], 'the descriptor is closed by it');
    });

    void t.test('close waits until the peer has everything, and what was sent arrives before the end', async (t) => {
      const port = await listen(server);
      await join(server, client, port);
      const total = 3 << 20;
      const closing = client.run(async (kit, to) => {
        const { stp, fds } = kit;
        const s = fds['s'] ?? -1;
        const sent: Promise<unknown>[] = [];
        for (let at = 0; at < to; at += 65_536) sent.push(stp.STPsend(s, kit.pattern(7, at, 65_536)));
        const closed = stp.STPclose(s);
        let early = true;
        void closed.then(() => {
          early = false;
        });
        kit.notes.set('early', () => early);
        const codes = await Promise.all([...sent, closed].map((promise) => kit.code(() => promise)));
        return new Set(codes).size;
      }, total);
      t.equal(
        await client.run((kit) => (kit.notes.get('early') as () => boolean)()),
        true,
        'not complete while the peer reads nothing',
      );
      t.same(await server.run((kit) => kit.drain(kit.fds['s'] ?? -1, 7)), { to: total, why: 'end' });
      t.equal(await closing, 1, 'every send and the close succeeded');
    });

    void t.test(
      'SO_LINGER: 0 resets at once, n seconds reset after that, and the peer learns ECONNRESET',
      async (t) => {
        const port = await listen(server);
        for (const linger of [0, 1]) {
          await join(server, client, port);
          const closed = client.run(async (kit, seconds) => {
            const { stp, fds } = kit;
            const s = fds['s'] ?? -1;
            stp.STPsetsockopt(s, stp.SOL_SOCKET, stp.SO_LINGER, { onoff: true, linger: seconds });
            // The last one is more than the window takes.
            const sends = [0, 200_000, 400_000].map((from) => stp.STPsend(s, kit.pattern(1, from, 200_000)));
            const codes = Promise.all(sends.map((sent) => kit.code(() => sent)));
            return [await kit.code(() => stp.STPclose(s)), ...(await codes)];
          }, linger);
          t.same(await closed, linger === 0 ? ['', '', '', 'ECONNABORTED'] : ['ETIMEDOUT', '', '', 'ETIMEDOUT']);
          const { to, why } = await server.run((kit) => kit.drain(kit.fds['s'] ?? -1, 1));
          t.equal(why, 'ECONNRESET', 'the peer gets what was sent, then the error');
          t.ok(to >= 400_000);
          const state = await server.run(async (kit) => {
            const { stp, fds } = kit;
            const s = fds['s'] ?? -1;
            const errors = [
              stp.STPgetsockopt(s, stp.SOL_SOCKET, stp.SO_ERROR),
              stp.STPgetsockopt(s, stp.SOL_SOCKET, stp.SO_ERROR),
            ];
            return [
              ...errors,
              stp.STPgetopt(s, stp.STP_STATE),
              await kit.code(() => stp.STPsend(s, Buffer.of(1))),
              await stp.STPclose(s),
            ];
          });
          const number = await server.run((kit, code) => kit.stp.errnoOf(code as 'EIO'), why);
          t.same(state, [number, 0, 'reset', why, 0], 'SO_ERROR tells it once');
        }
      },
    );

    void t.test('closing with unread bytes resets the connection, as TCP does', async (t) => {
      const port = await listen(server);
      await join(server, client, port);
      await client.run((kit) => kit.sendText(kit.fds['s'] ?? -1, 'never read'));
      await server.run(async (kit) => {
        const { stp, fds } = kit;
        const s = fds['s'] ?? -1;
        await stp.STPrecv(s, Buffer.alloc(1), 1, stp.MSG_PEEK);
        await stp.STPclose(s);
      });
      t.same(await client.run((kit) => kit.drain(kit.fds['s'] ?? -1, 0)), { to: 0, why: 'ECONNRESET' });
    });

    void t.test('a listener that closes refuses those who wait, and those who come', async (t) => {
      const port = await listen(server, 1);
      // Before the first request can come: a watcher is told of what begins after it was set.
      await server.run(({ stp, fds, notes }) => {
        notes.set(
          'asked',
          new Promise<void>((resolve) => {
            stp.STPsetopt(fds['listener'] ?? -1, stp.STP_WATCHER, { acceptable: resolve });
          }),
        );
      });
      const codes = client.run(async (kit, to) => {
        const tries = [kit.code(() => kit.connect(to)), kit.code(() => kit.connect(to))];
        return Promise.all(tries);
      }, port);
      await server.run(async (kit) => {
        await kit.notes.get('asked');
        await kit.stp.STPclose(kit.fds['listener'] ?? -1);
      });
      t.same((await codes).sort(), ['ECONNREFUSED', 'ECONNRESET'], 'one was in the queue, one outside of it');
      t.equal(await client.run((kit, to) => kit.code(() => kit.connect(to)), port), 'ECONNREFUSED');
      t.equal(await server.run((kit, to) => kit.listen(to).port, port), port, 'the port is free again');
    });

    void t.test('a connect gives up after STP_CONNECT_TIMEOUT, and its request leaves the queue', async (t) => {
      const port = await listen(server, 1);
      const code = await client.run(async (kit, to) => {
        const { stp } = kit;
        const s = kit.socket();
        stp.STPsetopt(s, stp.STP_CONNECT_TIMEOUT, 30);
        return [
          await kit.code(() => stp.STPconnect(s, { port: to })),
          stp.STPgetopt(s, stp.STP_STATE),
          stp.STPerror(s),
          stp.STPgetsockopt(s, stp.SOL_SOCKET, stp.SO_ERROR),
        ];
      }, port);
      const etimedout = await client.run((kit) => kit.stp.errnoOf('ETIMEDOUT'));
      t.same(code, ['ETIMEDOUT', 'reset', etimedout, etimedout]);
      // The only place in the queue is free again. An accept that comes before the news of the withdrawal may still get
      // the first one: it ends at once.
      const served = server.run(async (kit) => {
        const { stp, fds } = kit;
        for (;;) {
          const s = await stp.STPaccept(fds['listener'] ?? -1);
          const { to, why } = await kit.drain(s, 0);
          await stp.STPclose(s);
          if (why === 'end') return to;
        }
      });
      await client.run(async (kit, to) => {
        const s = await kit.connect(to);
        await kit.feed(s, 0, 0, 1000);
        await kit.stp.STPclose(s);
      }, port);
      t.equal(await served, 1000, 'who comes after it is served');
    });

    void t.test('both ends learn of a death: every byte that was published, then ECONNRESET', async (t) => {
      const { server, client } = await two(t, variant);
      const port = await listen(server);
      await join(server, client, port);
      const taken = await client.run((kit) => {
        const { stp, fds } = kit;
        let at = 0;
        for (;;) {
          const n = stp.STPsend(fds['s'] ?? -1, kit.pattern(3, at, 10_000), undefined, stp.MSG_DONTWAIT) as number;
          if (n < 0) return at;
          at += n;
        }
      });
      await client.kill();
      t.same(await server.run((kit) => kit.drain(kit.fds['s'] ?? -1, 3)), { to: taken, why: 'ECONNRESET' });
      const waiting = await server.run(async (kit) => {
        const s = kit.fds['s'] ?? -1;
        return [
          await kit.code(() => kit.stp.STPsend(s, Buffer.of(1))),
          await kit.code(() => kit.stp.STPrecv(s, Buffer.alloc(1))),
          await kit.stp.STPclose(s),
        ];
      });
      t.same(waiting, ['ECONNRESET', 'ECONNRESET', 0]);
    });

    void t.test('a server that dies resets those in its queue', async (t) => {
      const { server, client } = await two(t, variant);
      const port = await listen(server);
      const code = client.run((kit, to) => kit.code(() => kit.connect(to)), port);
      await server.run(
        (kit) =>
          new Promise<void>((resolve) => {
            kit.stp.STPsetopt(kit.fds['listener'] ?? -1, kit.stp.STP_WATCHER, { acceptable: resolve });
          }),
      );
      await server.kill();
      t.equal(await code, 'ECONNRESET');
      t.equal(await client.run((kit, to) => kit.code(() => kit.connect(to)), port), 'ECONNREFUSED');
    });

    void t.test('a process connects to itself', async (t) => {
      const result = await server.run(async (kit) => {
        const { stp } = kit;
        const [a, b] = await kit.pair();
        const total = 3 << 20;
        const [first, second] = await Promise.all([
          kit.drain(b, 1),
          kit.drain(a, 2),
          kit.feed(a, 1, 0, total).then(() => stp.STPshutdown(a, 1)),
          kit.feed(b, 2, 0, total).then(() => stp.STPshutdown(b, 1)),
        ]);
        return [first, second, await stp.STPclose(a), await stp.STPclose(b)];
      });
      t.same(result, [{ to: 3 << 20, why: 'end' }, { to: 3 << 20, why: 'end' }, 0, 0]);
    });
  });
}
