/**
 * Connected when the request is queued: servers that are busy meanwhile, clients that end before the accept, ports that
 * several share, first contact.
 */
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { Actor, freshRegion } from './actor';
import { type Kit } from './kit';
import { DRIVERS, type Variant } from './variants';

type Test = Pick<typeof t, 'teardown'>;

/** No event loop is held up for longer, milliseconds. */
const HELD_MS_MAX = 30_000;

function start(test: Test, region: string, variant: Variant, name: string): Promise<Actor> {
  return Actor.start(test, { region, ...variant.options, name });
}

/** A listener, `fds[name]` there, shared if `port` is given; its port. */
function listen(server: Actor, name = 'listener', port = 0): Promise<number> {
  return server.run(
    (kit, as, wanted) => {
      const { stp } = kit;
      const s = kit.socket();
      stp.STPsetsockopt(s, stp.SOL_SOCKET, stp.SO_REUSEPORT, wanted > 0);
      stp.STPbind(s, { port: wanted });
      stp.STPlisten(s, 511);
      kit.fds[as] = s;
      return stp.STPgethostname(s).port;
    },
    name,
    port,
  );
}

/** Holds up the event loop of a process until what this returns is called. */
async function hold(region: string, server: Actor): Promise<() => Promise<void>> {
  const held = path.join(path.dirname(region), `held-${server.child.pid ?? 0}`);
  fs.writeFileSync(held, '');
  await server.run(
    (_, file, msMax) => {
      setTimeout(() => {
        const { rmSync, existsSync } = process.getBuiltinModule('node:fs');
        const word = new Int32Array(new SharedArrayBuffer(4));
        for (let ms = 0; existsSync(file) && ms < msMax; ms += 5) Atomics.wait(word, 0, 0, 5);
        rmSync(file, { force: true });
      }, 0);
    },
    held,
    HELD_MS_MAX,
  );
  return async () => {
    if (!fs.existsSync(held)) throw new Error('it was not held up long enough');
    fs.rmSync(held);
    await server.run(() => undefined);
  };
}

/** Connects `fds.s`; the milliseconds that it took. */
async function connectQueued(kit: Kit, port: number, linkTimeoutMs: number): Promise<number> {
  const { stp } = kit;
  const s = (kit.fds['s'] = kit.socket());
  stp.STPsetopt(s, stp.STP_CONNECT_QUEUED, true);
  stp.STPsetopt(s, stp.STP_CONNECT_LINK_TIMEOUT, linkTimeoutMs);
  const beganMs = kit.nowMs();
  await stp.STPconnect(s, { port });
  return kit.nowMs() - beganMs;
}

/** Accepts, and reads all. */
async function serveOne(kit: Kit, name = 'listener'): Promise<string> {
  const { stp } = kit;
  const c = await stp.STPaccept(kit.fds[name] ?? -1);
  const text = await kit.text(c, 1000);
  // A client that is gone can't confirm the end.
  await kit.code(() => stp.STPclose(c));
  return text;
}

for (const variant of DRIVERS) {
  void t.test(`queued, ${variant.title}`, variant.skip, async (t) => {
    const region = freshRegion(t, variant.under);
    const [server, other, client] = (await Promise.all(
      ['server', 'other', 'client'].map((name) => start(t, region, variant, name)),
    )) as [Actor, Actor, Actor];
    const port = await listen(server);

    for (const contact of ['first', 'second'] as const) {
      void t.test(
        `a server that computes is connected to and written to meanwhile, at the ${contact} contact`,
        async (t) => {
          const release = await hold(region, server);
          const tookMs = await client.run(connectQueued, port, 0);
          await client.run(async (kit) => {
            await kit.sendText(kit.fds['s'] ?? -1, 'hello');
            kit.stp.STPshutdown(kit.fds['s'] ?? -1, 1);
          });
          await release();
          t.comment(`connected after ${tookMs.toFixed(2)} ms`);
          t.equal(await server.run(serveOne, 'listener'), 'hello');
          t.equal(await client.run((kit) => kit.text(kit.fds['s'] ?? -1, 10)), '');
          await client.run((kit) => kit.stp.STPclose(kit.fds['s'] ?? -1));
        },
      );
    }

    void t.test('a client that exits or is killed before the accept has said all that it sent', async (t) => {
      for (const how of ['exit', 'SIGKILL'] as const) {
        const short = await start(t, region, variant, 'short');
        await server.run((kit, asTcp) => {
          kit.stp.STPsetopt(kit.fds['listener'] ?? -1, kit.stp.STP_DEATH_AS_TCP, asTcp);
        }, how === 'SIGKILL');
        const release = await hold(region, server);
        await short.run(connectQueued, port, 0);
        await short.run((kit) => kit.sendText(kit.fds['s'] ?? -1, 'last words'));
        if (how === 'exit')
          await short.run(() => {
            setTimeout(() => process.exit(), 10);
          });
        else await short.kill();
        await short.ended;
        await release();
        t.equal(await server.run(serveOne, 'listener'), 'last words', how);
      }
    });

    void t.test(
      'where all that share a port compute, a client is connected, and the first that has time gets what it sent',
      async (t) => {
        const shared = await listen(server, 'shared', 7300);
        await listen(other, 'shared', shared);
        const release = await Promise.all([hold(region, server), hold(region, other)]);
        const tookMs = await client.run(connectQueued, shared, 0);
        await client.run((kit) => kit.sendText(kit.fds['s'] ?? -1, 'to whom it may concern'));
        for (const free of release) await free();
        t.comment(`connected after ${tookMs.toFixed(2)} ms`);
        await client.run((kit) => {
          kit.stp.STPshutdown(kit.fds['s'] ?? -1, 1);
        });
        t.equal(
          await Promise.race([server.run(serveOne, 'shared'), other.run(serveOne, 'shared')]),
          'to whom it may concern',
        );
      },
    );

    void t.test(
      'on first contact a connect fails where the server does not have its end of the link in time, ' +
        'and is never accepted',
      async (t) => {
        const late = await start(t, region, variant, 'late');
        const alone = await start(t, region, variant, 'alone');
        const there = await listen(late);
        const release = await hold(region, late);
        const code = await alone.run(
          (kit, to) =>
            kit.code(async () => {
              const { stp } = kit;
              const s = kit.socket();
              stp.STPsetopt(s, stp.STP_CONNECT_QUEUED, true);
              stp.STPsetopt(s, stp.STP_CONNECT_LINK_TIMEOUT, 100);
              await stp.STPconnect(s, { port: to });
            }),
          there,
        );
        t.equal(code, 'ETIMEDOUT');
        await release();
        await alone.run(connectQueued, there, 10_000);
        const asked = await late.run(async (kit) => {
          const { stp } = kit;
          const c = await stp.STPaccept(kit.fds['listener'] ?? -1);
          return [c >= 0, stp.STPaccept(kit.fds['listener'] ?? -1, stp.MSG_DONTWAIT)];
        });
        t.same(asked, [true, -1], 'one request, the second');
        t.same(await alone.run((kit) => kit.stp.STPgetopt(kit.fds['s'] ?? -1, kit.stp.STP_STATE)), 'established');
      },
    );

    void t.test(
      'on first contact a server that only has no time is waited for, where that is asked for',
      { skip: process.platform === 'linux' ? false : 'only Linux tells the rights of another process' },
      async (t) => {
        const late = await start(t, region, variant, 'busy');
        const alone = await start(t, region, variant, 'patient');
        const there = await listen(late);
        const release = await hold(region, late);
        await alone.run(async (kit, to) => {
          const { stp } = kit;
          const s = (kit.fds['s'] = kit.socket());
          stp.STPsetopt(s, stp.STP_CONNECT_QUEUED, true);
          stp.STPsetopt(s, stp.STP_CONNECT_LINK_TIMEOUT, 1);
          stp.STPsetopt(s, stp.STP_CONNECT_AWAIT_BUSY, true);
          await stp.STPconnect(s, { port: to });
          await kit.sendText(s, 'no hurry');
          stp.STPshutdown(s, 1);
        }, there);
        await release();
        t.equal(await late.run(serveOne, 'listener'), 'no hurry');
      },
    );

    void t.test(
      'a watcher is told of the connection, and one that is set after the accept of what has come before',
      async (t) => {
        const told = await client.run(async (kit, to) => {
          const { stp } = kit;
          const s = (kit.fds['s'] = kit.socket());
          stp.STPsetopt(s, stp.STP_CONNECT_QUEUED, true);
          let inCall = true;
          const connected = new Promise<string>((resolve) => {
            stp.STPsetopt(s, stp.STP_WATCHER, {
              connected: (errno) => {
                resolve(`${errno} ${inCall ? 'inside the call' : 'later'}`);
              },
            });
          });
          void stp.STPconnect(s, { port: to });
          inCall = false;
          const result = await connected;
          await kit.sendText(s, 'before');
          await stp.STPclose(s);
          return result;
        }, port);
        t.equal(told, '0 later');
        const read = await server.run(async (kit) => {
          const { stp } = kit;
          const c = await stp.STPaccept(kit.fds['listener'] ?? -1);
          return new Promise((resolve) => {
            let text = '';
            stp.STPsetopt(c, stp.STP_WATCHER, {
              readable: () => {
                const bytes = Buffer.alloc(100);
                for (let n = 1; n > 0;) {
                  n = stp.STPrecv(c, bytes, 100, stp.MSG_DONTWAIT) as number;
                  if (n > 0) text += bytes.toString('latin1', 0, n);
                  if (n === 0) resolve(text);
                }
              },
            });
          });
        });
        t.equal(read, 'before');
        const code = await client.run(async (kit) => {
          const { stp } = kit;
          const { s: listener, port: own } = kit.listen();
          const s = kit.socket();
          stp.STPsetopt(s, stp.STP_CONNECT_QUEUED, true);
          await stp.STPconnect(s, { port: own });
          await stp.STPclose(listener);
          return kit.code(() => stp.STPrecv(s, Buffer.alloc(1)));
        });
        t.equal(code, 'ECONNRESET', 'a listener that closes resets those in its queue');
      },
    );
  });
}
