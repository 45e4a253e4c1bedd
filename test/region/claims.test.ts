/** The claim of a port against rivals and crashes at every single step. Each step is one operation on the storage. */
import t from 'tap';
import { StpError } from '../../src/errors';
import { BindingState } from '../../src/layout';
import { type ProcessInfo, Region, type RegionOptions } from '../../src/region';
import { BindingTable } from '../../src/region/binding-table';
import { Claims } from '../../src/region/claims';
import { machine, type Machine } from '../../src/region/machine';
import { encodeIdentity, ownIdentity, processPath } from '../../src/region/process-info';
import { Processes } from '../../src/region/processes';
import { type BlockReader, type BlockWriter, type Storage } from '../../src/storage';
import { SimulatedDisk, SimulatedStorage } from '../../src/storage/simulated-storage';

const HOST = 1;
/** Short, as a rival that is frozen here stays frozen. */
const WAIT_MS = 3;
const REGION = 77;

class Crash extends Error {}

/** Calls `step` before every operation on blocks and directories. */
function stepping(storage: Storage, step: () => void): Storage {
  const writer = (inner: BlockWriter | undefined): BlockWriter | undefined =>
    inner && {
      write(index, payload, sequenceMin) {
        step();
        inner.write(index, payload, sequenceMin);
      },
      same: () => inner.same(),
      close() {
        inner.close();
      },
    };
  const reader = (inner: BlockReader | undefined): BlockReader | undefined =>
    inner && {
      read(index) {
        step();
        return inner.read(index);
      },
      get sizeBytes() {
        return inner.sizeBytes;
      },
      close() {
        inner.close();
      },
    };
  return {
    driver: storage.driver,
    root: storage.root,
    shared: storage.shared,
    access: storage.access,
    mechanisms: storage.mechanisms,
    mount: () => storage.mount(),
    isRemoved: () => false,
    pin: (path) => {
      storage.pin(path);
    },
    makeDirectory: (path) => {
      step();
      storage.makeDirectory(path);
    },
    list: (path) => (step(), storage.list(path)),
    remove: (path) => (step(), storage.remove(path)),
    info: (path) => (step(), storage.info(path)),
    createBlocks: (path) => (step(), writer(storage.createBlocks(path))),
    openBlocks: (path) => (step(), reader(storage.openBlocks(path))),
    freeBytes: () => storage.freeBytes(),
    publishOnce: (path, payload) => (step(), storage.publishOnce(path, payload)),
    createLog: () => {
      throw new Error('no logs here');
    },
    openLog: () => undefined,
    removeLog: () => false,
  };
}

/** A process with nothing but its claims. */
function claimant(disk: SimulatedDisk, number: number, step: () => void, dead: Set<number>): Claims {
  const storage = stepping(new SimulatedStorage(disk, { process: number, host: HOST }), () => {
    step();
  });
  const here: Machine = { ...machine(), pidLiveness: (pid) => (dead.has(pid) ? 'dead' : 'alive') };
  const file = storage.createBlocks(processPath(number));
  if (file === undefined) throw new Error('number in use');
  const self: ProcessInfo = {
    ...ownIdentity({
      number,
      epoch: number,
      regionId: REGION,
      system: 'one',
      group: 'G',
      canMap: false,
      canFrame: true,
      hasLivenessFifo: false,
      bootId: here.bootId,
      machine: here,
    }),
    pid: number,
    state: 'live',
  };
  const table = new BindingTable(file);
  table.begin();
  file.write(0, encodeIdentity(self));
  return new Claims(table, new Processes(storage, here, self, 5000, () => performance.now()), self, WAIT_MS);
}

const PORT = { port: 80, count: 1, group: 'G', socket: 3, state: BindingState.bound, shared: false, reach: '' };
const RANGE = { port: 40_000, count: 128, group: 'G', socket: 0, state: BindingState.range, shared: false, reach: '' };

for (const [name, entry] of [
  ['port', PORT],
  ['range', RANGE],
] as const) {
  for (const [order, first, second] of [
    ['lower', 1, 2],
    ['higher', 2, 1],
  ] as const) {
    void t.test(
      `A ${name} is never held twice when a rival tries at any step of the claim of the ${order} process`,
      (t) => {
        let steps = 0;
        let wins = 0;
        for (let at = 1; ; at += 1) {
          const disk = new SimulatedDisk({ seed: 1 });
          const dead = new Set<number>();
          let count = 0;
          let rivalSlot = -2;
          const rival = claimant(disk, second, () => undefined, dead);
          let running = false;
          const own = claimant(
            disk,
            first,
            () => {
              if (!running) return;
              count += 1;
              if (count === at) rivalSlot = rival.claim(entry);
            },
            dead,
          );
          running = true;
          const ownSlot = own.claim(entry);
          running = false;
          if (count < at) break;
          steps += 1;
          const winners = Number(ownSlot >= 0) + Number(rivalSlot >= 0);
          t.ok(winners <= 1, `step ${at}: at most one holds it`);
          wins += winners;
          // Nobody is frozen any more: whoever asks now gets a definite answer.
          const later = ownSlot >= 0 ? rival.claim(entry) : own.claim(entry);
          t.equal(later >= 0, winners === 0, `step ${at}: afterwards one holds it`);
        }
        t.ok(steps >= 5, `${steps} steps were tried`);
        t.ok(wins > 0, 'and mostly somebody won');
        t.end();
      },
    );
  }
}

void t.test("A claimant that dies at any step is in nobody's way", (t) => {
  let steps = 0;
  for (let at = 1; ; at += 1) {
    const disk = new SimulatedDisk({ seed: 1 });
    const dead = new Set<number>();
    let count = -1_000_000;
    const own = claimant(
      disk,
      1,
      () => {
        count += 1;
        if (count >= at) throw new Crash();
      },
      dead,
    );
    count = 0;
    const survivor = claimant(disk, 2, () => undefined, dead);
    survivor.claim({ ...PORT, port: 81 });
    let crashed = false;
    try {
      own.claim(PORT);
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      crashed = true;
    }
    dead.add(1);
    t.ok(survivor.claim(PORT) >= 0, `step ${at}`);
    if (!crashed) break;
    steps += 1;
  }
  t.ok(steps >= 3, `${steps} steps were tried`);
  t.end();
});

/** One whole region on a simulated disk. */
const OPTIONS: RegionOptions = { directory: '/simulated', system: 'one', group: 'G', driver: 'direct' };

void t.test('An opener may die between any two steps: the next one opens, with a number of its own', (t) => {
  let steps = 0;
  for (let at = 1; ; at += 1) {
    const disk = new SimulatedDisk({ seed: 1 });
    let count = 0;
    const dying = stepping(new SimulatedStorage(disk, { process: 1, host: HOST }), () => {
      count += 1;
      if (count >= at) throw new Crash();
    });
    let number = 0;
    let crashed = false;
    try {
      number = Region.open(OPTIONS, { storage: dying }).self.number;
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      crashed = true;
    }
    const here: Machine = { ...machine(), pidLiveness: () => 'dead' };
    const next = Region.open(OPTIONS, {
      storage: new SimulatedStorage(disk, { process: 2, host: HOST }),
      machine: here,
    });
    t.ok(next.self.number > number, `step ${at}`);
    t.same(
      next.processes().map((info) => info.number),
      [next.self.number],
      `step ${at}: it is alone`,
    );
    t.equal(next.bindings.bind(80, 'G', 1), 80);
    if (!crashed) break;
    steps += 1;
  }
  t.ok(steps >= 10, `${steps} steps were tried`);
  t.end();
});

void t.test('A claim that can not be written is an error, and holds nothing', (t) => {
  const disk = new SimulatedDisk({ seed: 1 });
  let fail = false;
  const own = claimant(
    disk,
    1,
    () => {
      if (fail) throw new StpError('EIO', 'no more writing');
    },
    new Set(),
  );
  const other = claimant(disk, 2, () => undefined, new Set());
  fail = true;
  t.throws(() => own.claim(PORT), { code: 'EIO' });
  fail = false;
  t.ok(other.claim(PORT) >= 0);
  t.equal(own.claim(PORT), -1);
  t.end();
});
