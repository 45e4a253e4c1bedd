/** What a process does with a region, cut into phases in each of which a file call may fail. */
import { type Kit } from '../calls/kit';
import { type Scene } from './scene';

/** An actor, or a thread that is a process of the region of its own. */
export interface Party {
  run<A extends unknown[], R>(step: (kit: Kit, ...args: A) => R, ...args: A): Promise<Awaited<R>>;
}

export interface Phase {
  readonly title: string;
  /** Whose calls fail. */
  readonly armed: 'client' | 'server' | 'fresh';
  /** Before anything fails. */
  prepare?(scene: Scene, fresh: Party): Promise<unknown>;
  /** With a call that fails: '' or a code of the library. */
  act(scene: Scene, fresh: Party): Promise<string>;
}

/** A connection and one exchange over it. */
async function talk(kit: Kit, port: number): Promise<string> {
  const { stp } = kit;
  return kit.code(async () => {
    const s = kit.socket();
    try {
      stp.STPsetopt(s, stp.STP_CONNECT_TIMEOUT, 8000);
      await stp.STPconnect(s, { port });
      await kit.sendText(s, 'ping');
      if ((await kit.text(s, 4)) !== 'ping') throw new Error('garbled');
    } finally {
      await stp.STPclose(s).catch(() => 0);
    }
  });
}

function listen(kit: Kit): Promise<string> {
  const { stp } = kit;
  return kit.code(async () => {
    const made: number[] = [];
    try {
      for (let i = 0; i < 3; i++) {
        const s = kit.socket();
        made.push(s);
        stp.STPbind(s, null);
        stp.STPlisten(s, 5);
      }
    } finally {
      for (const s of made) await stp.STPclose(s).catch(() => 0);
    }
  });
}

/** Listens until the region is watched for its removal, see src/calls/removal-watch.ts. */
function listenForAWhile(kit: Kit): Promise<string> {
  return kit.code(async () => {
    const s = kit.socket();
    kit.stp.STPbind(s, null);
    kit.stp.STPlisten(s, 5);
    while (!kit.faults.seen.has('watch region')) await new Promise((resolve) => setTimeout(resolve, 10));
    await kit.stp.STPclose(s);
  });
}

/** So many bytes there and back over a connection that there was before. */
async function exchange(kit: Kit): Promise<string> {
  const s = kit.fds['kept'] ?? -1;
  const sent = kit.feed(s, 1, 0, 200_000).then(
    () => '',
    (error: unknown) => String((error as { code?: string }).code),
  );
  const { to, why } = await kit.drain(s, 1, 0, 200_000);
  return why === 'enough' ? await sent : why === 'end' ? `end at ${to}` : why;
}

async function keep(kit: Kit, port: number): Promise<void> {
  if (kit.fds['kept'] !== undefined) await kit.stp.STPclose(kit.fds['kept']).catch(() => 0);
  kit.fds['kept'] = await kit.connect(port);
}

function letGo(kit: Kit): Promise<string> {
  return kit.code(async () => {
    await kit.stp.STPclose(kit.fds['kept'] ?? -1);
  });
}

async function give(kit: Kit): Promise<{ code: string; token: string }> {
  let token = '';
  const code = await kit.code(() => {
    token = kit.stp.STPgivesocket(kit.fds['kept'] ?? -1, null);
  });
  return { code, token };
}

async function take(kit: Kit, token: string): Promise<string> {
  return kit.code(async () => {
    const s = await kit.stp.STPtakesocket(token);
    await kit.sendText(s, 'ping');
    if ((await kit.text(s, 4)) !== 'ping') throw new Error('garbled');
    await kit.stp.STPclose(s);
  });
}

function open(kit: Kit): Promise<string> {
  return kit.code(() => {
    kit.socket();
  });
}

/** A connection whose link fails is reset, and its token names nothing any more. */
async function handOver(giver: Party, taker: Party): Promise<string> {
  const { code, token } = await giver.run(give);
  const taken = code === '' ? await taker.run(take, token) : code;
  return taken === 'EBADF' ? 'ECONNRESET' : taken;
}

async function leave(scene: Scene): Promise<string> {
  await scene.leave();
  return '';
}

export const PHASES: readonly Phase[] = [
  { title: 'open', armed: 'fresh', act: (_, fresh) => fresh.run(open) },
  {
    title: 'open after a death',
    armed: 'fresh',
    prepare: (scene) => scene.bringDead(),
    act: (_, fresh) => fresh.run(open),
  },
  {
    title: 'first contact',
    armed: 'fresh',
    prepare: (_, fresh) => fresh.run(open),
    act: ({ port }, fresh) => fresh.run(talk, port),
  },
  {
    title: 'first contact, at the server',
    armed: 'server',
    prepare: (_, fresh) => fresh.run(open),
    act: ({ port }, fresh) => fresh.run(talk, port),
  },
  { title: 'leave', armed: 'client', prepare: ({ port }, fresh) => fresh.run(talk, port), act: leave },
  { title: 'listen', armed: 'client', act: ({ client }) => client.run(listen) },
  {
    title: 'listen for a while',
    armed: 'fresh',
    prepare: (_, fresh) => fresh.run(open),
    act: (_, fresh) => fresh.run(listenForAWhile),
  },
  { title: 'connect', armed: 'client', act: ({ client, port }) => client.run(talk, port) },
  { title: 'accept', armed: 'server', act: ({ client, port }) => client.run(talk, port) },
  {
    title: 'data',
    armed: 'client',
    prepare: ({ client, port }) => client.run(keep, port),
    act: ({ client }) => client.run(exchange),
  },
  {
    title: 'data, at the server',
    armed: 'server',
    prepare: ({ client, port }) => client.run(keep, port),
    act: ({ client }) => client.run(exchange),
  },
  {
    title: 'close',
    armed: 'client',
    prepare: ({ client, port }) => client.run(keep, port),
    act: ({ client }) => client.run(letGo),
  },
  {
    title: 'give',
    armed: 'client',
    prepare: ({ client, port }) => client.run(keep, port),
    act: ({ client, other }) => handOver(client, other),
  },
  {
    title: 'take',
    armed: 'client',
    prepare: ({ other, port }) => other.run(keep, port),
    act: ({ client, other }) => handOver(other, client),
  },
];
