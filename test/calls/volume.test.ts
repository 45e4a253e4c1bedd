/** Much of everything: half a gigabyte, a thousand sockets, a reader that stops. Memory must not follow. */
import t from 'tap';
import { DEFAULT_WINDOW_BYTES as WINDOW_BYTES } from '../../src/engine';
import { Actor, freshRegion } from './actor';
import { type Duplex } from './duplex';
import { DIRECT, MAPPED, type Variant } from './variants';

const GROWTH_MAX_BYTES = 200e6;
const SOCKETS = 1000;

type Test = Pick<typeof t, 'teardown'>;

/** Server and client, both of which note the most memory they had. */
async function two(test: Test, variant: Variant): Promise<{ server: Actor; client: Actor; port: number }> {
  const region = freshRegion(test, variant.under);
  const [server, client] = await Promise.all([
    Actor.start(test, { region, ...variant.options, name: 'server' }),
    Actor.start(test, { region, ...variant.options, name: 'client' }),
  ]);
  const port = await server.run((kit) => {
    const { s, port: chosen } = kit.listen();
    kit.fds['listener'] = s;
    return chosen;
  });
  for (const actor of [server, client]) {
    await actor.run((kit) => {
      kit.pattern(0, 0, 1);
      const base = process.memoryUsage.rss();
      kit.notes.set('most', base);
      setInterval(() => {
        kit.notes.set('most', Math.max(kit.notes.get('most') as number, process.memoryUsage.rss()));
      }, 5).unref();
      kit.notes.set('base', base);
    });
  }
  return { server, client, port };
}

function growth(actor: Actor): Promise<number> {
  return actor.run((kit) => (kit.notes.get('most') as number) - (kit.notes.get('base') as number));
}

/**
 * The shim's test sends a whole GiB, and a MiB by each of a thousand sockets, through the same calls. Plain files are
 * slower, and differ in nothing that more bytes would show.
 */
const AMOUNTS = [
  { variant: MAPPED, streamBytes: 2 ** 29, socketBytes: 2 ** 18 },
  { variant: DIRECT, streamBytes: 2 ** 28, socketBytes: 2 ** 17 },
] as const;

for (const { variant, streamBytes, socketBytes } of AMOUNTS) {
  void t.test(`volume, ${variant.title}`, variant.skip, async (t) => {
    const { server, client, port } = await two(t, variant);

    void t.test(`${streamBytes / 2 ** 20} MiB go through one socket`, async (t) => {
      const total = streamBytes;
      const drained = server.run(async (kit) => {
        const s = await kit.stp.STPaccept(kit.fds['listener'] ?? -1);
        const result = await kit.drain(s, 1, 0, Infinity, 262_144);
        await kit.stp.STPclose(s);
        return result;
      });
      const began = performance.now();
      await client.run(
        async (kit, to, bytes) => {
          const s = await kit.connect(to);
          await kit.feed(s, 1, 0, bytes);
          await kit.stp.STPclose(s);
        },
        port,
        total,
      );
      t.same(await drained, { to: total, why: 'end' });
      t.comment(`${(total / (performance.now() - began) / 1e6).toFixed(2)} GB/s`);
    });

    void t.test(`a thousand sockets at once carry ${socketBytes / 2 ** 10} KiB each, in both directions`, async (t) => {
      const total = socketBytes;
      const serving = server.run(
        async (kit, count, bytes) => {
          const { stp } = kit;
          const wrong: string[] = [];
          const serve = async (s: number): Promise<void> => {
            // Which one it is, the client tells by the port it comes from.
            const stream = stp.STPgetpeername(s).port;
            const fed = kit.feed(s, stream + 1, 0, bytes, 20_011).then(() => stp.STPshutdown(s, 1));
            const { to, why } = await kit.drain(s, stream);
            if (to !== bytes || why !== 'end') wrong.push(`${stream}: ${to}, ${why}`);
            await fed;
            await stp.STPclose(s);
          };
          const all: Promise<void>[] = [];
          for (let i = 0; i < count; i++) all.push(serve(await stp.STPaccept(kit.fds['listener'] ?? -1)));
          await Promise.all(all);
          return wrong;
        },
        SOCKETS,
        total,
      );
      const wrong = await client.run(
        async (kit, to, count, bytes) => {
          const { stp } = kit;
          const bad: string[] = [];
          const sockets = await Promise.all(Array.from({ length: count }, () => kit.connect(to)));
          await Promise.all(
            sockets.map(async (s) => {
              const stream = stp.STPgethostname(s).port;
              const fed = kit.feed(s, stream, 0, bytes, 30_011).then(() => stp.STPshutdown(s, 1));
              const { to: at, why } = await kit.drain(s, stream + 1);
              if (at !== bytes || why !== 'end') bad.push(`${stream}: ${at}, ${why}`);
              await fed;
              await stp.STPclose(s);
            }),
          );
          return bad;
        },
        port,
        SOCKETS,
        total,
      );
      t.same([await serving, wrong], [[], []]);
    });

    void t.test('a reader that stops for a while stalls its writer, and others go on', async (t) => {
      const served = server.run(async (kit) => {
        const { stp } = kit;
        const stalled = await stp.STPaccept(kit.fds['listener'] ?? -1);
        const busy = await stp.STPaccept(kit.fds['listener'] ?? -1);
        kit.fds['stalled'] = stalled;
        kit.notes.set('busy', kit.duplex(busy, { reads: { stream: 3, at: 0 }, writes: { stream: 4, at: 0 } }));
      });
      await client.run(async (kit, to) => {
        const { stp } = kit;
        const stalled = await kit.connect(to);
        const busy = await kit.connect(to);
        kit.notes.set('busy', kit.duplex(busy, { reads: { stream: 4, at: 0 }, writes: { stream: 3, at: 0 } }));
        let sent = 0;
        kit.notes.set('sent', () => sent);
        const send = (): void => {
          for (let n = 1; n > 0;) {
            n = stp.STPsend(stalled, kit.pattern(9, sent, 50_000), undefined, stp.MSG_DONTWAIT) as number;
            if (n > 0) sent += n;
          }
        };
        stp.STPsetopt(stalled, stp.STP_WATCHER, { writable: send });
        kit.notes.set('last', () => {
          stp.STPsetopt(stalled, stp.STP_WATCHER, null);
          stp.STPshutdown(stalled, 1);
          return sent;
        });
        send();
      }, port);
      await served;
      const sent = (): Promise<number> => client.run((kit) => (kit.notes.get('sent') as () => number)());
      while ((await sent()) < WINDOW_BYTES)
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
      const [before, first] = [await sent(), await client.run((kit) => (kit.notes.get('busy') as Duplex).reads.at)];
      await new Promise((resolve) => setTimeout(resolve, 1500));
      const after = await sent();
      t.equal(after, before, 'nothing was taken meanwhile');
      t.ok(after <= WINDOW_BYTES + 50_000, `no more than its window was: ${after}`);
      const moved = (await client.run((kit) => (kit.notes.get('busy') as Duplex).reads.at)) - first;
      t.ok(moved > 10e6, `another socket of the same link went on: ${moved} bytes`);
      await server.run((kit) => {
        void kit.drain(kit.fds['stalled'] ?? -1, 9, 0, 1e6).then((result) => kit.notes.set('again', result));
      });
      await client.run(async (kit) => {
        // It goes on by itself when there is room again.
        while ((kit.notes.get('sent') as () => number)() < 1e6)
          await new Promise((resolve) => {
            setImmediate(resolve);
          });
      });
      const total = await client.run((kit) => (kit.notes.get('last') as () => number)());
      const rest = await server.run(async (kit) => {
        while (kit.notes.get('again') === undefined)
          await new Promise((resolve) => {
            setImmediate(resolve);
          });
        return kit.drain(kit.fds['stalled'] ?? -1, 9, 1e6);
      });
      t.same(rest, { to: total, why: 'end' });
      const ends = await Promise.all(
        [client, server].map((actor) => actor.run((kit) => (kit.notes.get('busy') as Duplex).finish())),
      );
      t.same(ends, ['end', 'end']);
    });

    void t.test('memory did not follow', async (t) => {
      for (const actor of [server, client]) {
        const grown = await growth(actor);
        t.ok(grown < GROWTH_MAX_BYTES, `${actor.name}: ${(grown / 1e6).toFixed(0)} MB at most`);
      }
    });
  });
}
