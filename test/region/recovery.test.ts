import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { SocketState } from '../../src/layout';
import { inspectRegion, Region } from '../../src/region';
import { openRegion, optionsFor, RegionChild, startOfRace } from './kit';

interface Recovered {
  readonly recovered: { readonly processes: number; readonly files: number; readonly complete: boolean };
}

function names(directory: string): string[] {
  return fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)))
    .sort();
}

/** Makes what links between processes leave behind, without the links. */
function litter(directory: string, pairs: readonly string[]): void {
  for (const pair of pairs) {
    fs.writeFileSync(path.join(directory, 'links', pair), 'x');
    fs.writeFileSync(path.join(directory, 'bells', pair), 'x');
  }
}

void t.test('Who opens reclaims what the dead left, and nothing that a living process may need', async (t) => {
  const options = optionsFor(t);
  const [first, second, living] = await RegionChild.start(t, 3);
  for (const child of [first, second, living]) await child?.call('open', options);
  litter(options.directory, ['1-2', '2-1', '1-1', '1-3', '3-1', '3-3', '2-9']);
  fs.writeFileSync(path.join(options.directory, 'links', 'not ours'), 'x');
  await first?.kill();
  await second?.kill();
  const region = openRegion(t, options);
  t.same(region.recovered, { processes: 2, files: 2 + 3 * 2, complete: true });
  t.same(names(options.directory), [
    'bells/1-3',
    'bells/2-9',
    'bells/3',
    'bells/3-1',
    'bells/3-3',
    'bells/4',
    'links/1-3',
    'links/2-9',
    'links/3-1',
    'links/3-3',
    'links/not ours',
    'processes/3',
    'processes/4',
    'region',
  ]);
  region.dropPair(3);
  t.equal(names(options.directory).length, 14, 'only our own pairs are dropped');
  await living?.kill();
  const last = openRegion(t, options);
  t.same(last.recovered, { processes: 1, files: 1 + 2 * 3, complete: true });
  t.same(last.recover(), { processes: 0, files: 0, complete: true }, 'a second time there is nothing to do');
});

void t.test('The sockets of the dead can be inspected until somebody opens the region', async (t) => {
  const options = optionsFor(t);
  const child = await RegionChild.one(t);
  await child.call('open', options);
  await child.call('sockets', 30, SocketState.established);
  await child.kill();
  const before = inspectRegion(options.directory);
  t.equal(before.sockets.length, 30);
  t.ok(before.sockets.every(({ ownerAlive, state }) => ownerAlive === 'dead' && state === 'established'));
  openRegion(t, options);
  t.equal(inspectRegion(options.directory).sockets.length, 0);
});

void t.test('Ten thousand dead sockets are reclaimed by one opening', async (t) => {
  const options = optionsFor(t);
  const child = await RegionChild.one(t);
  await child.call('open', options, { limits: { socketsMax: 10_000 } });
  await child.call('sockets', 10_000, SocketState.established);
  t.equal(inspectRegion(options.directory).sockets.length, 10_000);
  await child.kill();
  t.same(openRegion(t, options).recovered, { processes: 1, files: 1, complete: true });
});

void t.test(
  'However many are dead, the directory of processes is listed a few times: each is a trip to a file server',
  async (t) => {
    const options = optionsFor(t);
    const region = openRegion(t, options);
    const child = await RegionChild.one(t);
    const dead = 40;
    for (let i = 0; i < dead; i++) await child.call('open', options);
    await child.kill();
    const list = t.capture(region.storage, 'list', region.storage.list.bind(region.storage));
    // The file with the highest number always stays.
    t.equal(region.recover(5000).processes, dead - 1);
    const lists = list().filter(({ args }) => args[0] === 'processes').length;
    t.ok(lists > 0 && lists < 10, `${lists} lists`);
  },
);

void t.test('Many may recover at once: each file is removed once, and everybody finds a clean region', async (t) => {
  const options = optionsFor(t);
  const dead = await RegionChild.start(t, 12);
  await Promise.all(dead.map((child) => child.call('open', options)));
  const pairs = Array.from({ length: 12 }, (_, i) => Array.from({ length: 12 }, (_, j) => `${i + 1}-${j + 1}`)).flat();
  litter(options.directory, pairs);
  await Promise.all(dead.map((child) => child.kill()));
  const recoverers = await RegionChild.start(t, 6);
  const atMs = startOfRace();
  const results = await Promise.all(recoverers.map((child) => child.call<Recovered>('open', options, {}, atMs)));
  const sum = (of: (result: Recovered) => number): number => results.reduce((total, result) => total + of(result), 0);
  t.equal(
    sum(({ recovered }) => recovered.processes),
    12,
    'each process file was removed by one of them',
  );
  t.equal(
    sum(({ recovered }) => recovered.files),
    12 + 2 * 144,
    'each link and bell as well',
  );
  t.same(
    names(options.directory).filter((name) => name.includes('-')),
    [],
  );
  t.same(inspectRegion(options.directory).processes.map(({ info }) => info.number).length, 6);
});

void t.test('A recoverer may be killed at any moment: the next one finishes', async (t) => {
  const options = optionsFor(t);
  const dead = await RegionChild.start(t, 3);
  for (const child of dead) await child.call('open', options);
  await Promise.all(dead.map((child) => child.kill()));
  for (let round = 0; round < 5; round += 1) {
    litter(
      options.directory,
      Array.from({ length: 400 }, (_, i) => `${(i % 3) + 1}-${i + 1}`).filter(
        (pair) => Number(pair.split('-')[1]) <= 3,
      ),
    );
    const child = await RegionChild.one(t);
    const opening = child.call('open', options).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, round));
    await child.kill();
    await opening;
  }
  const region = openRegion(t, options);
  t.ok(region.recovered.complete);
  // Killed between its number and its identity: taken for one that is just opening, until it is old.
  for (let number = 1; number < region.self.number; number += 1) {
    const file = path.join(options.directory, 'processes', String(number));
    if (fs.existsSync(file)) fs.utimesSync(file, new Date(0), new Date(0));
  }
  t.ok(region.recover().complete);
  t.same(names(options.directory), [`bells/${region.self.number}`, `processes/${region.self.number}`, 'region']);
});

void t.test('Recovery keeps to its time, and the next one goes on', (t) => {
  const options = optionsFor(t);
  Region.open(options).close();
  const region = openRegion(t, options);
  litter(
    options.directory,
    Array.from({ length: 500 }, () => '1-1'),
  );
  t.equal(region.recover(-1).complete, false);
  t.same(
    names(options.directory).filter((name) => name.includes('-')),
    ['bells/1-1', 'links/1-1'],
  );
  t.same(region.recover(), { processes: 0, files: 2, complete: true });
  t.end();
});

void t.test('A process file that never got an identity is left alone while it is young', (t) => {
  const options = optionsFor(t);
  openRegion(t, options);
  const file = path.join(options.directory, 'processes', '2');
  fs.writeFileSync(file, '');
  const second = openRegion(t, options);
  t.equal(second.self.number, 3);
  t.ok(fs.existsSync(file), 'it may be just being opened');
  t.same(
    second
      .processes()
      .map(({ number }) => number)
      .sort(),
    [1, 3],
  );
  fs.utimesSync(file, new Date(0), new Date(0));
  t.equal(second.recover().processes, 1);
  t.notOk(fs.existsSync(file));
  t.end();
});

void t.test('Files that were never put in place are removed when they are old', (t) => {
  const options = optionsFor(t);
  const region = openRegion(t, options);
  const file = path.join(options.directory, '.new-0123456789');
  fs.writeFileSync(file, 'x');
  t.equal(region.recover().files, 0);
  fs.utimesSync(file, new Date(0), new Date(0));
  t.equal(region.recover().files, 1);
  t.notOk(fs.existsSync(file));
  t.end();
});

void t.test('Damaged process files are passed over by recovery', (t) => {
  const options = optionsFor(t);
  openRegion(t, options);
  const file = path.join(options.directory, 'processes', '2');
  fs.writeFileSync(file, Buffer.alloc(8192, 0x77));
  const second = openRegion(t, options);
  t.equal(second.recovered.processes, 0);
  t.ok(fs.existsSync(file), 'nobody knows whether its owner lives');
  t.end();
});
