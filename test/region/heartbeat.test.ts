/** Whose heartbeat is looked at, by which clock, and who writes our own. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import t from 'tap';
import { Region, type RegionOptions } from '../../src/region';
import { BeatOwner, BeatClock } from '../../src/region/beat-clock';
import { LeaseWatch, outageMsMax } from '../../src/region/heartbeat';
import { machine } from '../../src/region/machine';
import { OtherHostWatch } from '../../src/region/other-hosts';
import { HeartbeatSender, type HeartbeatReason } from '../../src/region/heartbeat-sender';
import { FileStorage, fileSystemOf } from '../../src/storage';
import { SimulatedDisk, SimulatedStorage } from '../../src/storage/simulated-storage';
import { openRegion, optionsFor, temporaryDirectory, until } from './kit';

const BEAT_MS = 200;
const LEASE_MS = 1000;

/** A clock with beats at 1000, 1200, ... `until`, each answered after 2 ms. */
function beating(until: number): BeatClock {
  const clock = new BeatClock(BEAT_MS);
  for (let at = 1000; at <= until; at += BEAT_MS) {
    clock.begin(at);
    clock.end(at + 2);
  }
  return clock;
}

void t.test('The clock of leases goes with real time while beats are answered', (t) => {
  const clock = beating(3000);
  t.equal(clock.beats, 11);
  t.equal(clock.ableMs(3002) - beating(1000).ableMs(1002), 2000);
  t.equal(clock.ableMs(3102) - clock.ableMs(3002), 100);
  t.equal(clock.outageMs(3102), 2);
  t.end();
});

void t.test('It stands while a beat is not answered, and does not make up for it', (t) => {
  const clock = beating(3000);
  const before = clock.ableMs(3200);
  clock.begin(3200);
  t.same([clock.ableMs(3300), clock.ableMs(23_000)], [before, before]);
  t.equal(clock.outageMs(23_000), 19_800);
  clock.end(23_200);
  t.equal(clock.ableMs(23_200) - before, BEAT_MS / 2, 'of an attempt that was held up little counts');
  t.equal(clock.outageMs(99_000), 20_000, 'and it is known that it was');
  t.end();
});

void t.test('Attempts that fail are one, until one is answered', (t) => {
  const clock = beating(3000);
  const before = clock.ableMs(3200);
  for (let at = 3200; at < 9000; at += BEAT_MS) clock.begin(at);
  t.equal(clock.ableMs(9000), before);
  clock.end(9000);
  t.equal(clock.outageMs(9100), 5800);
  t.end();
});

void t.test('It stands where nobody beats: who was stopped judges nobody by that time', (t) => {
  const clock = beating(3000);
  t.equal(clock.ableMs(60_000) - clock.ableMs(3002), 2 * BEAT_MS);
  clock.begin(60_000);
  clock.end(60_002);
  t.ok(clock.ableMs(60_002) - clock.ableMs(3002) <= 2 * BEAT_MS + 2 + 2 * BEAT_MS);
  t.equal(new BeatClock(BEAT_MS).ableMs(5000), 0);
  t.end();
});

void t.test('One at a time owns the block', (t) => {
  const clock = new BeatClock(BEAT_MS);
  const seenByOther = new BeatClock(BEAT_MS, clock.shared);
  t.ok(clock.take(BeatOwner.timer));
  t.notOk(seenByOther.take(BeatOwner.thread));
  clock.drop(BeatOwner.timer);
  t.ok(seenByOther.take(BeatOwner.thread));
  t.ok(seenByOther.take(BeatOwner.thread), 'who has it keeps it');
  t.notOk(clock.take(BeatOwner.timer));
  clock.drop(BeatOwner.timer);
  t.equal(clock.holder, BeatOwner.thread, 'only who has it lays it down');
  t.end();
});

/**
 * Two hosts on a file server that stands still from 10 s on for `stopMs`: when the one takes the other for dead, if it
 * does.
 */
function serverStops(stopMs: number, otherLives: boolean): number | undefined {
  const stops = 10_000;
  const goes = stops + stopMs;
  /** When a call that begins at `at` is answered. */
  const answered = (at: number): number => (at >= stops && at < goes ? goes : at) + 2;
  const clock = new BeatClock(BEAT_MS);
  const watch = new LeaseWatch(LEASE_MS * 0.8);
  let ours = 0;
  let look = 0;
  let verdict: number | undefined;
  for (let now = 1; now < goes + 10_000 && verdict === undefined; now += 1) {
    if (now >= ours) {
      clock.begin(now);
      // What is not answered yet is over at the end of the stop.
      if (answered(now) === now + 2) clock.end(now);
      ours = now >= stops && now < goes ? goes : now + BEAT_MS;
    }
    if (now < look) continue;
    const able = clock.ableMs(now);
    const read = answered(now);
    // Beats of the other begin at odd times; one that is held up lands when the server goes on, after our read.
    const theirs = otherLives ? Math.floor((read - 150) / BEAT_MS) * BEAT_MS : Math.min(5000, read);
    const seen = theirs > stops && theirs <= goes + 100 ? Math.floor(stops / BEAT_MS) * BEAT_MS : theirs;
    if (watch.look(seen, able) === 'dead') verdict = now;
    look = read + LEASE_MS / 10;
  }
  return verdict;
}

void t.test('A file server that stands still for twenty leases makes nobody dead', (t) => {
  for (const stopMs of [100, 900, 5000, 20_000])
    t.equal(serverStops(stopMs, true), undefined, `stopped for ${stopMs} ms`);
  const dead = serverStops(20_000, false);
  t.ok(dead !== undefined && dead < 10_000, 'who is really dead is known within the lease');
  t.equal(outageMsMax(5000), 60_000);
  t.end();
});

void t.test('A region whose storage did not answer for twelve leases is out of reach', (t) => {
  const options: RegionOptions = { directory: '/simulated', system: 'here', group: 'STG', driver: 'direct' };
  const storage = new SimulatedStorage(new SimulatedDisk({ seed: 1 }), { process: 1 });
  const region = Region.open(options, { storage, machine: machine(), limits: { leaseMs: LEASE_MS } });
  t.notOk(region.outOfReach);
  const now = Number(process.hrtime.bigint()) / 1e6;
  region.heartbeat.clock.begin(now - outageMsMax(LEASE_MS) + 5000);
  t.notOk(region.outOfReach);
  region.beat();
  t.notOk(region.outOfReach, 'an answer in time');
  region.heartbeat.clock.begin(now - outageMsMax(LEASE_MS) - 1);
  t.ok(region.outOfReach);
  t.end();
});

void t.test('To whom the directory is local, and others not, sees who comes from another host', (t) => {
  const options = optionsFor(t);
  const region = openRegion(t, options);
  t.equal(region.mayBeServed, !fileSystemOf(options.directory).inMemory);
  const storage = new FileStorage(options.directory, { driver: 'direct', local: true });
  const watch = new OtherHostWatch(storage, region.self.bootId, region.self.number - 1);
  t.equal(watch.look(), undefined, 'nobody but us');
  openRegion(t, options);
  t.equal(watch.look(), undefined, 'somebody of our own kernel');
  const untold = storage.createBlocks(`processes/${region.self.number + 2}`);
  t.equal(watch.look(), undefined, 'one that has not told of itself');
  const elsewhere = {
    machine: { ...machine(), bootId: 'another-kernel' },
    storage: new FileStorage(options.directory, { driver: 'direct', local: false }),
  };
  const other = openRegion(t, options, elsewhere);
  t.equal(watch.look(), other.self.number, 'whoever comes before has told of itself or not');
  untold?.close();
  let told = 0;
  region.onOtherHost = () => {
    told += 1;
  };
  region.lookForOtherHosts();
  region.lookForOtherHosts();
  t.equal(told, region.mayBeServed ? 1 : 0);
  t.end();
});

void t.test(
  'The thread goes on where the timer was, in the same file, and the timer where the thread was',
  async (t) => {
    const storage = new FileStorage(temporaryDirectory(t), { driver: 'direct', local: true });
    const file = storage.createBlocks('file');
    const reader = storage.openBlocks('file');
    if (file === undefined || reader === undefined) throw new Error('no file');
    const sender = new HeartbeatSender(file, 100);
    const reasons: [HeartbeatReason, string][] = [];
    sender.onReason = (reason, detail) => {
      reasons.push([reason, detail]);
    };
    sender.beat();
    sender.beat();
    sender.startThread();
    await until(() => sender.clock.holder === BeatOwner.thread && sender.clock.beats >= 4);
    const before = sender.clock.beats;
    sender.beat();
    // Held up, as by a long computation: the beats go on.
    const word = new Int32Array(new SharedArrayBuffer(4));
    while (sender.clock.beats < before + 3) Atomics.wait(word, 0, 0, 5);
    const block = reader.read(1);
    t.ok((block?.sequence ?? 0) >= before + 2, 'the file shows them');
    sender.close();
    await until(() => sender.clock.holder === BeatOwner.free);
    const last = sender.clock.beats;
    sender.beat();
    t.equal(reader.read(1)?.sequence, last + 1);
    t.same(reasons, [['BEAT_THREAD', '']]);
    file.close();
    reader.close();
  },
);

void t.test('Where the file was replaced, or no thread can be had, the timer goes on, and says why', async (t) => {
  const storage = new FileStorage(temporaryDirectory(t), { driver: 'direct', local: true });
  const file = storage.createBlocks('file');
  if (file === undefined) throw new Error('no file');
  storage.remove('file');
  storage.createBlocks('file')?.close();
  const sender = new HeartbeatSender(file, 100);
  let told = '';
  sender.onReason = (reason, detail) => {
    told = `${reason} ${detail}`;
  };
  sender.startThread();
  await until(() => told === 'NO_BEAT_THREAD ESTPCORRUPT');
  t.equal(sender.clock.beats, 1, 'it has beaten at once, before there was a thread');
  sender.beat();
  t.equal(sender.clock.beats, 2);
  file.close();
  const simulated = new SimulatedStorage(new SimulatedDisk({ seed: 1 }), { process: 1 }).createBlocks('file');
  if (simulated === undefined) throw new Error('no file');
  const other = new HeartbeatSender(simulated, 100);
  other.startThread();
  t.equal(other.reason, 'NO_BEAT_THREAD');
});

/** A program with a thread that beats: it ends by itself, and shows nothing of it. */
const PROGRAM = `
  const { FileStorage } = require(${JSON.stringify(path.join(__dirname, '../../src/storage'))});
  const { HeartbeatSender } = require(${JSON.stringify(path.join(__dirname, '../../src/region/heartbeat-sender'))});
  const file = new FileStorage(process.argv[1], { driver: 'direct', local: true }).createBlocks('file');
  const shown = () => JSON.stringify([
    process.eventNames().filter((name) => /^SIG/.test(name)),
    process.getActiveResourcesInfo().filter((name) => !/^(Timeout|CloseReq)$/.test(name)),
  ]);
  const sender = new HeartbeatSender(file, 100);
  const before = shown();
  sender.startThread();
  const timer = setInterval(() => {
    if (sender.clock.beats < 2) return;
    clearInterval(timer);
    const after = shown();
    console.log(sender.reason, before === after ? 'as before' : before + ' ' + after);
  }, 5);`;

void t.test('The thread keeps no program alive, needs no preload, listens to no signal and prints nothing', (t) => {
  const env = { ...process.env, NODE_OPTIONS: '' };
  const ends = spawnSync(process.execPath, ['-e', PROGRAM, temporaryDirectory(t)], {
    encoding: 'utf8',
    env,
    timeout: 60_000,
  });
  t.same({ status: ends.status, signal: ends.signal, stderr: ends.stderr }, { status: 0, signal: null, stderr: '' });
  t.equal(ends.stdout, 'BEAT_THREAD as before\n');
  t.end();
});
