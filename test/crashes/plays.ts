/** What processes do when one of them dies at a crash point, and what must be true of the others then. */
import { CRASH_POINTS, type CrashPoint } from '../../src/crash-points';
import { type Kit } from '../calls/kit';
import { handOverPlays } from './hand-over-plays';
import { queuedClientPlay, queuedServerPlay, queuedSharingPlay } from './queued-plays';
import { founderPlay, mournerPlay, newcomerPlay, recoveryPlay } from './region-plays';
import { sharingClientPlay, sharingServerPlay } from './sharing-plays';
import { assert, type Ending, type Stage } from './stage';

export interface Play {
  readonly title: string;
  readonly points: readonly CrashPoint[];
  /** How often a point is passed before it kills: each is walked. */
  readonly spares?: readonly number[];
  run(stage: Stage, point: CrashPoint, spare: number): Promise<void>;
}

/** Several windows, so that credit comes and goes. */
const STREAM_BYTES = 2_000_000;

const BEFORE_CONNECTION: readonly CrashPoint[] = [
  'slot.growing',
  'slot.grown',
  'claim.published',
  'claim.looked',
  'claim.held',
  'bind.listening',
  'bind.freed',
  'link.bells',
  'link.bell-open',
  'link.log-empty',
  'link.log-reserved',
  'link.log',
];

/** A client that does all that a client can do, and leaves in good order. */
const clientPlay: Play = {
  title: 'client',
  points: [
    ...BEFORE_CONNECTION,
    'link.notified',
    'link.opened',
    'link.joined',
    'link.detached',
    'slot.published',
    'connect.asked',
    'connect.published',
    'connect.accepted',
    'fin.sent',
    'fin.received',
    'fin.acknowledged',
    'close.begun',
    'close.released',
    'leave.told',
    'leave.published',
    'leave.left',
    'leave.file',
    'leave.liveness-fifo',
  ],
  run: playClient,
};

/** The same client, with bytes under way. */
const trafficPlay: Play = {
  title: 'client, bytes under way',
  points: [
    'data.appended',
    'publish.begun',
    'publish.done',
    'publish.rung',
    'data.delivered',
    'data.consumed',
    'data.told',
    'credit.given',
    'credit.taken',
  ],
  spares: [0, 2],
  run: playClient,
};

/** What the victim is told: where it dies, after passing there so often, and which process it talks to. */
interface ClientOrders {
  readonly point: CrashPoint;
  readonly spare: number;
  readonly echoPort: number;
  readonly sinkPort: number;
  readonly bytes: number;
}

async function playClient(stage: Stage, point: CrashPoint, spare: number): Promise<void> {
  const victim = await stage.victim();
  const playing = victim
    .run(
      async (kit, orders: ClientOrders) => {
        const { stp, crash } = kit;
        const { echoPort, sinkPort, bytes } = orders;
        crash.arm(orders.point, orders.spare);
        await stp.STPclose(kit.listen().s);
        const s = await kit.connect(echoPort);
        const reading = kit.drain(s, 1);
        for (let sent = 0; sent < bytes; sent += 50_000) {
          await stp.STPsend(s, kit.pattern(1, sent, 50_000));
          crash.acknowledged = sent + 50_000;
        }
        for (let i = 0; i < 4; i++) {
          // The peer falls asleep, and has to be rung.
          await new Promise((resolve) => {
            setTimeout(resolve, 10);
          });
          await stp.STPsend(s, kit.pattern(1, bytes + i, 1));
          crash.acknowledged = bytes + i + 1;
        }
        stp.STPshutdown(s, 1);
        await reading;
        await stp.STPclose(s);
        const brief = await kit.connect(sinkPort);
        await stp.STPsend(brief, kit.pattern(1, 0, 10));
        await stp.STPclose(brief);
        const last = await kit.connect(sinkPort);
        await stp.STPsend(last, kit.pattern(1, 0, 20));
        process.exit(0);
      },
      { point, spare, echoPort: stage.echoPort, sinkPort: stage.sinkPort, bytes: STREAM_BYTES },
    )
    .catch(() => undefined);
  const words = await stage.died(victim, point);
  await playing;
  if (words.acknowledged === 0) {
    // The server may not have seen a connection at all.
    await stage.check();
    for (const ending of await stage.endings()) checkFirst(stage, words, ending, point);
    return;
  }
  checkFirst(stage, words, await stage.ending(), point);
  await stage.check();
  for (const { to, why } of await stage.endings()) {
    assert(why === 'end' || why === 'ECONNRESET', `a later connection ended with ${why}`);
    assert(to === 10 || to === 20 || to === 0, `a later connection ended after ${to} bytes`);
  }
}

/**
 * The connection over which the client's stream went: no acknowledged byte is lost, and it ends as the death of the
 * client asks.
 */
function checkFirst(
  stage: Stage,
  words: { atMs: number; acknowledged: number },
  { to, why, atMs }: Ending,
  point: CrashPoint,
): void {
  assert(to >= words.acknowledged, `${words.acknowledged} bytes were acknowledged, ${to} came`);
  assert(to <= STREAM_BYTES + 4, `${to} bytes came`);
  const afterFin =
    ['fin.received', 'fin.acknowledged', 'close.begun', 'close.released'].includes(point) || point.startsWith('leave.');
  assert(why === 'ECONNRESET' || (afterFin && why === 'end'), `it ended with ${why}`);
  if (why === 'ECONNRESET') stage.noticed({ point, ...words }, atMs);
}

/** A server with a client that sends and wants everything back. */
const serverPlay: Play = {
  title: 'server',
  points: [
    'accept.queued',
    'accept.begun',
    'accept.answered',
    'link.bells',
    'link.bell-open',
    'link.log-empty',
    'link.log-reserved',
    'link.log',
    'link.opened',
    'link.joined',
    'link.detached',
    'data.delivered',
    'data.appended',
    'publish.begun',
    'publish.done',
    'fin.received',
    'reset.told',
  ],
  async run(stage, point) {
    const victim = await stage.victim();
    const port = await victim.run(serveVictim);
    await victim.run((kit, at) => {
      kit.crash.arm(at);
    }, point);
    const client = stage.other.run(async (kit, to) => {
      const { stp } = kit;
      const s = kit.socket();
      const connected = await kit.code(() => stp.STPconnect(s, { port: to }));
      const read = connected === '' ? await exchange() : { to: 0, why: connected };
      const atMs = kit.nowMs();
      await kit.code(() => stp.STPclose(s));
      return { ...read, atMs };

      async function exchange(): Promise<{ to: number; why: string }> {
        const reading = kit.drain(s, 1, 0, 100_000);
        await kit.code(() => kit.feed(s, 1, 0, 100_000, 10_000));
        const got = await reading;
        // Bytes come back that nobody reads: closing with those is a reset.
        await kit.code(() => kit.feed(s, 1, 100_000, 100_010));
        if (got.why === 'enough')
          await new Promise((resolve) => {
            setTimeout(resolve, 5);
          });
        if (got.why === 'enough') stp.STPsetsockopt(s, stp.SOL_SOCKET, stp.SO_LINGER, { onoff: true, linger: 0 });
        return got;
      }
    }, port);
    const onlyFin = point === 'fin.received';
    if (onlyFin)
      await stage.other
        .run(async (kit, to) => {
          await kit.stp.STPclose(await kit.connect(to));
        }, port)
        .catch(() => undefined);
    const words = await stage.died(victim, point);
    const { to, why, atMs } = await client;
    assert(to >= Math.min(words.acknowledged, 100_000), `${words.acknowledged} bytes were acknowledged, ${to} came`);
    if (point !== 'reset.told' && !onlyFin) {
      assert(['ECONNRESET', 'ECONNREFUSED'].includes(why), `the client ended with '${why}'`);
      stage.noticed(words, atMs);
    }
    await stage.check();
    await stage.other.run(async (kit, to) => {
      await kit.stp.STPclose(kit.listen(to).s);
    }, port);
  },
};

/** In a victim: a listener that sends back what it gets. */
function serveVictim(kit: Kit): number {
  const { stp, crash } = kit;
  const { s, port } = kit.listen();
  const serve = async (c: number): Promise<void> => {
    const into = Buffer.alloc(65_536);
    for (let n = await stp.STPrecv(c, into); n > 0; n = await stp.STPrecv(c, into)) {
      await stp.STPsend(c, into, n);
      crash.acknowledged += n;
    }
    await stp.STPclose(c);
  };
  const accept = (): void => {
    for (let c = stp.STPaccept(s, stp.MSG_DONTWAIT) as number; c >= 0; c = stp.STPaccept(s, stp.MSG_DONTWAIT) as number)
      serve(c).catch(() => undefined);
  };
  stp.STPsetopt(s, stp.STP_WATCHER, { acceptable: accept });
  return port;
}

/** A client that gives up before it was accepted. */
const cancelPlay: Play = {
  title: 'client that gives up',
  points: ['connect.cancelled'],
  async run(stage, point) {
    const victim = await stage.victim();
    const playing = victim
      .run(
        async (kit, at, port) => {
          kit.crash.arm(at);
          const s = kit.socket();
          kit.stp.STPsetopt(s, kit.stp.STP_CONNECT_TIMEOUT, 30);
          await kit.code(() => kit.stp.STPconnect(s, { port }));
          process.exit(0);
        },
        point,
        stage.deafPort,
      )
      .catch(() => undefined);
    await stage.died(victim, point);
    await playing;
    await stage.check();
  },
};

export const PLAYS: readonly Play[] = [
  newcomerPlay,
  founderPlay,
  clientPlay,
  trafficPlay,
  serverPlay,
  cancelPlay,
  sharingClientPlay,
  sharingServerPlay,
  queuedClientPlay,
  queuedSharingPlay,
  queuedServerPlay,
  ...handOverPlays,
  mournerPlay,
  recoveryPlay,
];

/** Points that no play comes to: a table that is not walked tells nothing. */
export function unwalked(): CrashPoint[] {
  const walked = new Set(PLAYS.flatMap(({ points }) => points));
  return (Object.keys(CRASH_POINTS) as CrashPoint[]).filter((point) => !walked.has(point));
}
