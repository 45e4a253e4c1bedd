/** Threads: each is a process of the region, and takes nothing of another's with it when it ends. */
import t from 'tap';
import { Actor, type ActorOptions, freshRegion } from './actor';
import { MAPPED, WITHOUT_KOFFI } from './variants';

type Test = Pick<typeof t, 'teardown'>;
type Options = Partial<ActorOptions>;

const start = (test: Test, region: string, options: Options): Promise<Actor> =>
  Actor.start(test, { region, ...options });

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
