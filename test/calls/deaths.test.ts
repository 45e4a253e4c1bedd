/**
 * The end of a process, however it ends, is to its peers what TCP would show: compared with a TCP connection of the
 * same two.
 */
import type * as Net from 'node:net';
import os from 'node:os';
import t from 'tap';
import { Actor, freshRegion } from './actor';
import { type Kit } from './kit';
import { DRIVERS, MAPPED } from './variants';

const HOWS = ['SIGINT', 'SIGTERM', 'SIGKILL', 'exit', 'terminate'] as const;
/** Others that run here may have both processors meanwhile. */
const SETTLE_MS = 100;

interface Ports {
  readonly stp: number;
  readonly tcp: number;
}

interface Outcome {
  readonly stp: string;
  readonly tcp: string;
  readonly send: string;
  readonly error: number;
}

/** Accepts one connection of each kind, and sends on both. */
function serve(kit: Kit): Promise<Ports> {
  const { stp } = kit;
  const { s, port } = kit.listen();
  stp.STPsetopt(s, stp.STP_DEATH_AS_TCP, true);
  const sent = ['sentByStp', 'sentByTcp'].map(
    (name) =>
      new Promise<void>((settle) => {
        kit.notes.set(name, settle);
      }),
  );
  kit.notes.set('sent', Promise.all(sent));
  kit.notes.set(
    'stp',
    stp.STPaccept(s).then(async (c) => {
      kit.fds['c'] = c;
      await kit.sendText(c, 'for you');
      (kit.notes.get('sentByStp') as () => void)();
      await stp.STPclose(s);
      const { to, why } = await kit.drain(c, 1);
      return to === 0 ? why : 'bytes';
    }),
  );
  const net = process.getBuiltinModule('node:net');
  return new Promise((resolve) => {
    const server = net.createServer((socket: Net.Socket) => {
      server.close();
      kit.notes.set(
        'tcp',
        new Promise((settle) => {
          socket
            .on('error', (error: NodeJS.ErrnoException) => {
              settle(error.code);
            })
            .on('end', () => {
              settle('end');
            })
            .resume();
        }),
      );
      socket.write('for you', kit.notes.get('sentByTcp') as () => void);
    });
    server.listen(0, '127.0.0.1', () => {
      resolve({ stp: port, tcp: (server.address() as Net.AddressInfo).port });
    });
  });
}

/** Connects in both ways, and reads what comes, or does not. */
async function visit(kit: Kit, ports: Ports, reads: boolean): Promise<void> {
  const s = await kit.connect(ports.stp);
  const net = process.getBuiltinModule('node:net');
  await new Promise<void>((resolve) => {
    const socket = net.connect(ports.tcp, '127.0.0.1');
    // Before it is connected: else Node reads ahead.
    if (!reads)
      socket.pause().on('connect', () => {
        resolve();
      });
    else
      socket.once('data', () => {
        resolve();
      });
  });
  if (reads) await kit.text(s, 7);
}

async function outcome(kit: Kit): Promise<Outcome> {
  const { stp } = kit;
  const [byStp, byTcp] = (await Promise.all([kit.notes.get('stp'), kit.notes.get('tcp')])) as [string, string];
  const c = kit.fds['c'] ?? -1;
  const send = await kit.code(() => stp.STPsend(c, Buffer.from('x')));
  const error = stp.STPgetsockopt(c, stp.SOL_SOCKET, stp.SO_ERROR) as number;
  await stp.STPclose(c);
  return { stp: byStp, tcp: byTcp, send, error };
}

for (const variant of DRIVERS) {
  void t.test(`deaths, ${variant.title}`, variant.skip, async (t) => {
    const region = freshRegion(t, variant.under);
    const survivor = await Actor.start(t, { region, ...variant.options, name: 'survivor' });
    for (const how of HOWS) {
      for (const reads of [true, false]) {
        void t.test(`${how} of a process that ${reads ? 'has read all' : 'has bytes unread'}`, async (t) => {
          const victim = await Actor.start(t, { region, ...variant.options, name: 'victim' });
          const ports = await survivor.run(serve);
          if (how === 'terminate') {
            await victim.run(
              async (kit, act, to, all) => {
                const thread = kit.thread();
                kit.notes.set('thread', thread);
                // eslint-disable-next-line @typescript-eslint/no-implied-eval -- a step is sent as source.
                const step = new Function(`return (${act});`) as () => typeof visit;
                await thread.run(step(), to, all);
              },
              visit.toString(),
              ports,
              reads,
            );
          } else await victim.run(visit, ports, reads);
          await survivor.run(async (kit) => {
            await kit.notes.get('sent');
          });
          await new Promise((resolve) => {
            setTimeout(resolve, SETTLE_MS);
          });
          if (how === 'terminate')
            await victim.run((kit) => (kit.notes.get('thread') as ReturnType<Kit['thread']>).terminate());
          else if (how === 'exit')
            await victim.run(() => {
              setTimeout(() => process.exit(), 1);
            });
          else victim.child.kill(how);
          const end = await survivor.run(outcome);
          t.equal(end.stp, end.tcp, 'as TCP');
          t.equal(end.stp, reads ? 'end' : 'ECONNRESET');
          t.match(end.send, reads && how !== 'exit' ? 'EPIPE' : /EPIPE|ECONNRESET|^$/u);
          if (how !== 'exit') t.equal(end.error, os.constants.errno.ECONNRESET, 'and who wants to know is told');
          await victim.kill();
        });
      }
    }
  });
}

void t.test('a thread that is terminated is seen to end in its own process, soon', MAPPED.skip, async (t) => {
  const actor = await Actor.start(t, { region: freshRegion(t, MAPPED.under), ...MAPPED.options, name: 'actor' });
  const result = await actor.run(async (kit) => {
    const { stp } = kit;
    const { s: listener, port } = kit.listen();
    stp.STPsetopt(listener, stp.STP_DEATH_AS_TCP, true);
    const thread = kit.thread();
    const connected = thread.run(async (k, to) => {
      k.fds['s'] = await k.connect(to);
    }, port);
    const c = await stp.STPaccept(listener);
    await connected;
    const ended = stp.STPrecv(c, Buffer.alloc(1));
    const beganMs = kit.nowMs();
    await thread.terminate();
    return { read: await ended, tookMs: kit.nowMs() - beganMs };
  });
  t.comment(`within ${result.tookMs.toFixed(1)} ms`);
  t.equal(result.read, 0);
});
