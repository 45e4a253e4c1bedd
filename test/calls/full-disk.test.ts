/**
 * A region on a disk that is full, or gets full: ENOSPC for what is new, nothing lost of what is there, and work again
 * when there is room.
 */
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { mountTmpfs, whyNoTmpfs } from '../tmpfs';
import { Actor } from './actor';
import { type Duplex } from './duplex';
import { DIRECT, MAPPED, type Variant } from './variants';

const noMount = whyNoTmpfs();

function skipOf(variant: Variant): { readonly skip?: string } {
  return noMount === undefined ? variant.skip : { skip: noMount };
}

/** Takes all that is left. */
function fill(directory: string): void {
  const fd = fs.openSync(path.join(directory, 'filler'), 'a');
  try {
    for (const chunk of [65_536, 4096]) {
      for (let more = true; more;) {
        try {
          more = fs.writeSync(fd, Buffer.alloc(chunk)) > 0;
        } catch {
          more = false;
        }
      }
    }
  } finally {
    fs.closeSync(fd);
  }
}

for (const { variant, sizeBytes } of [
  { variant: MAPPED, sizeBytes: 1 << 20 },
  { variant: DIRECT, sizeBytes: 7 << 19 },
  { variant: MAPPED, sizeBytes: 4 << 20 },
  { variant: DIRECT, sizeBytes: 4 << 20 },
]) {
  void t.test(`a disk of ${sizeBytes / 1024} KiB, ${variant.title}`, skipOf(variant), async (t) => {
    const directory = mountTmpfs(t, `size=${sizeBytes}`);
    const region = path.join(directory, 'region');
    const start = (name: string): Promise<Actor> => Actor.start(t, { region, ...variant.options, name });
    const [server, client, late] = await Promise.all([start('server'), start('client'), start('late')]);
    const port = await server.run((kit) => {
      const { s, port: chosen } = kit.listen();
      kit.stp.STPsetopt(s, kit.stp.STP_WATCHER, {
        acceptable: () => {
          void kit.stp.STPaccept(s).then((c) => {
            kit.notes.set('duplex', kit.duplex(c, { reads: { stream: 1, at: 0 }, writes: { stream: 2, at: 0 } }));
          });
        },
      });
      return chosen;
    });
    await client.run(async (kit, to) => {
      kit.fds['s'] = await kit.connect(to);
      const duplex = kit.duplex(kit.fds['s'], { reads: { stream: 2, at: 0 }, writes: { stream: 1, at: 0 } });
      kit.notes.set('duplex', duplex);
      await duplex.more(100_000);
    }, port);
    const going = async (why: string): Promise<void> => {
      t.equal(
        await client.run(async (kit) => {
          const duplex = kit.notes.get('duplex') as Duplex;
          await duplex.more(3e6);
          return duplex.over;
        }),
        '',
        why,
      );
    };

    fill(directory);
    await going('a connection goes on when the disk is full');
    t.equal(await client.run((kit) => kit.code(() => kit.pair())), 'ENOSPC', 'a new link does not fit');
    t.equal(await late.run((kit) => kit.code(() => kit.socket())), 'ENOSPC', 'nor does a new process');
    const made = await client.run(async (kit) => {
      const { stp } = kit;
      const codes: string[] = [];
      for (let i = 0; i < 200; i++) {
        codes.push(
          await kit.code(() => {
            const s = kit.socket();
            stp.STPbind(s, null);
            stp.STPlisten(s, 5);
          }),
        );
      }
      return codes;
    });
    t.same(
      [...new Set(made)].filter((code) => code !== '' && code !== 'ENOSPC'),
      [],
      'sockets are made or refused',
    );
    t.ok(made.includes('ENOSPC'));
    await going('and was not harmed by what was refused');

    fs.rmSync(path.join(directory, 'filler'));
    t.equal(
      await client.run((kit) =>
        kit.code(() => {
          kit.socket();
        }),
      ),
      '',
      'there is room again',
    );
    // Who comes now finds room for a link, or is told that there is none.
    const code = await late.run(
      (kit, to) =>
        kit.code(async () => {
          const s = kit.socket();
          kit.stp.STPsetopt(s, kit.stp.STP_CONNECT_TIMEOUT, 20_000);
          await kit.stp.STPconnect(s, { port: to });
          const duplex = kit.duplex(s, { reads: { stream: 2, at: 0 }, writes: { stream: 1, at: 0 } });
          await duplex.more(100_000);
          if (duplex.over !== '') throw new Error(duplex.over);
        }),
      port,
    );
    t.equal(code, sizeBytes >= 4 << 20 && variant === MAPPED ? '' : 'ENOSPC');
    await going('and whatever came of it, the first connection lives');
    t.equal(
      await client.run(async (kit) => {
        const { stp, fds } = kit;
        stp.STPsetsockopt(fds['s'] ?? -1, stp.SOL_SOCKET, stp.SO_LINGER, { onoff: true, linger: 0 });
        return stp.STPclose(fds['s'] ?? -1);
      }),
      0,
    );
  });
}

for (const variant of [MAPPED, DIRECT]) {
  void t.test(
    `disks of every small size: a process works there or is told ENOSPC, ${variant.title}`,
    skipOf(variant),
    async (t) => {
      const answers: string[] = [];
      for (const sizeBytes of [4096, 65_536, 300_000, 600_000, 1_200_000, 3_300_000]) {
        const directory = mountTmpfs(t, `size=${sizeBytes}`);
        const region = path.join(directory, 'region');
        const [one, two] = await Promise.all(
          ['one', 'two'].map((name) => Actor.start(t, { region, ...variant.options, name })),
        );
        const listening = await one?.run((kit) =>
          kit.code(() => {
            const { s, port } = kit.listen();
            kit.fds['port'] = port;
            void kit.stp.STPaccept(s).then(async (c) => {
              await kit.feed(c, 1, 0, (await kit.drain(c, 1)).to);
              await kit.stp.STPclose(c);
            });
          }),
        );
        const port = (await one?.run((kit) => kit.fds['port'] ?? 1)) ?? 1;
        const connecting = await two?.run(
          (kit, to) =>
            kit.code(async () => {
              const s = kit.socket();
              kit.stp.STPsetopt(s, kit.stp.STP_CONNECT_TIMEOUT, 20_000);
              await kit.stp.STPconnect(s, { port: to });
              await kit.feed(s, 1, 0, 200_000);
              kit.stp.STPshutdown(s, 1);
              const { to: at, why } = await kit.drain(s, 1);
              if (at !== 200_000 || why !== 'end') throw new Error(`${at}, ${why}`);
              await kit.stp.STPclose(s);
            }),
          port,
        );
        answers.push(`${sizeBytes}: ${listening ?? ''}/${connecting ?? ''}`);
        t.ok(listening === '' || listening === 'ENOSPC', `listen on ${sizeBytes}: ${listening ?? ''}`);
        t.ok(
          connecting === '' || connecting === 'ENOSPC' || (listening !== '' && connecting === 'ECONNREFUSED'),
          `connect on ${sizeBytes}: ${connecting ?? ''}`,
        );
        await Promise.all([one?.kill(), two?.kill()]);
      }
      t.comment(answers.join('; '));
      t.match(answers.at(-1), /: \/$/u, 'on the largest all works');
    },
  );
}
