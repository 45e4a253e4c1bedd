/** Systems and groups: who is who in one region. */
import t from 'tap';
import { Actor, type ActorOptions, freshRegion } from './actor';

type Test = Pick<typeof t, 'teardown'>;
type Options = Partial<ActorOptions>;

const start = (test: Test, region: string, options: Options): Promise<Actor> =>
  Actor.start(test, { region, ...options });

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
