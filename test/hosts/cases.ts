/** What two hosts must be able to do with each other, whatever lies between them. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { projectRoot } from '../../scripts/project-root';
import { type Duplex } from '../calls/duplex';
import { hooked, type Host, LocalHost } from './host';
import { type HostActor } from './host-actor';
import { negativeControl } from './negative-control';
import { finishBoth, joinActors, more, type Scene, startDuplex } from './scene';
import { measureSilence, silenceText } from './silence';

const MEBIBYTE = 1 << 20;
const PORT = 3000;

export interface Case {
  readonly title: string;
  /** Left out of a quick run. */
  readonly long?: boolean;
  /** Resolves with what is worth telling. */
  run(scene: Scene): Promise<string>;
}

const mebibytes = (bytes: number): string => (bytes / MEBIBYTE).toFixed(0);

async function createTogether({ a, b, region, scale }: Scene, actors: [HostActor, HostActor]): Promise<string> {
  const rounds = Math.max(3, Math.round(20 * scale));
  for (let round = 0; round < rounds; round++) {
    const open = (actor: HostActor, host: Host): Promise<number> =>
      actor.run(
        (kit, at, system) => kit.openRegion(at, system),
        path.posix.join(host.directory, `${region}-${round}`),
        actor.name,
      );
    const [one, other] = await Promise.all([open(actors[0], a), open(actors[1], b)]);
    assert.equal(one, other, 'both are in one region');
    assert.deepEqual(await actors[0].run((kit) => kit.leaveRegion()), ['alpha', 'beta'], 'each sees the other');
    await actors[1].run((kit) => kit.leaveRegion());
  }
  return `${rounds} regions`;
}

async function unmodified(scene: Scene): Promise<string> {
  const requests = String(Math.max(100, Math.round(1000 * scene.scale)));
  const bytes = String(Math.max(MEBIBYTE, Math.round(32 * MEBIBYTE * scene.scale)));
  // The programs say localhost: the two hosts stand for one system.
  const server = scene.program(scene.a, hooked('app/server.js', String(PORT)), 'alpha');
  await server.line(/^listening/u);
  const client = scene.program(scene.b, hooked('app/client.js', String(PORT), requests, bytes), 'alpha');
  const { code } = await client.process.ended;
  assert.equal(code, 0, client.lines.join('\n'));
  return client.lines
    .slice(0, -1)
    .map((line) => line.replace(/,? sha256 \S+/u, ''))
    .join('; ');
}

async function bridged(scene: Scene): Promise<string> {
  const bytes = String(Math.max(MEBIBYTE, Math.round(32 * MEBIBYTE * scene.scale)));
  const requests = String(Math.max(10, Math.round(100 * scene.scale)));
  const program = path.join(projectRoot(), 'dist', 'test', 'hosts', 'bridged-programs.js');
  const server = scene.program(scene.a, [program, 'serve', bytes], 'alpha');
  const serving = await server.line(/^serving/u);
  const client = scene.program(scene.b, [program, 'call', 'alpha', requests], 'beta');
  const { code } = await client.process.ended;
  assert.equal(code, 0, client.lines.join('\n'));
  server.process.signal('SIGTERM');
  await server.process.ended;
  const [page, ...told] = client.lines.filter((line) => /^(page|busybox|redis)/u.test(line));
  assert.equal(page?.split(' ')[1], serving.split(' ')[1], 'the page has arrived as it is');
  return told.join('; ');
}

async function manySockets(scene: Scene): Promise<string> {
  const [a, b] = await scene.actors();
  const sockets = Math.max(200, Math.round(1000 * scene.scale));
  const port = await a.run((kit, count) => {
    const { s, port: chosen } = kit.listen(0, 4096);
    const echo = async (): Promise<void> => {
      const c = await kit.stp.STPaccept(s);
      const text = await kit.text(c, 8);
      await kit.sendText(c, text);
    };
    kit.notes.set(
      'echoes',
      (async () => {
        const all: Promise<void>[] = [];
        for (let i = 0; i < count; i++) all.push(echo());
        await Promise.all(all);
      })(),
    );
    return chosen;
  }, sockets);
  const began = performance.now();
  const right = await b.run(
    async (kit, to, count) => {
      const sockets = await Promise.all(Array.from({ length: count }, () => kit.connect(to, 'alpha')));
      const answers = await Promise.all(
        sockets.map(async (s, i) => {
          const text = `n${String(i).padStart(7, '0')}`;
          await kit.sendText(s, text);
          return (await kit.text(s, 8)) === text;
        }),
      );
      return answers.filter(Boolean).length;
    },
    port,
    sockets,
  );
  assert.equal(right, sockets);
  return `${sockets} sockets open at once, each echoed, ${Math.round(performance.now() - began)} ms`;
}

async function volume(scene: Scene): Promise<string> {
  const [a, b] = await scene.actors();
  await joinActors(a, b);
  return exchangeBoth(a, b, Math.round(256 * MEBIBYTE * scene.scale));
}

/** The machine of the test, to which the directory is a local one where it serves it itself, called by both hosts. */
async function served(scene: Scene): Promise<string> {
  const server = await scene.actor(new LocalHost('server', scene.stand.directory), { system: 'server' });
  const told: string[] = [];
  for (const host of [scene.a, scene.b]) {
    const caller = await scene.actor(host);
    const began = performance.now();
    await joinActors(server, caller);
    const connectedMs = performance.now() - began;
    told.push(
      `connected after ${connectedMs.toFixed(0)} ms, ` +
        (await exchangeBoth(server, caller, Math.round(16 * MEBIBYTE * scene.scale))),
    );
  }
  return told.join('; ');
}

async function exchangeBoth(a: HostActor, b: HostActor, bytes: number): Promise<string> {
  const began = performance.now();
  const exchange = (actor: HostActor, sends: number, receives: number): Promise<{ to: number; why: string }> =>
    actor.runWithin(
      600_000,
      async (kit, out, into, size) => {
        const s = kit.fds['s'] ?? -1;
        const [, got] = await Promise.all([kit.feed(s, out, 0, size, 262_144), kit.drain(s, into, 0, size, 262_144)]);
        return got;
      },
      sends,
      receives,
      bytes,
    );
  const results = await Promise.all([exchange(a, 1, 2), exchange(b, 2, 1)]);
  for (const result of results) assert.deepEqual(result, { to: bytes, why: 'enough' });
  const seconds = (performance.now() - began) / 1000;
  return (
    `${mebibytes(bytes)} MiB each way, every byte checked, ` + `${(bytes / 1e6 / seconds).toFixed(0)} MB/s each way`
  );
}

/** Gives the other host's end to a process of the first host, and back, while both sides send. */
async function handOver(scene: Scene): Promise<string> {
  const [[a, b], c] = await Promise.all([scene.actors(), scene.actor(scene.b, { system: 'gamma' })]);
  const owners = [a, c];
  await joinActors(a, b);
  await startDuplex(b, 2, 1);
  await startDuplex(a, 1, 2);
  const rounds = Math.max(4, Math.round(10 * scene.scale));
  for (let round = 0; round < rounds; round++) {
    const [giver, taker] = round % 2 === 0 ? [a, c] : [c, a];
    const given = await giver.run(async (kit, least) => {
      const duplex = kit.notes.get('duplex') as Duplex;
      await duplex.more(least);
      const here = duplex.stop();
      if (duplex.over !== '') throw new Error(duplex.over);
      return { token: kit.stp.STPgivesocket(kit.fds['s'] ?? -1, null), here };
    }, 100_000);
    await taker.run(
      async (kit, token, state) => {
        kit.fds['s'] = await kit.stp.STPtakesocket(token);
        kit.notes.set('duplex', kit.duplex(kit.fds['s'], state));
      },
      given.token,
      given.here,
    );
  }
  const last = owners[rounds % 2];
  assert.ok(last !== undefined);
  const bytes = await finishBoth(last, b);
  return `${rounds} hand-overs between hosts under load, ${mebibytes(bytes)} MiB, none lost or doubled`;
}

/** The code with which a transfer of `actor` ends, and how long after `act`. */
async function endAfter(actor: HostActor, act: () => void): Promise<{ why: string; ms: number }> {
  const over = actor.run((kit) => (kit.notes.get('duplex') as Duplex).ended);
  const began = performance.now();
  act();
  return { why: await over, ms: Math.round(performance.now() - began) };
}

async function killedHost(scene: Scene): Promise<string> {
  const [a, b] = await scene.actors();
  await joinActors(a, b);
  await startDuplex(b, 2, 1);
  await startDuplex(a, 1, 2);
  await more(b, 500_000);
  const { why, ms } = await endAfter(b, () => {
    a.process.signal('SIGKILL');
  });
  assert.equal(why, 'ECONNRESET');
  await a.ended;
  // What is left of it must not be in the way of who comes next.
  const again = await scene.actor(scene.a);
  await joinActors(again, b);
  await startDuplex(b, 2, 1);
  await startDuplex(again, 1, 2);
  await more(b, 100_000);
  await finishBoth(again, b);
  return `ECONNRESET after ${ms} ms (lease ${scene.stand.leaseMs} ms); a new process took its place`;
}

async function frozenHost(scene: Scene): Promise<string> {
  const [a, b] = await scene.actors();
  await joinActors(a, b);
  await startDuplex(b, 2, 1);
  await startDuplex(a, 1, 2);
  await more(b, 500_000);
  const { why, ms } = await endAfter(b, () => {
    a.process.signal('SIGSTOP');
  });
  assert.equal(why, 'ECONNRESET');
  a.process.signal('SIGCONT');
  const returned = await a.run((kit) => (kit.notes.get('duplex') as Duplex).ended);
  assert.equal(returned, 'ECONNRESET');
  return `ECONNRESET after ${ms} ms (lease ${scene.stand.leaseMs} ms); the one that came back learnt of it`;
}

const SERVER_STOP_MS = 20_000;

async function stoppedServer(scene: Scene): Promise<string> {
  const [a, b] = await scene.actors();
  await joinActors(a, b);
  await startDuplex(b, 2, 1);
  await startDuplex(a, 1, 2);
  await more(b, 500_000);
  const before = await more(b, 0);
  scene.stand.stopServer();
  await new Promise((resolve) => setTimeout(resolve, SERVER_STOP_MS));
  scene.stand.continueServer();
  const after = await more(b, 2_000_000);
  assert.equal(after.over, '');
  assert.ok(after.at > before.at);
  const bytes = await finishBoth(a, b);
  return `stopped for ${SERVER_STOP_MS / 1000} s, then it went on: ${mebibytes(bytes)} MiB, none lost`;
}

/** Of the lease of the stand: the case takes many of them. */
const SHORT_LEASE = 0.4;
/** More than the twelve leases after which a process gives its connections up. */
const OUTAGE_LEASES = 15;

/** More than what was on its way when the server stopped: then the connection goes on, bytes. */
const GOES_ON_BYTES = 8 * MEBIBYTE;

async function outage(scene: Scene): Promise<string> {
  const options = { leaseMs: scene.stand.leaseMs * SHORT_LEASE };
  const outageMs = OUTAGE_LEASES * options.leaseMs;
  const [a, b] = await Promise.all([
    scene.actor(scene.a, { ...options, system: 'alpha' }),
    scene.actor(scene.b, { ...options, system: 'beta' }),
  ]);
  await joinActors(a, b);
  await startDuplex(b, 2, 1);
  await startDuplex(a, 1, 2);
  await more(b, 500_000);
  scene.stand.stopServer();
  await new Promise((resolve) => setTimeout(resolve, outageMs));
  scene.stand.continueServer();
  const least = scene.stand.waitsInKernel ? GOES_ON_BYTES : Number.MAX_SAFE_INTEGER;
  const ends = (await Promise.all([more(a, least), more(b, least)])).map(({ over }) => over);
  const stopped = `stopped for ${outageMs / 1000} s with a lease of ${options.leaseMs / 1000} s`;
  if (scene.stand.waitsInKernel && ends.join('') === '')
    return `${stopped}: both ends waited, and ${mebibytes(await finishBoth(a, b))} MiB came through, none lost`;
  assert.deepEqual(ends, ['ECONNRESET', 'ECONNRESET']);
  await joinActors(a, b);
  await startDuplex(b, 2, 1);
  await startDuplex(a, 1, 2);
  await more(b, 100_000);
  await finishBoth(a, b);
  return `${stopped}: both ends were told, and connect again`;
}

const HELD_UP_MS = 20_000;

async function heldUp(scene: Scene): Promise<string> {
  const [a, b] = await scene.actors();
  await joinActors(a, b);
  const answered = b.run((kit) => kit.code(() => kit.text(kit.fds['s'] ?? -1, 5)));
  await a.run((kit, ms) => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    kit.notes.set('sent', kit.sendText(kit.fds['s'] ?? -1, 'still'));
  }, HELD_UP_MS);
  assert.equal(await answered, '');
  const leaseSeconds = scene.stand.leaseMs / 1000;
  return `held up for ${HELD_UP_MS / 1000} s with a lease of ${leaseSeconds} s, and the connection goes on`;
}

/** What a small message costs, and what silence costs. */
async function figures(scene: Scene): Promise<string> {
  const [a, b] = await scene.actors();
  await joinActors(a, b);
  const messages = 200;
  const echoed = a.run(async (kit, count) => {
    const s = kit.fds['s'] ?? -1;
    for (let i = 0; i < count; i++) await kit.sendText(s, await kit.text(s, 64));
  }, messages);
  const trips = await b.run(async (kit, count) => {
    const s = kit.fds['s'] ?? -1;
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      const began = kit.nowMs();
      await kit.sendText(s, 'x'.repeat(64));
      await kit.text(s, 64);
      times.push(kit.nowMs() - began);
    }
    return times.sort((one, other) => one - other);
  }, messages);
  await echoed;
  const silence = await measureSilence([a, b]);
  return (
    `64 bytes and back: median ${(trips[messages / 2] ?? 0).toFixed(2)} ms, ` +
    `p99 ${(trips[Math.floor(messages * 0.99)] ?? 0).toFixed(2)} ms; idle: ${silenceText(silence)}`
  );
}

/** What the doctor measures between the two hosts. */
async function doctor(scene: Scene): Promise<string> {
  const command = path.join(projectRoot(), 'dist', 'lib', 'cli.js');
  const joined = scene.program(scene.b, [command, 'doctor', scene.b.directory, '--join'], 'beta');
  const measuring = scene.program(scene.a, [command, 'doctor', scene.a.directory, '--peer'], 'alpha');
  const [{ code }, { code: other }] = await Promise.all([measuring.process.ended, joined.process.ended]);
  assert.deepEqual([code, other], [0, 0], [...measuring.lines, ...joined.lines].join('\n'));
  const told = measuring.lines.join('; ');
  assert.match(told, /driver +direct/u);
  assert.match(told, /with a page cache of its own/u);
  const mapped = scene.stand.pageCache ? 'nothing' : 'not to be tried';
  assert.match(told, new RegExp(`mapping +of their stores we see: ${mapped}; of ours they see: ${mapped}`, 'u'));
  assert.match(told, /from there +[1-9]\d* MB\/s/u);
  assert.match(told, /locks +0 of \d+ updates lost/u);
  assert.match(told, /creating +0 of \d+ files/u);
  return measuring.lines
    .filter((line) => /^(visible|from there|torn|throughput|block|mapping|locks|creating|renaming)/u.test(line))
    .join('; ')
    .replace(/ +/gu, ' ');
}

export const CASES: readonly Case[] = [
  {
    title: 'two hosts that create a region at the same moment are in one',
    run: async (scene) => createTogether(scene, await scene.actors()),
  },
  { title: 'http, fetch, uploads and WebSockets of unmodified programs', run: unmodified },
  { title: 'programs that are not Node, by a bridge on each host', run: bridged },
  { title: 'many sockets at once between two hosts', run: manySockets },
  { title: 'bulk in both directions at once', run: volume },
  // NFS-Ganesha shows names that are made beside it after a minute.
  { title: 'a process on the machine that serves the directory is called by both hosts', long: true, run: served },
  { title: 'a live connection moves between hosts', run: handOver },
  { title: 'kill -9 of one host in mid-transfer', run: killedHost },
  { title: 'one host stands still past the lease', run: frozenHost },
  { title: 'the file server stands still for 20 s', long: true, run: stoppedServer },
  { title: 'the file server stands still for fifteen leases', long: true, run: outage },
  { title: 'the event loop of one host is held up for 20 s', long: true, run: heldUp },
  { title: 'figures of small messages and of silence', long: true, run: figures },
  { title: 'stp doctor from both sides', run: doctor },
  { title: 'negative control', run: negativeControl },
];
