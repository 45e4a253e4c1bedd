/** Connections by IP address between real processes, and what both ends call each other. */
import t from 'tap';
import { Actor, type ActorOptions, freshRegion } from './actor';
import { DIRECT, MAPPED, type Variant } from './variants';

async function cast(
  test: Pick<typeof t, 'teardown'>,
  variant: Variant,
  names: readonly string[],
  more: Partial<ActorOptions> = {},
): Promise<Actor[]> {
  const region = freshRegion(test, variant.under);
  return Promise.all(
    names.map((name) => Actor.start(test, { region, ...variant.options, system: 'alpha', name, ...more })),
  );
}

/** Listens at each address, all with the port of the first; tells of each connection who it is for and by whom. */
async function serve(server: Actor, ips: readonly string[], port = 0, shared = false): Promise<number> {
  return server.run(
    (kit, at, wanted, shares) => {
      const { stp } = kit;
      let chosen = wanted;
      for (const ip of at) {
        const s = kit.socket();
        if (shares) stp.STPsetsockopt(s, stp.SOL_SOCKET, stp.SO_REUSEPORT, true);
        stp.STPbind(s, { port: chosen, ip });
        stp.STPlisten(s, 50);
        chosen = stp.STPgethostname(s).port;
        kit.fds[ip] = s;
        stp.STPsetopt(s, stp.STP_WATCHER, {
          acceptable: () => {
            for (
              let c = stp.STPaccept(s, stp.MSG_DONTWAIT) as number;
              c >= 0;
              c = stp.STPaccept(s, stp.MSG_DONTWAIT) as number
            ) {
              kit.fds['accepted'] = c;
              void kit.sendText(
                c,
                `${[ip, stp.STPgethostname(c).ip, stp.STPgetpeername(c).ip].join(' ')}\n`.padEnd(64),
              );
            }
          },
        });
      }
      return chosen;
    },
    ips,
    port,
    shared,
  );
}

/** What the server says, and what the client sees: "listener local remote | local remote"; or the code of the error. */
async function call(client: Actor, port: number, ip: string | undefined, from?: string): Promise<string> {
  return client.run(
    async (kit, to, called, own) => {
      const { stp } = kit;
      const s = (kit.fds['s'] = kit.socket());
      try {
        if (own !== undefined) stp.STPbind(s, { ip: own });
        await stp.STPconnect(s, { port: to, ip: called });
      } catch (error) {
        return (error as { code: string }).code;
      }
      const told = await kit.text(s, 64);
      return `${told.trimEnd()} | ${[stp.STPgethostname(s).ip, stp.STPgetpeername(s).ip].join(' ')}`;
    },
    port,
    ip,
    from,
  );
}

for (const variant of [MAPPED, DIRECT]) {
  void t.test(
    `servers of one port at several addresses each get their own clients, ${variant.title}`,
    variant.skip,
    async (t) => {
      const [one, other, client] = await cast(t, variant, ['one', 'other', 'client']);
      if (one === undefined || other === undefined || client === undefined) throw new Error('no actors');
      const port = await serve(one, ['127.0.0.1', '::1']);
      await serve(other, ['127.0.0.2'], port);
      t.equal(await call(client, port, '127.0.0.1'), '127.0.0.1 127.0.0.1 127.0.0.1 | 127.0.0.1 127.0.0.1');
      t.equal(await call(client, port, '::1'), '::1 ::1 ::1 | ::1 ::1');
      t.equal(
        await call(client, port, '127.0.0.2'),
        '127.0.0.2 127.0.0.2 127.0.0.1 | 127.0.0.1 127.0.0.2',
        'from loopback, as the kernel has it',
      );
      t.equal(
        await call(client, port, '0.0.0.0'),
        '127.0.0.1 127.0.0.1 127.0.0.1 | 127.0.0.1 127.0.0.1',
        '"any" is loopback',
      );
      t.equal(await call(client, port, '::'), '::1 ::1 ::1 | ::1 ::1');
      t.equal(
        await call(client, port, '::ffff:127.0.0.2'),
        '127.0.0.2 127.0.0.2 127.0.0.1 | 127.0.0.1 127.0.0.2',
        'IPv4 in IPv6 clothes',
      );
      t.equal(await call(client, port, '127.0.0.3'), 'ECONNREFUSED');
      t.equal(
        await call(client, port, '127.0.0.2', '127.0.0.9'),
        '127.0.0.2 127.0.0.2 127.0.0.9 | 127.0.0.9 127.0.0.2',
        'from the address that was bound',
      );
      t.equal(await call(client, port, '127.0.0.2', '0.0.0.0'), '127.0.0.2 127.0.0.2 127.0.0.1 | 127.0.0.1 127.0.0.2');
      t.equal(await call(client, port, '::1', '127.0.0.1'), 'EINVAL', 'the families differ');
      t.match(await call(client, port, undefined), /^(\S+) \1 \| {2}$/u, 'any of them, where none is named');
      t.equal(
        await one.run(
          (kit, p) =>
            kit.code(() => {
              kit.stp.STPbind(kit.socket(), { port: p, ip: '::' });
            }),
          port,
        ),
        'EADDRINUSE',
      );
      t.equal(
        await other.run(
          (kit, p) =>
            kit.code(() => {
              kit.stp.STPbind(kit.socket(), { port: p, ip: '127.0.0.9' });
            }),
          port,
        ),
        '',
      );
    },
  );
}

void t.test('a wildcard takes what is called in its families, and tells what that was', MAPPED.skip, async (t) => {
  const [server, client] = await cast(t, MAPPED, ['server', 'client']);
  if (server === undefined || client === undefined) throw new Error('no actors');
  const all = await serve(server, ['::']);
  t.equal(await call(client, all, '127.0.0.2'), ':: 127.0.0.2 127.0.0.1 | 127.0.0.1 127.0.0.2');
  t.equal(await call(client, all, '::1'), ':: ::1 ::1 | ::1 ::1');
  t.equal(
    await call(client, all, '192.0.2.7'),
    ':: 192.0.2.7 192.0.2.7 | 192.0.2.7 192.0.2.7',
    'another address of its own',
  );
  t.equal(await call(client, all, undefined), ':: |  ', 'nobody has named an address');
  const ipv4 = await serve(server, ['0.0.0.0']);
  t.equal(await call(client, ipv4, '127.0.0.2'), '0.0.0.0 127.0.0.2 127.0.0.1 | 127.0.0.1 127.0.0.2');
  t.equal(await call(client, ipv4, '::1'), 'ECONNREFUSED');
  const names = await server.run((kit) => {
    const { stp } = kit;
    const only = kit.socket();
    stp.STPbind(only, { ip: '::', ipv6Only: true });
    stp.STPlisten(only, 5);
    const none = kit.socket();
    stp.STPbind(none, {});
    return {
      port: stp.STPgethostname(only).port,
      only: stp.STPgethostname(only).ip,
      all: stp.STPgethostname(kit.fds['::'] ?? -1).ip,
      none: 'ip' in stp.STPgethostname(none),
    };
  });
  t.match(names, { only: '::', all: '::', none: false });
  t.equal(await call(client, names.port, '127.0.0.1'), 'ECONNREFUSED');
  const found = await client.run(
    (kit, ports) => {
      const { stp } = kit;
      return ports.map((port) =>
        ['127.0.0.1', '::1', '::ffff:127.0.0.1', '0.0.0.0', undefined]
          .map((ip) => Number(stp.lookupListener({ port, ip })))
          .join(''),
      );
    },
    [all, ipv4, names.port],
  );
  t.same(found, ['11111', '10111', '01001'], 'a look-up has the same rule');
  t.ok(await client.run((kit, port) => kit.stp.lookupListener({ port, ip: '::1' }, { sameNetwork: true }), all));
});

void t.test(
  'processes that share a port of one address get its clients in turn, and no others',
  MAPPED.skip,
  async (t) => {
    const [one, other, client] = await cast(t, MAPPED, ['one', 'other', 'client']);
    if (one === undefined || other === undefined || client === undefined) throw new Error('no actors');
    const port = await serve(one, ['127.0.0.1'], 0, true);
    await serve(other, ['127.0.0.1'], port, true);
    await serve(other, ['::1'], port);
    const peers = await client.run(async (kit, to) => {
      const seen = new Set<string>();
      for (let i = 0; i < 8; i++) {
        const s = kit.socket();
        await kit.stp.STPconnect(s, { port: to, ip: '127.0.0.1' });
        seen.add((await kit.text(s, 64)).trimEnd());
      }
      return [...seen];
    }, port);
    t.same(peers, ['127.0.0.1 127.0.0.1 127.0.0.1']);
    const accepted = await Promise.all(
      [one, other].map((actor) => actor.run((kit) => kit.fds['accepted'] !== undefined)),
    );
    t.same(accepted, [true, true], 'both had some');
    t.equal(await call(client, port, '::1'), '::1 ::1 ::1 | ::1 ::1');
    t.equal(
      await client.run(
        (kit, p) =>
          kit.code(() => {
            kit.stp.STPbind(kit.socket(), { port: p, ip: '127.0.0.1' });
          }),
        port,
      ),
      'EADDRINUSE',
    );
    await one.kill();
    t.equal(
      await call(client, port, '127.0.0.1'),
      '127.0.0.1 127.0.0.1 127.0.0.1 | 127.0.0.1 127.0.0.1',
      'the one that lives',
    );
  },
);

void t.test('addresses go along with a connection that moves, at either end', MAPPED.skip, async (t) => {
  const [server, client, taker] = await cast(t, MAPPED, ['server', 'client', 'taker']);
  if (server === undefined || client === undefined || taker === undefined) throw new Error('no actors');
  const port = await serve(server, ['127.0.0.2']);
  await call(client, port, '127.0.0.2', '127.0.0.5');
  for (const [holder, fd, expected] of [
    [server, 'accepted', ['127.0.0.2', '127.0.0.5']],
    [client, 's', ['127.0.0.5', '127.0.0.2']],
  ] as const) {
    const token = await holder.run((kit, name) => kit.stp.STPgivesocket(kit.fds[name] ?? -1, null), fd);
    const names = await taker.run(async (kit, from) => {
      const s = await kit.stp.STPtakesocket(from);
      return [kit.stp.STPgethostname(s).ip, kit.stp.STPgetpeername(s).ip];
    }, token);
    t.same(names, expected, fd);
  }
});

void t.test('what is no address is EINVAL, and says so', MAPPED.skip, async (t) => {
  const [actor] = await cast(t, MAPPED, ['actor']);
  const messages = await actor?.run(async (kit) => {
    const { stp } = kit;
    const told: string[] = [];
    const attempt = async (act: () => unknown): Promise<void> => {
      try {
        await act();
        told.push('');
      } catch (error) {
        told.push((error as Error).message);
      }
    };
    for (const ip of ['localhost', '1.2.3', 'fd00::1::2', 5 as unknown as string, 'x'.repeat(500)]) {
      await attempt(() => stp.STPbind(kit.socket(), { ip }));
      await attempt(() => stp.STPconnect(kit.socket(), { port: 1, ip }));
      await attempt(() => stp.lookupListener({ port: 1, ip }));
    }
    await attempt(() => stp.STPbind(kit.socket(), { ipv6Only: 'yes' as unknown as boolean }));
    await attempt(() => stp.lookupListener({ port: 1 }, { sameNetwork: 2 as unknown as boolean }));
    await attempt(() => stp.lookupListener({ port: 1 }, null as unknown as object));
    return told;
  });
  t.equal(messages?.length, 18);
  for (const message of messages?.slice(0, 15) ?? [])
    t.match(message, /^(STPbind|STPconnect|lookupListener) EINVAL: .*ip must be an IPv4 or IPv6 address, not /u);
  t.match(messages?.slice(15), [/ipv6Only/u, /sameNetwork/u, /options/u]);
});
