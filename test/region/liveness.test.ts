import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { type Liveness, Region, type RegionOptions } from '../../src/region';
import { LeaseWatch } from '../../src/region/heartbeat';
import { agreedBootId, type Machine, machine } from '../../src/region/machine';
import { SimulatedDisk, SimulatedStorage } from '../../src/storage/simulated-storage';
import { needsUnshare, openRegion, optionsFor, RegionChild, until } from './kit';

const onLinux = process.platform === 'linux' ? false : 'needs /proc';
const OPTIONS: RegionOptions = { directory: '/simulated', system: 'here', group: 'STG', driver: 'direct' };

function lookAt(region: Region, number: number): Liveness | undefined {
  const info = region.process(number);
  return info === undefined ? undefined : region.isAlive(info);
}

void t.test('A killed process is dead at once, one that left is dead, and we are alive', async (t) => {
  const options = optionsFor(t);
  const region = openRegion(t, options);
  const [killed, leaving] = await RegionChild.start(t, 2);
  await killed?.call('open', options);
  await leaving?.call('open', options);
  const second = region.process(2);
  const third = region.process(3);
  if (second === undefined || third === undefined) throw new Error('not seen');
  t.same([region.isAlive(second), region.isAlive(third), region.isAlive(region.self)], ['alive', 'alive', 'alive']);
  await killed?.kill();
  await leaving?.call('close');
  t.same([region.isAlive(second), region.isAlive(third)], ['dead', 'dead']);
  t.same([region.isAlive(second), region.isAlive(third)], ['dead', 'dead'], 'and stay so');
  t.equal(region.process(2), undefined);
  t.equal(region.isAlive({ ...region.self, epoch: 1 }), 'dead', 'another life of our number is not ours');
});

void t.test('A stopped process is alive', async (t) => {
  const options = optionsFor(t);
  const region = openRegion(t, options);
  const child = await RegionChild.one(t);
  await child.call('open', options);
  process.kill(child.pid, 'SIGSTOP');
  t.equal(lookAt(region, 2), 'alive');
});

void t.test('A worker thread that was terminated is dead, though its process lives', async (t) => {
  const options = optionsFor(t);
  const region = openRegion(t, options);
  const worker = new Worker(path.join(__dirname, 'region-worker.js'), { workerData: options });
  const [number] = (await once(worker, 'message')) as [number];
  const info = region.process(number);
  t.match(info, { pid: process.pid, threadId: worker.threadId });
  t.equal(lookAt(region, number), 'alive');
  await worker.terminate();
  // Node closes what a thread held open when it cleans up after it, which may be a moment later.
  await until(() => info !== undefined && region.isAlive(info) === 'dead');
});

void t.test(
  'Life and death are seen across pid namespaces, both ways',
  { skip: needsUnshare('--pid', '--mount-proc', '--fork') },
  async (t) => {
    const options = optionsFor(t);
    const region = openRegion(t, options);
    const child = await RegionChild.one(t, ['unshare', '--pid', '--mount-proc', '--fork', '--kill-child']);
    await child.call('open', options);
    const info = region.process(2);
    t.equal(info?.pid, 1);
    t.not(info?.pidNamespace, region.self.pidNamespace);
    t.equal(lookAt(region, 2), 'alive');
    t.match(await child.call('processes'), [
      { number: 2, alive: 'alive' },
      { number: 1, alive: 'alive' },
    ]);
    const doomed = await RegionChild.one(t);
    await doomed.call('open', options);
    await doomed.kill();
    t.same((await child.call<{ number: number }[]>('processes')).map(({ number }) => number).sort(), [1, 2]);
    fs.rmSync(path.join(options.directory, 'bells', '2'));
    t.equal(lookAt(region, 2), 'unknown', 'without its liveness FIFO nobody can tell, and nobody guesses');
    t.match(await child.call('processes'), [{ number: 2 }, { number: 1 }]);
  },
);

void t.test(
  'A process in another pid namespace is dead when it is killed',
  { skip: needsUnshare('--pid', '--mount-proc', '--fork') },
  async (t) => {
    const options = optionsFor(t);
    const region = openRegion(t, options);
    const child = await RegionChild.one(t, ['unshare', '--pid', '--mount-proc', '--fork', '--kill-child']);
    await child.call('open', options);
    const info = region.process(2);
    if (info === undefined) throw new Error('not seen');
    await child.kill();
    await until(() => region.isAlive(info) === 'dead');
    t.pass();
  },
);

void t.test(
  'A process whose liveness FIFO was swept away is still alive while its pid is, and dead when that is gone',
  { skip: onLinux },
  async (t) => {
    const options = optionsFor(t);
    const region = openRegion(t, options);
    const child = await RegionChild.one(t);
    await child.call('open', options);
    fs.rmSync(path.join(options.directory, 'bells', '2'));
    const info = region.process(2);
    if (info === undefined) throw new Error('not seen');
    t.equal(region.isAlive(info), 'alive');
    await child.kill();
    t.equal(region.isAlive(info), 'dead');
  },
);

void t.test(
  'A pid tells life from death only with its start time and in its own namespace',
  { skip: onLinux },
  async (t) => {
    const here = machine();
    const { pidNamespace, startTicks } = here;
    t.equal(here.pidLiveness(process.pid, startTicks, pidNamespace), 'alive');
    t.equal(
      here.pidLiveness(process.pid, startTicks + 1, pidNamespace),
      'dead',
      'the pid is used again by another process',
    );
    t.equal(here.pidLiveness(process.pid, 0, pidNamespace), 'unknown', 'a start time that nobody knows proves nothing');
    t.equal(here.pidLiveness(process.pid, startTicks + 1, pidNamespace + 1), 'unknown');
    t.equal(here.pidLiveness(process.pid, startTicks + 1, 0), 'unknown');
    t.equal(here.pidLiveness(0, 5, pidNamespace), 'unknown', 'pid 0 names no process');
    const child = await RegionChild.one(t);
    await child.kill();
    t.equal(here.pidLiveness(child.pid, 5, pidNamespace), 'dead');
    const parent = spawn('sh', ['-c', 'sleep 0.1 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] });
    t.teardown(() => parent.kill('SIGKILL'));
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const zombie = Number(line.toString());
    const state = (): string =>
      execFileSync('cut', ['-d ', '-f3,22', `/proc/${zombie}/stat`], { encoding: 'utf8' }).trim();
    await until(() => state().startsWith('Z'));
    t.equal(here.pidLiveness(zombie, Number(state().split(' ')[1]), pidNamespace), 'dead', 'a zombie is dead');
  },
);

void t.test('Without liveness FIFOs the pid decides', (t) => {
  const disk = new SimulatedDisk({ seed: 1 });
  const here: Machine = {
    ...machine(),
    pidLiveness: (pid) => (pid === 11 ? 'dead' : pid === 12 ? 'alive' : 'unknown'),
  };
  const region = Region.open(OPTIONS, { storage: new SimulatedStorage(disk, { process: 1, host: 1 }), machine: here });
  Region.open(OPTIONS, { storage: new SimulatedStorage(disk, { process: 2, host: 1 }), machine: here });
  const info = region.process(2);
  if (info === undefined) throw new Error('not seen');
  t.notOk(info.hasLivenessFifo);
  t.equal(region.isAlive(info), 'unknown');
  t.end();
});

void t.test('A process of an earlier boot is dead where the file system is local', (t) => {
  const options = optionsFor(t);
  const before = Region.open(options, { machine: { ...machine(), bootId: 'the-boot-before' } });
  t.teardown(() => {
    before.close();
  });
  const region = openRegion(t, options);
  t.equal(region.process(before.self.number), undefined);
  t.same(
    region.processes().map(({ number }) => number),
    [2],
  );
  t.equal(region.recovered.processes, 1, 'and its file is reclaimed');
  t.end();
});

void t.test(
  'A process of another host lives by its heartbeat: seen moving it is alive, standing still for a lease it is dead',
  async (t) => {
    const disk = new SimulatedDisk({ seed: 1, delayTicksMax: 0 });
    const open = (number: number): Region => {
      const storage = new SimulatedStorage(disk, { process: number });
      return Region.open(OPTIONS, {
        storage,
        machine: { ...machine(), bootId: `boot-${number}` },
        limits: { leaseMs: 100 },
      });
    };
    const region = open(1);
    const other = open(2);
    const info = region.process(2);
    if (info === undefined) throw new Error('not seen');
    t.equal(region.isAlive(info), 'unknown', 'at first sight');
    const startedMs = performance.now();
    region.beat();
    other.beat();
    t.equal(region.isAlive(info), 'alive');
    other.bindings.bind(80, 'STG', 1);
    t.throws(() => region.bindings.bind(80, 'STG', 1), { code: 'EADDRINUSE' });
    const seen = new Set<Liveness>();
    await until(() => {
      // Who does not beat can't tell how long the storage has answered, and declares nobody dead.
      region.beat();
      const liveness = region.isAlive(info);
      seen.add(liveness);
      return liveness === 'dead';
    });
    t.ok(performance.now() - startedMs >= 60, 'not before most of the lease is over');
    t.same([...seen], ['alive', 'dead']);
    t.equal(region.bindings.bind(80, 'STG', 1), 80);
    other.beat();
    t.equal(region.isAlive(info), 'dead', 'and stays dead');
    t.same([region.takenForDead, other.takenForDead], [false, true], 'it can know');
    const third = open(3);
    t.same(
      third
        .processes()
        .map(({ number }) => number)
        .sort(),
      [1, 3],
      'and so can everybody',
    );
    t.same(third.storage.list('processes').sort(), ['1', '3'], 'its mark goes with its file');
    t.equal(other.takenForDead, true);
  },
);

void t.test('A lease counts only the time in which the other could have been seen', (t) => {
  const watch = new LeaseWatch(1000);
  t.equal(watch.look(5, 0), 'unknown');
  t.equal(watch.look(5, 400), 'unknown');
  t.equal(watch.look(6, 500), 'alive');
  t.equal(watch.look(6, 1_000_000), 'alive', 'we were stopped for long: one look proves little');
  t.equal(watch.look(6, 1_000_100), 'alive');
  t.equal(watch.look(6, 1_000_450), 'alive');
  t.equal(watch.look(6, 1_000_500), 'dead');
  t.equal(new LeaseWatch(1000).look(0, 0), 'unknown');
  t.end();
});

void t.test('Guessed boot ids that differ by clock drift are taken for the same boot', (t) => {
  const own = '~0123456789abcdef:1700000000';
  t.equal(agreedBootId(own, ['~0123456789abcdef:1700000042']), '~0123456789abcdef:1700000042');
  t.equal(agreedBootId(own, ['~0123456789abcdef:1700000061', '~0123456789abcdee:1700000000', 'a-real-one']), own);
  t.equal(agreedBootId('a-real-one', [own]), 'a-real-one');
  t.end();
});
