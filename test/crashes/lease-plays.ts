/**
 * Processes of different hosts, as they see it: a death is known within the lease, and who was only stopped learns that
 * it was taken for dead. The boot ids are not real, all else is.
 */
import fs from 'node:fs';
import { type Server } from 'node:net';
import path from 'node:path';
import { Actor, freshRegion } from '../calls/actor';
import { type Kit } from '../calls/kit';
import { diskDirectory } from '../memory-directory';
import { assert, type Teardown } from './stage';

/**
 * A process that the machine keeps waiting for longer is taken for dead: on a busy one a short lease tells of deaths
 * that are none.
 */
export const LEASE_MS = 3000;
/** For what takes several leases. */
const SHORT_LEASE_MS = 1000;
const HELD_UP_MS = 3 * SHORT_LEASE_MS;

interface HostOptions {
  /** Default: the name of the host. */
  readonly system?: string;
  readonly leaseMs?: number;
  /** Files of this folder. Default: the one that makes it a host of its own. */
  readonly preloads?: readonly string[];
}

function startOn(
  test: Teardown,
  host: string,
  region: string,
  { system = host, leaseMs = LEASE_MS, preloads = ['other-host.js'] }: HostOptions = {},
): Promise<Actor> {
  const execArgv = preloads.flatMap((name) => ['--require', path.join(__dirname, name)]);
  return Actor.start(test, {
    region,
    name: host,
    system,
    execArgv,
    env: { STP_TEST_HOST: host, STP_LEASE_MS: String(leaseMs) },
  });
}

/** `fds.listener`, which takes all that come, and answers the first byte with its name. */
function serve(kit: Kit, port: number, name: string): void {
  const { stp, fds, notes } = kit;
  fds['listener'] = kit.listen(port).s;
  const take = async (): Promise<void> => {
    for (;;) {
      const c = await stp.STPaccept(fds['listener'] ?? -1);
      fds['s'] = c;
      notes.set(
        'ended',
        kit
          .text(c, 1)
          .then(() => kit.sendText(c, name))
          .then(() => kit.code(() => stp.STPrecv(c, Buffer.alloc(1)))),
      );
    }
  };
  notes.set('over', kit.code(take));
}

const ask = async (kit: Kit, port: number, system: string): Promise<string> => {
  const s = await kit.connect(port, system);
  kit.fds['s'] = s;
  await kit.sendText(s, '?');
  return kit.text(s, 5);
};

/** Connects until somebody is there again. */
const askUntil = async (kit: Kit, port: number, system: string): Promise<string> => {
  for (;;) {
    const s = kit.socket();
    kit.stp.STPsetopt(s, kit.stp.STP_CONNECT_TIMEOUT, 2000);
    const code = await kit.code(() => kit.stp.STPconnect(s, { port, system }));
    if (code === '') {
      await kit.sendText(s, '?');
      return kit.text(s, 5);
    }
    await kit.stp.STPclose(s);
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
};

const untilReset = (kit: Kit): Promise<{ code: string; atMs: number }> =>
  kit.code(() => kit.stp.STPrecv(kit.fds['s'] ?? -1, Buffer.alloc(1))).then((code) => ({ code, atMs: kit.nowMs() }));

const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

export interface LeasePlay {
  readonly title: string;
  /** Milliseconds until the other host knew; undefined where nobody died. */
  run(test: Teardown): Promise<number | undefined>;
}

/** Connects, stops (or kills) the server, and waits until its client knows: after how many milliseconds. */
async function lose(client: Actor, server: Actor, port: number, signal: 'SIGSTOP' | 'SIGKILL'): Promise<number> {
  assert((await client.run(ask, port, server.name)) === 'alpha', 'the server answers');
  const reset = client.run(untilReset);
  const fromMs = nowMs();
  process.kill(server.child.pid ?? 0, signal);
  const { code, atMs } = await reset;
  assert(code === 'ECONNRESET', `the client got ${code}`);
  assert(atMs - fromMs > LEASE_MS / 2, `known after ${atMs - fromMs} ms, on a guess`);
  return atMs - fromMs;
}

const killed: LeasePlay = {
  title: 'the peer of a killed process of another host gets ECONNRESET when its lease is over, and its port can be had',
  async run(test) {
    const region = freshRegion(test);
    const [one, two] = await Promise.all([startOn(test, 'one', region), startOn(test, 'two', region)]);
    await two.run(serve, 4000, 'alpha');
    const afterMs = await lose(one, two, 4000, 'SIGKILL');
    const heir = await startOn(test, 'three', region, { system: 'two' });
    await heir.run(serve, 4000, 'heir!');
    assert((await one.run(ask, 4000, 'two')) === 'heir!', 'the heir answers');
    return afterMs;
  },
};

const stopped: LeasePlay = {
  title:
    'a process that was stopped for longer than the lease learns that it was taken for dead, and goes on as a new one',
  async run(test) {
    const region = freshRegion(test);
    const [one, two] = await Promise.all([startOn(test, 'one', region), startOn(test, 'two', region)]);
    await two.run(serve, 4100, 'alpha');
    const before = await two.run((kit) => kit.stp.STPgetclientid());
    const afterMs = await lose(one, two, 4100, 'SIGSTOP');
    assert(
      fs.existsSync(path.join(region, 'processes', `${before.process}.dead`)),
      'the verdict is there for everybody',
    );
    process.kill(two.child.pid ?? 0, 'SIGCONT');
    assert((await two.run((kit) => kit.notes.get('ended'))) === 'ECONNRESET', 'its connection is over');
    assert((await one.run(askUntil, 4100, 'two')) === 'alpha', 'its listener serves again');
    const after = await two.run((kit) => kit.stp.STPgetclientid());
    assert(after.process > before.process, 'under a new number');
    return afterMs;
  },
};

const replaced: LeasePlay = {
  title:
    'where somebody has taken the port meanwhile, the listener of the returned process ends, and it can be a client',
  async run(test) {
    const region = freshRegion(test);
    const [one, two] = await Promise.all([startOn(test, 'one', region), startOn(test, 'two', region)]);
    await two.run(serve, 4200, 'alpha');
    const afterMs = await lose(one, two, 4200, 'SIGSTOP');
    const heir = await startOn(test, 'three', region, { system: 'two' });
    await heir.run(serve, 4200, 'heir!');
    process.kill(two.child.pid ?? 0, 'SIGCONT');
    const over = await two.run((kit) => kit.notes.get('over'));
    assert(over === 'EADDRINUSE', `its listener ended with ${String(over)}`);
    assert((await one.run(askUntil, 4200, 'two')) === 'heir!', 'who asks gets the heir');
    assert((await two.run(ask, 4200, 'two')) === 'heir!', 'it can be a client');
    return afterMs;
  },
};

const serverReplaced: LeasePlay = {
  title:
    'where somebody has taken the port meanwhile, a net.Server of the returned process gets the error ' +
    'of a listen, and can listen at another port',
  async run(test) {
    const region = freshRegion(test);
    const execArgv = ['other-host.js', '../../lib/register.js'].flatMap((name) => [
      '--require',
      path.join(__dirname, name),
    ]);
    const env = { STP_TEST_HOST: 'two', STP_LEASE_MS: String(LEASE_MS), STP_NET: 'stp' };
    const [one, two] = await Promise.all([
      startOn(test, 'one', region),
      Actor.start(test, { region, name: 'two', system: 'two', execArgv, env }),
    ]);
    await two.run(
      (kit) =>
        new Promise((resolve) => {
          const { createServer } = process.getBuiltinModule('node:net');
          const server = createServer((socket) => {
            socket
              .on('data', () => {
                socket.write('alpha');
              })
              .on('error', () => undefined);
          });
          kit.notes.set('server', server);
          kit.notes.set(
            'failed',
            new Promise((failed) => {
              server.on('error', (error: NodeJS.ErrnoException & { address?: string; port?: number }) => {
                failed([
                  error.message,
                  error.code,
                  error.syscall,
                  error.address,
                  error.port,
                  server.listening,
                  server.address(),
                ]);
              });
            }),
          );
          server.listen(4300, '127.0.0.1', () => {
            resolve(0);
          });
        }),
    );
    const afterMs = await lose(one, two, 4300, 'SIGSTOP');
    const heir = await startOn(test, 'three', region, { system: 'two' });
    await heir.run(serve, 4300, 'heir!');
    process.kill(two.child.pid ?? 0, 'SIGCONT');
    const failed = JSON.stringify(await two.run((kit) => kit.notes.get('failed')));
    const wanted = [
      'listen EADDRINUSE: address already in use 127.0.0.1:4300',
      'EADDRINUSE',
      'listen',
      '127.0.0.1',
      4300,
      false,
      null,
    ];
    assert(failed === JSON.stringify(wanted), `the server got ${failed}`);
    await two.run(
      (kit) =>
        new Promise((resolve) => {
          (kit.notes.get('server') as Server).listen(4301, '127.0.0.1', () => {
            resolve(0);
          });
        }),
    );
    assert((await one.run(askUntil, 4301, 'two')) === 'alpha', 'it serves at another port');
    return afterMs;
  },
};

/** Connects, holds the server's event loop up for longer than the lease, and asks again: what the client gets. */
async function holdUp(test: Teardown, preloads: string[], port: number): Promise<string> {
  const region = freshRegion(test);
  const [one, two] = await Promise.all([
    startOn(test, 'one', region, { leaseMs: SHORT_LEASE_MS }),
    startOn(test, 'two', region, { leaseMs: SHORT_LEASE_MS, preloads }),
  ]);
  await two.run((kit, at) => {
    kit.fds['listener'] = kit.listen(at).s;
    kit.notes.set(
      'accepted',
      kit.stp.STPaccept(kit.fds['listener']).then((c) => {
        kit.fds['s'] = c;
      }),
    );
  }, port);
  await one.run(async (kit, at) => {
    kit.fds['s'] = await kit.connect(at, 'two');
  }, port);
  const got = one.run((kit) =>
    kit.text(kit.fds['s'] ?? -1, 4).catch((error: unknown) => (error as { code?: string }).code ?? 'no code'),
  );
  await two.run(async (kit, ms) => {
    await kit.notes.get('accepted');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    kit.notes.set(
      'sent',
      kit.code(() => kit.sendText(kit.fds['s'] ?? -1, 'here')),
    );
  }, HELD_UP_MS);
  return got;
}

const heldUp: LeasePlay = {
  title: 'a program whose event loop is held up for three leases keeps its connections',
  async run(test) {
    const got = await holdUp(test, ['other-host.js'], 4300);
    assert(got === 'here', `the client got ${got}`);
    return undefined;
  },
};

const heldUpWithoutThread: LeasePlay = {
  title: 'where no thread can be made it loses them: the timer beats, which the event loop holds up',
  async run(test) {
    const got = await holdUp(test, ['other-host.js', 'no-worker.js'], 4400);
    assert(got === 'ECONNRESET', `the client got ${got}`);
    return undefined;
  },
};

/** The one sees the directory as its own, the other by a network file system. */
const serving: LeasePlay = {
  title:
    'a process of the host that serves the directory to others beats for them too: its death is known within the lease',
  async run(test) {
    const region = freshRegion(test);
    const [one, two] = await Promise.all([
      startOn(test, 'one', region),
      startOn(test, 'two', region, { preloads: [] }),
    ]);
    await one.run(serve, 4500, 'alpha');
    assert((await two.run(ask, 4500, 'one')) === 'alpha', 'the server answers');
    const fromMs = nowMs();
    two.child.kill('SIGKILL');
    assert((await one.run((kit) => kit.notes.get('ended'))) === 'ECONNRESET', 'the server knows');
    return nowMs() - fromMs;
  },
};

/** Again when all connections between the two are over. In memory nobody looks for others, so this wants a disk. */
const called: LeasePlay = {
  title:
    'a process of the host that serves the directory to others notices that it is called from another host, each time',
  async run(test) {
    const region = freshRegion(test, diskDirectory());
    const [one, two] = await Promise.all([
      startOn(test, 'one', region),
      startOn(test, 'two', region, { preloads: [] }),
    ]);
    await two.run(serve, 4600, 'alpha');
    for (let i = 0; i < 2; i++) {
      const caller = await startOn(test, `caller-${i}`, region);
      assert((await caller.run(ask, 4600, 'two')) === 'alpha', 'the server answers');
      await caller.kill();
      assert((await two.run((kit) => kit.notes.get('ended'))) === 'ECONNRESET', 'the server knows of the death');
    }
    assert((await one.run(ask, 4600, 'two')) === 'alpha', 'the server answers who was there before it was called');
    return undefined;
  },
};

export const LEASE_PLAYS: readonly LeasePlay[] = [
  killed,
  stopped,
  replaced,
  serverReplaced,
  heldUp,
  heldUpWithoutThread,
  serving,
  called,
];
