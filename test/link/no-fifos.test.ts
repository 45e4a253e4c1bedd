/**
 * Where a file system refuses FIFOs a region works without bells, by polling, whatever the error by which it refuses
 * them.
 */
import path from 'node:path';
import t from 'tap';
import { Actor, freshRegion } from '../calls/actor';
import { DIRECT, MAPPED, type Variant } from '../calls/variants';

const PRELOAD = path.join(__dirname, '../errors/fault-preload.js');
const REFUSALS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'ENXIO', 'EIO', 'EACCES'] as const;
const MESSAGE = 'bytes that came without a bell';

type Test = Pick<typeof t, 'teardown'>;

interface Refusal {
  readonly code: string;
  /** Of which FIFOs. Default: liveness FIFOs. */
  readonly kind?: string;
}

/** A process of the region; with a refusal each mkfifo of that kind fails with its code from now on. */
async function start(test: Test, region: string, variant: Variant, name: string, refusal?: Refusal): Promise<Actor> {
  const actor = await Actor.start(test, { region, ...variant.options, name, execArgv: ['--require', PRELOAD] });
  if (refusal !== undefined)
    await actor.run(
      (kit, call, errno) => {
        kit.faults.arm({ call, code: errno, times: Infinity });
      },
      `mkfifo ${refusal.kind ?? 'liveness FIFO'}`,
      refusal.code,
    );
  return actor;
}

function listen(server: Actor): Promise<number> {
  return server.run((kit) => {
    const { s, port } = kit.listen();
    kit.fds['listener'] = s;
    return port;
  });
}

/** Bytes go from the client to the server and back. */
async function echo(server: Actor, client: Actor): Promise<string> {
  const port = await listen(server);
  const served = server.run(async (kit, bytes) => {
    const s = await kit.stp.STPaccept(kit.fds['listener'] ?? -1);
    await kit.sendText(s, await kit.text(s, bytes));
  }, MESSAGE.length);
  const answer = await client.run(
    async (kit, to, message) => {
      const s = await kit.connect(to);
      await kit.sendText(s, message);
      return kit.text(s, message.length);
    },
    port,
    MESSAGE,
  );
  await served;
  return answer;
}

const hits = (actor: Actor): Promise<number> => actor.run((kit) => kit.faults.hits);

for (const [index, code] of REFUSALS.entries()) {
  const variant = index % 2 === 0 ? MAPPED : DIRECT;
  void t.test(`a file system that refuses FIFOs with ${code}, ${variant.title}`, variant.skip, async (t) => {
    const region = freshRegion(t, variant.under);
    const [server, client] = await Promise.all([
      start(t, region, variant, 'server', { code }),
      start(t, region, variant, 'client', { code }),
    ]);
    t.equal(await echo(server, client), MESSAGE);
    t.ok((await hits(server)) > 0 && (await hits(client)) > 0, 'neither of them has a liveness FIFO');
  });
}

void t.test('one process with a liveness FIFO and one without talk to each other', MAPPED.skip, async (t) => {
  const region = freshRegion(t, MAPPED.under);
  const [server, client] = await Promise.all([
    start(t, region, MAPPED, 'server', { code: 'EIO' }),
    start(t, region, MAPPED, 'client'),
  ]);
  t.equal(await echo(server, client), MESSAGE, 'the server is without');
  t.equal(await echo(client, server), MESSAGE, 'the client is without');
});

void t.test(
  'a bell that is refused where liveness FIFOs were made is told as EIO, and made when the cause is gone',
  MAPPED.skip,
  async (t) => {
    const region = freshRegion(t, MAPPED.under);
    const [server, client] = await Promise.all([
      start(t, region, MAPPED, 'server'),
      start(t, region, MAPPED, 'client', { code: 'EACCES', kind: 'bell' }),
    ]);
    await t.rejects(
      client.run(
        async (kit, to) => {
          await kit.connect(to);
        },
        await listen(server),
      ),
      { code: 'EIO' },
    );
    await client.run((kit) => kit.faults.disarm());
    t.equal(await echo(server, client), MESSAGE);
  },
);
