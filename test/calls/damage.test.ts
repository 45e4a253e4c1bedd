/**
 * Regions that are none, and regions that somebody has scribbled on: a clear error where it matters, and nothing worse
 * anywhere else.
 */
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { Actor, freshRegion } from './actor';
import { mappedNames, mappedRing, whyNoMappedRing } from '../hostile/mapped-memory';
import { type Duplex } from './duplex';
import { DIRECT, DRIVERS, MAPPED } from './variants';

const seed = Number(process.env['STP_SEED'] ?? Date.now() % 1_000_000_000);
let state = seed | 1;

/** The next of a series of numbers from 0 to 2^32. */
function random(): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return state >>> 0;
}

function randomBytes(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, () => random() & 255));
}

/** Writes random bytes over a part of a file, or all of it. */
function scribble(file: string, from = 0, to = Infinity): void {
  let fd: number;
  try {
    fd = fs.openSync(file, 'r+');
  } catch (error) {
    // Whoever gives a link up removes it.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const end = Math.min(fs.fstatSync(fd).size, to);
  if (end > from) fs.writeSync(fd, randomBytes(end - from), 0, end - from, from);
  fs.closeSync(fd);
}

/** All ordinary files of a region, but not its FIFOs. */
function filesOf(region: string): string[] {
  return fs
    .readdirSync(region, { recursive: true, encoding: 'utf8' })
    .filter((name) => fs.lstatSync(path.join(region, name), { throwIfNoEntry: false })?.isFile() === true);
}

t.comment(`seed ${seed}; STP_SEED=${seed} runs it again`);

// They wait for each other's time limits more than they work.
t.jobs = 3;
const asRoot = process.getuid?.() === 0;
const NOBODY = 65_534;

void t.test(
  'a region that can not be used is an error of STPsocket, and the process can go on when it is put right',
  async (t) => {
    const region = freshRegion(t);
    const parent = path.dirname(region);
    const actor = await Actor.start(t, { region, name: 'actor' });
    const attempt = async (): Promise<string> => {
      const result = await actor.run((kit) => {
        try {
          kit.socket();
          return { code: '', message: '', told: '' };
        } catch (error) {
          const { code, message } = error as { code: string; message: string };
          return { code, message, told: kit.stp.STPstrerror() };
        }
      });
      if (result.code !== '') t.match(result.message, /^STPsocket ESTP|^STPsocket E/u);
      return result.code;
    };
    fs.writeFileSync(region, 'a file');
    t.equal(await attempt(), 'ESTPREGION', 'a file');
    fs.rmSync(region);
    fs.symlinkSync('nowhere', region);
    t.equal(await attempt(), 'ESTPREGION', 'a link to nowhere');
    fs.rmSync(region);
    fs.mkdirSync(region, 0o700);
    fs.writeFileSync(path.join(region, 'region'), '');
    t.equal(await attempt(), 'ESTPREGION', 'an empty header');
    fs.writeFileSync(path.join(region, 'region'), randomBytes(4096));
    t.ok(['ESTPREGION', 'ESTPCORRUPT'].includes(await attempt()), 'a header of random bytes');
    fs.writeFileSync(path.join(region, 'region'), randomBytes(100));
    t.ok(['ESTPREGION', 'ESTPCORRUPT'].includes(await attempt()), 'a header that is cut short');
    fs.rmSync(path.join(region, 'region'));
    fs.writeFileSync(path.join(region, 'links'), 'a file');
    t.ok(['ESTPREGION', 'ESTPCORRUPT'].includes(await attempt()), 'a file in the place of a directory');
    fs.rmSync(path.join(region, 'links'));
    fs.chmodSync(region, 0o777);
    t.equal(await attempt(), 'EACCES', 'a directory that anybody may write to');
    fs.chmodSync(region, 0o700);
    t.equal(await attempt(), '', 'now it is one');
    t.ok(fs.existsSync(parent));
  },
);

void t.test('a region of somebody else is EACCES', { skip: asRoot ? false : 'needs root' }, async (t) => {
  const region = freshRegion(t);
  const owner = await Actor.start(t, { region, name: 'owner' });
  const port = await owner.run((kit) => kit.listen().port);
  // A stranger must be able to come near it at all.
  fs.chmodSync(path.dirname(region), 0o755);
  const stranger = await Actor.start(t, { region, uid: NOBODY, name: 'stranger' });
  t.equal(await stranger.run((kit) => kit.code(() => kit.socket())), 'EACCES');
  fs.chmodSync(region, 0o755);
  t.equal(await stranger.run((kit, to) => kit.code(() => kit.connect(to)), port), 'EACCES');
  t.equal(
    await owner.run(async (kit, to) => {
      await kit.connect(to).catch(() => 0);
      return '';
    }, 9),
    '',
  );
});

for (const { title, options, under, skip } of DRIVERS) {
  void t.test(`whatever is damaged before a process comes, it works or tells why, ${title}`, skip, async (t) => {
    for (let round = 0; round < 3; round++) {
      const region = freshRegion(t, under);
      const start = (name: string): Promise<Actor> => Actor.start(t, { region, ...options, name });
      const [server, dead, client] = await Promise.all([start('server'), start('dead'), start('client')]);
      const port = await server.run((kit) => {
        const { s, port: chosen } = kit.listen();
        kit.stp.STPsetopt(s, kit.stp.STP_WATCHER, {
          acceptable: () => {
            void kit.stp
              .STPaccept(s)
              .then((c) => kit.text(c, 4).then((text) => kit.sendText(c, text)))
              .catch(() => undefined);
          },
        });
        return chosen;
      });
      await dead.run(async (kit, to) => {
        await kit.sendText(await kit.connect(to), 'ping');
      }, port);
      await dead.kill();
      const files = filesOf(region);
      for (const name of files) {
        // In the first round whole files, then parts of them. The header is spared, or nothing else would be looked at.
        if (name === 'region') continue;
        const size = fs.statSync(path.join(region, name), { throwIfNoEntry: false })?.size ?? 0;
        const from = round === 0 || size === 0 ? 0 : random() % size;
        scribble(path.join(region, name), from, round === 0 ? size : Math.min(size, from + 1 + (random() % 5000)));
      }
      // Names that are none, and files that nobody made.
      for (const name of [
        'processes/0',
        'processes/999',
        'processes/x',
        'processes/-1',
        'processes/1e3',
        'links/1-999',
        'links/999-1',
        'links/a-b',
        'links/1-1-1',
        'links/-',
      ]) {
        if (!fs.existsSync(path.join(region, name)))
          fs.writeFileSync(path.join(region, name), randomBytes(random() % 9000), { mode: 0o600 });
      }
      const code = await client.run(async (kit, to) => {
        const { stp } = kit;
        return kit.code(async () => {
          const s = kit.socket();
          stp.STPsetopt(s, stp.STP_CONNECT_TIMEOUT, 5000);
          await stp.STPconnect(s, { port: to });
          await kit.sendText(s, 'ping');
          if ((await kit.text(s, 4)) !== 'ping') throw new Error('not what was sent');
        });
      }, port);
      t.ok(
        ['', 'ECONNREFUSED', 'ECONNRESET', 'ESTPCORRUPT', 'EHOSTUNREACH'].includes(code),
        `round ${round}: ${code === '' ? 'connected' : code}`,
      );
      const alone = await client.run((kit) =>
        kit.code(async () => {
          const [a, b] = await kit.pair();
          await kit.sendText(a, 'self');
          await kit.text(b, 4);
        }),
      );
      t.equal(alone, '', 'what was not touched works');
      t.equal(await server.run((kit) => kit.code(() => kit.pair())), '', 'the server lives');
    }
  });
}

for (const { title, options, under, skip } of [MAPPED, DIRECT]) {
  const noWay = options.driver === 'mapped' ? whyNoMappedRing() : undefined;
  void t.test(
    `damage while data moves ends the connections of one link, and no others, ${title}`,
    noWay === undefined ? skip : { skip: noWay },
    async (t) => {
      const region = freshRegion(t, under);
      const start = (name: string): Promise<Actor> => Actor.start(t, { region, ...options, name });
      const [server, other] = await Promise.all([start('server'), start('other')]);
      const port = await server.run((kit) => {
        const { stp } = kit;
        const { s, port: chosen } = kit.listen();
        const duplexes: Duplex[] = [];
        kit.notes.set('duplexes', duplexes);
        stp.STPsetopt(s, stp.STP_WATCHER, {
          acceptable: () => {
            void stp.STPaccept(s).then((c) => {
              duplexes.push(kit.duplex(c, { reads: { stream: 1, at: 0 }, writes: { stream: 2, at: 0 } }));
            });
          },
        });
        return chosen;
      });
      const begin = (kit: Parameters<Parameters<Actor['run']>[0]>[0], to: number): Promise<number> => {
        const { stp } = kit;
        const s = kit.socket();
        stp.STPsetopt(s, stp.STP_CONNECT_TIMEOUT, 10_000);
        return stp.STPconnect(s, { port: to }).then(async () => {
          const duplex = kit.duplex(s, { reads: { stream: 2, at: 0 }, writes: { stream: 1, at: 0 } });
          kit.notes.set('duplex', duplex);
          await duplex.more(100_000);
          return stp.STPgetclientid().process;
        });
      };
      await other.run(begin, port);
      const serverNumber = await server.run((kit) => kit.stp.STPgetclientid().process);
      for (const way of ['to the server', 'from the server', 'both ways'] as const) {
        const client = await start('client');
        const number = await client.run(begin, port);
        const files = [
          ...(way === 'from the server' ? [] : [`${number}-${serverNumber}`]),
          ...(way === 'to the server' ? [] : [`${serverNumber}-${number}`]),
        ];
        const ends = (actor: Actor): Promise<string> =>
          actor.run(async (kit) => {
            const duplexes = (kit.notes.get('duplexes') as Duplex[] | undefined) ?? [kit.notes.get('duplex') as Duplex];
            const duplex = duplexes.at(-1);
            const why = (await duplex?.ended) ?? '';
            // One that has read a wrong byte is the only one to know of it, until it lets go.
            await duplex?.close();
            return why;
          });
        const over = Promise.all([ends(server), ends(client)]);
        let done = false;
        const finished = over.then((why) => {
          done = true;
          return why;
        });
        // Now and then a hole is written over again before it is seen.
        while (!done) {
          for (const name of files) {
            const file =
              options.driver === 'mapped'
                ? mappedRing(server.child.pid ?? 0, `links/${name}`)
                : path.join(region, 'links', name);
            if (file !== undefined) scribble(file, 4096);
          }
          await new Promise((resolve) => {
            setTimeout(resolve, 20);
          });
        }
        const why = await finished;
        t.ok(
          why.some((end) => /^ESTPCORRUPT|is wrong between/u.test(end)),
          `${way}: ${why.join(', ')}`,
        );
        t.notOk(
          options.driver === 'direct' && why.some((end) => end.includes('is wrong')),
          'frames have checksums: no wrong byte gets through',
        );
        const again = await client.run(begin, port).then(
          () => '',
          (error: unknown) => String(error),
        );
        t.equal(again, '', 'the two can connect again');
        t.equal(await other.run((kit) => (kit.notes.get('duplex') as Duplex).over), '', 'others never noticed');
        await client.kill();
      }
      t.equal(
        await other.run(async (kit) => {
          const duplex = kit.notes.get('duplex') as Duplex;
          await duplex.more(1e6);
          return duplex.over;
        }),
        '',
        'and go on',
      );
    },
  );
}

void t.test(
  'whatever is cut short or removed under two that talk: nobody ends, and what was sent arrives',
  MAPPED.skip,
  async (t) => {
    const region = freshRegion(t, MAPPED.under);
    const start = (name: string): Promise<Actor> => Actor.start(t, { region, ...MAPPED.options, name });
    const [server, client] = await Promise.all([start('server'), start('client')]);
    const port = await server.run((kit) => {
      const { s, port: chosen } = kit.listen();
      kit.notes.set('accepted', kit.stp.STPaccept(s));
      return chosen;
    });
    await client.run(async (kit, to) => {
      kit.fds['s'] = await kit.connect(to);
    }, port);
    await server.run(async (kit) => {
      kit.fds['s'] = await (kit.notes.get('accepted') as Promise<number>);
    });
    const told = async (): Promise<string> => {
      const sent = client.run((kit) => kit.sendText(kit.fds['s'] ?? -1, 'x'.repeat(100_000)));
      const text = await server.run((kit) => kit.text(kit.fds['s'] ?? -1, 100_000));
      await sent;
      return text;
    };
    t.equal((await told()).length, 100_000);
    for (const actor of [server, client])
      t.same(mappedNames(actor.child.pid ?? 0, region), [], `no name leads to the memory of the ${actor.name}`);
    for (const way of [fs.truncateSync, fs.rmSync]) {
      for (const name of filesOf(region).filter((file) => file.startsWith('links/'))) way(path.join(region, name));
      t.equal(await told(), 'x'.repeat(100_000), way.name);
    }
    t.same(await Promise.all([server, client].map((actor) => actor.run(() => 'lives'))), ['lives', 'lives']);
  },
);

for (const { title, options, under, skip } of [MAPPED, DIRECT]) {
  const noWay = options.driver === 'mapped' ? whyNoMappedRing() : undefined;
  void t.test(
    `a process whose own file was taken away tells its peers of a link that it gives up, ${title}`,
    noWay === undefined ? skip : { skip: noWay },
    async (t) => {
      const region = freshRegion(t, under);
      const start = (name: string): Promise<Actor> => Actor.start(t, { region, ...options, name });
      const [server, client] = await Promise.all([start('server'), start('client')]);
      const numbers = await Promise.all([server, client].map((a) => a.run((kit) => kit.stp.STPgetclientid().process)));
      const [serverNumber = 0, clientNumber = 0] = numbers;
      const port = await server.run((kit) => {
        const { s, port: chosen } = kit.listen();
        kit.notes.set('echo', kit.stp.STPaccept(s));
        return chosen;
      });
      await client.run(async (kit, to) => {
        kit.fds['s'] = await kit.connect(to);
        await kit.sendText(kit.fds['s'], 'ping');
      }, port);
      await server.run(async (kit) => {
        await kit.text(await (kit.notes.get('echo') as Promise<number>), 4);
      });
      // The same bytes in another file: others go on to see the server, while it may remove nothing any more.
      const file = path.join(region, 'processes', String(serverNumber));
      fs.copyFileSync(file, `${file}.new`);
      fs.renameSync(`${file}.new`, file);
      const heard = client.run((kit) => kit.code(() => kit.text(kit.fds['s'] ?? -1, 4)));
      // What is sent now is damaged before it is read.
      server.child.kill('SIGSTOP');
      await client.run((kit) => kit.sendText(kit.fds['s'] ?? -1, 'ping'));
      const name = `links/${clientNumber}-${serverNumber}`;
      const log = options.driver === 'mapped' ? mappedRing(server.child.pid ?? 0, name) : path.join(region, name);
      if (log === undefined) throw new Error('the memory of the log was not found');
      scribble(log, 4096);
      server.child.kill('SIGCONT');
      t.match(await heard, /^ECONNRESET$|^ESTPCORRUPT$/u);
    },
  );
}
