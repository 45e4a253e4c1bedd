/** Processes that have nothing to do, and do nothing: no processor time, no wake-ups, whatever they hold open. */
import t from 'tap';
import { Actor, freshRegion } from './actor';
import { DRIVERS, WITHOUT_KOFFI } from './variants';

const IDLE_MS = 5000;
const CPU_MAX_US = 10_000;
const WAKES_MAX = 50;
/** V8 collects garbage on several threads when a program has been idle for some seconds: that is not ours to count. */
const NO_IDLE_COLLECTION = ['--no-memory-reducer'];

t.jobs = 3;
for (const variant of [...DRIVERS, WITHOUT_KOFFI]) {
  void t.test(`idle with open connections, ${variant.title}`, variant.skip, async (t) => {
    const region = freshRegion(t, variant.under);
    const [server, client, listener] = await Promise.all(
      ['server', 'client', 'listener'].map((name) =>
        Actor.start(t, { region, ...variant.options, name, execArgv: NO_IDLE_COLLECTION }),
      ),
    );
    if (server === undefined || client === undefined || listener === undefined) throw new Error('no actors');
    await listener.run((kit) => {
      kit.listen();
    });
    const port = await server.run((kit) => {
      const { s, port: chosen } = kit.listen();
      kit.notes.set('all', []);
      kit.stp.STPsetopt(s, kit.stp.STP_WATCHER, {
        acceptable: () => {
          void kit.stp.STPaccept(s).then(async (c) => {
            (kit.notes.get('all') as number[]).push(c);
            await kit.sendText(c, await kit.text(c, 4));
            // From now on it waits.
            void kit.code(() => kit.stp.STPrecv(c, Buffer.alloc(10)));
          });
        },
      });
      return chosen;
    });
    await client.run(async (kit, to) => {
      for (let i = 0; i < 100; i++) {
        const s = await kit.connect(to);
        await kit.sendText(s, 'ping');
        await kit.text(s, 4);
        kit.fds[`s${i}`] = s;
      }
      // One of them has more for its peer than it takes.
      void kit.code(() => kit.feed(kit.fds['s0'] ?? -1, 1, 0, 1e6));
    }, port);
    const measured = await Promise.all(
      [server, client, listener].map((actor) =>
        actor.run(async (_kit, ms) => {
          // What the last bytes left to be written down late is over by then.
          await new Promise((resolve) => setTimeout(resolve, 1000));
          const before = process.resourceUsage();
          await new Promise((resolve) => setTimeout(resolve, ms));
          const after = process.resourceUsage();
          return {
            cpuUs: after.userCPUTime + after.systemCPUTime - before.userCPUTime - before.systemCPUTime,
            wakes: after.voluntaryContextSwitches - before.voluntaryContextSwitches,
          };
        }, IDLE_MS),
      ),
    );
    for (const [i, { cpuUs, wakes }] of measured.entries()) {
      const name = [server, client, listener][i]?.name ?? '';
      t.ok(cpuUs < CPU_MAX_US, `${name} used ${cpuUs} us of ${IDLE_MS} ms`);
      t.ok(wakes < WAKES_MAX, `${name} woke ${wakes} times`);
    }
    const echoed = await client.run(async (kit, to) => {
      const s = await kit.connect(to);
      await kit.sendText(s, 'pong');
      return [await kit.text(s, 4), await kit.code(() => kit.sendText(kit.fds['s5'] ?? -1, 'x'))];
    }, port);
    t.same(echoed, ['pong', ''], 'and all still works');
  });
}
