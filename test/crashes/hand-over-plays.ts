/** Deaths during a hand-over: of the giver, of the taker, of the other end of the connection. */
import { type CrashPoint } from '../../src/crash-points';
import { connectedPair } from '../calls/connected-pair';
import { type Kit } from '../calls/kit';
import { type Play } from './plays';
import { assert, type Stage } from './stage';

type Actor = Awaited<ReturnType<Stage['victim']>>;

/** Sent before the hand-over, and to be read by whoever has the socket in the end. */
const EARLY_BYTES = 50_000;
const LATE_BYTES = 60_000;

const arm = (actor: Actor, point: CrashPoint): Promise<void> =>
  actor.run((kit, at) => {
    kit.crash.arm(at);
  }, point);

/** Connects both, sends the early bytes, offers the giver's end: its token, undefined where the giver died of it. */
async function offer(giver: Actor, mover: Actor, armed: () => Promise<void>): Promise<string | undefined> {
  await connectedPair(giver, mover);
  await mover.run((kit, bytes) => kit.feed(kit.fds['s'] ?? -1, 1, 0, bytes), EARLY_BYTES);
  // So that the bytes are there, and have to go along.
  await giver.run((kit) => kit.stp.STPrecv(kit.fds['s'] ?? -1, Buffer.alloc(1), 1, kit.stp.MSG_PEEK));
  await armed();
  try {
    return await giver.run((kit) => {
      const { stp } = kit;
      const s = kit.fds['s'] ?? -1;
      kit.notes.set(
        'taken',
        new Promise((resolve) => {
          stp.STPsetopt(s, stp.STP_WATCHER, {
            taken: resolve,
            reset: () => {
              resolve('reset');
            },
          });
        }),
      );
      return stp.STPgivesocket(s, null);
    });
  } catch {
    return undefined;
  }
}

const take = (taker: Actor, token: string): Promise<string> =>
  taker.run(
    (kit, text) =>
      kit.code(async () => {
        kit.fds['s'] = await kit.stp.STPtakesocket(text);
      }),
    token,
  );

const told = (giver: Actor): Promise<unknown> => giver.run((kit) => kit.notes.get('taken'));

/** The streams that an end reads and writes, and up to where. */
interface Swap {
  readonly reads: number;
  readonly writes: number;
  /** How much it has written before. */
  readonly writtenBytes: number;
  readonly toBytes: number;
}

/** The connection is whole: every early byte is there, and bytes go both ways. */
async function whole(holder: Actor, mover: Actor): Promise<void> {
  const swap = async (kit: Kit, { reads, writes, writtenBytes, toBytes }: Swap): Promise<string> => {
    const s = kit.fds['s'] ?? -1;
    const [read] = await Promise.all([kit.drain(s, reads, 0, toBytes), kit.feed(s, writes, writtenBytes, toBytes)]);
    await kit.stp.STPclose(s);
    return read.why;
  };
  const ends = await Promise.all([
    holder.run(swap, { reads: 1, writes: 2, writtenBytes: 0, toBytes: LATE_BYTES }),
    mover.run(swap, { reads: 2, writes: 1, writtenBytes: EARLY_BYTES, toBytes: LATE_BYTES }),
  ]);
  assert(
    ends.every((why) => why === 'enough'),
    `the connection ended: ${ends.join(', ')}`,
  );
}

/** The living end is reset; how long after `words` it learned of it. */
async function isReset(
  stage: Stage,
  actor: Actor,
  words: { atMs: number; point: CrashPoint; acknowledged: number } | undefined,
): Promise<void> {
  const { why, atMs } = await actor.run(async (kit) => {
    const s = kit.fds['s'] ?? -1;
    const read = await kit.drain(s, 2).catch((error: unknown) => ({ to: 0, why: String(error) }));
    const when = kit.nowMs();
    await kit.code(() => kit.stp.STPclose(s));
    return { why: read.why, atMs: when };
  });
  assert(why === 'ECONNRESET', `the other end ended with '${why}'`);
  if (words !== undefined) stage.noticed(words, atMs);
}

const giverPlay: Play = {
  title: 'giver',
  points: ['give.offered', 'take.freezing', 'take.state', 'take.moving', 'take.moved'],
  async run(stage, point) {
    const victim = await stage.victim();
    const token = await offer(victim, stage.peer, () => arm(victim, point));
    const taken = token === undefined ? undefined : take(stage.other, token);
    const words = await stage.died(victim, point);
    const code = taken === undefined ? 'ECONNRESET' : await taken;
    if (code === '') await whole(stage.other, stage.peer);
    else {
      assert(['ECONNRESET', 'EBADF'].includes(code), `the take failed with ${code}`);
      await isReset(stage, stage.peer, words);
    }
    assert(code !== '' || point === 'take.moved', 'the taker has what was not committed');
    await stage.check();
  },
};

const takerPlay: Play = {
  title: 'taker',
  points: ['take.asked', 'take.ready', 'take.taken'],
  async run(stage, point) {
    const victim = await stage.victim();
    const token = await offer(stage.other, stage.peer, () => Promise.resolve());
    assert(token !== undefined, 'there is a token');
    await arm(victim, point);
    void take(victim, token).catch(() => undefined);
    const words = await stage.died(victim, point);
    if (point === 'take.asked') {
      // Nobody was asked: the offer stands.
      assert((await take(stage.other, token)) === '', 'the giver can take it back');
      await whole(stage.other, stage.peer);
    } else if (point === 'take.ready') {
      assert((await told(stage.other)) === false, 'the giver has it back');
      await whole(stage.other, stage.peer);
    } else {
      assert((await told(stage.other)) === true, 'the giver knows that it was taken');
      await isReset(stage, stage.peer, words);
    }
    await stage.check();
  },
};

const moverPlay: Play = {
  title: 'other end of a hand-over',
  points: ['take.frozen', 'take.attached'],
  async run(stage, point) {
    const victim = await stage.victim();
    const token = await offer(stage.other, victim, () => arm(victim, point));
    assert(token !== undefined, 'there is a token');
    const code = take(stage.peer, token);
    await stage.died(victim, point);
    assert((await code) === 'ECONNRESET', `the take ended with '${await code}'`);
    const news = await told(stage.other);
    assert(news === (point === 'take.frozen' ? 'reset' : true), `the giver was told '${String(news)}'`);
    if (point === 'take.frozen') await stage.other.run((kit) => kit.code(() => kit.stp.STPclose(kit.fds['s'] ?? -1)));
    await stage.check();
  },
};

/** The taker dies, and then the giver while it takes its socket back. */
const thawPlay: Play = {
  title: 'giver that thaws',
  points: ['take.thawing'],
  async run(stage, point) {
    const [victim, taker] = await Promise.all([stage.victim(), stage.victim()]);
    const token = await offer(victim, stage.peer, () => arm(victim, point));
    assert(token !== undefined, 'there is a token');
    await arm(taker, 'take.ready');
    void take(taker, token).catch(() => undefined);
    const words = await stage.died(victim, point);
    await isReset(stage, stage.peer, words);
    await stage.check();
  },
};

/** The giver dies before it commits, and then the taker while it asks the other end. */
const claimPlay: Play = {
  title: 'taker that claims',
  points: ['take.claiming'],
  async run(stage, point) {
    const [victim, giver] = await Promise.all([stage.victim(), stage.victim()]);
    const token = await offer(giver, stage.peer, () => arm(giver, 'take.moving'));
    assert(token !== undefined, 'there is a token');
    await arm(victim, point);
    void take(victim, token).catch(() => undefined);
    await stage.died(victim, point);
    await isReset(stage, stage.peer, undefined);
    await stage.check();
  },
};

export const handOverPlays: readonly Play[] = [giverPlay, takerPlay, moverPlay, thawPlay, claimPlay];
