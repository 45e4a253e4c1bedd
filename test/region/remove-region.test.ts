import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { inspectRegion, Region, removeRegion, type RemovedRegion } from '../../src/region';
import { codeOf, openRegion, optionsFor, RegionChild, startOfRace, temporaryDirectory } from './kit';

function litter(directory: string): void {
  for (const name of ['links/1-2', 'links/2-1', 'bells/1-2']) fs.writeFileSync(path.join(directory, name), 'x');
}

void t.test('A region with somebody in it is not removed, and keeps working', async (t) => {
  const options = optionsFor(t);
  const child = await RegionChild.one(t);
  await child.call('open', options);
  const before = fs.readdirSync(options.directory, { recursive: true }).sort();
  t.throws(() => removeRegion(options.directory), {
    code: 'EBUSY',
    message: new RegExp(`process 1 \\(system here, pid ${child.pid}: node`, 'u'),
  });
  t.same(fs.readdirSync(options.directory, { recursive: true }).sort(), before, 'nothing has changed');
  t.equal(await child.call('bind', 80, 'STG', 1), 80);
  t.equal(openRegion(t, options).self.number, 2);
});

void t.test('A region of the dead is removed whole, directory and all', async (t) => {
  const options = optionsFor(t);
  const child = await RegionChild.one(t);
  await child.call('open', options);
  await child.kill();
  Region.open(options).close();
  litter(options.directory);
  t.match(removeRegion(options.directory), { directory: true, left: [] });
  t.notOk(fs.existsSync(options.directory));
  t.equal(
    codeOf(() => removeRegion(options.directory)),
    'ENOENT',
    'a second time',
  );
  t.equal(openRegion(t, options).self.number, 1, 'a new one begins at 1');
});

void t.test('What no region made is left where it is', (t) => {
  const options = optionsFor(t);
  Region.open(options).close();
  const foreign = ['notes.txt', 'processes/readme', 'links/1-2-3', 'bells/x', 'deep/processes/1'];
  fs.mkdirSync(path.join(options.directory, 'deep/processes'), { recursive: true });
  for (const name of foreign) fs.writeFileSync(path.join(options.directory, name), 'mine');
  const outside = path.join(path.dirname(options.directory), 'outside');
  fs.writeFileSync(outside, 'mine');
  fs.symlinkSync(outside, path.join(options.directory, 'links', '4-5'));
  const removed = removeRegion(options.directory);
  t.equal(removed.directory, false);
  t.same([...removed.left].sort(), ['bells', 'deep', 'links', 'notes.txt', 'processes']);
  t.same(fs.readdirSync(options.directory, { recursive: true }).sort(), [
    'bells',
    'bells/x',
    'deep',
    'deep/processes',
    'deep/processes/1',
    'links',
    'links/1-2-3',
    'notes.txt',
    'processes',
    'processes/readme',
  ]);
  t.equal(fs.readFileSync(outside, 'utf8'), 'mine', "a link in a file's place is removed, and not what it points to");
  openRegion(t, options);
  t.end();
});

void t.test('What is no region is refused and untouched', (t) => {
  const parent = temporaryDirectory(t);
  const empty = path.join(parent, 'empty');
  const home = path.join(parent, 'home');
  const file = path.join(parent, 'file');
  for (const directory of [empty, home, path.join(home, 'processes')]) fs.mkdirSync(directory, { mode: 0o700 });
  fs.writeFileSync(path.join(home, 'processes', '1'), 'mine');
  fs.writeFileSync(file, 'mine');
  t.equal(
    codeOf(() => removeRegion(empty)),
    'ESTPREGION',
  );
  t.equal(
    codeOf(() => removeRegion(home)),
    'ESTPREGION',
  );
  t.equal(
    codeOf(() => removeRegion(file)),
    'ESTPREGION',
  );
  fs.writeFileSync(path.join(home, 'region'), 'mine');
  t.equal(
    codeOf(() => removeRegion(home)),
    'ESTPCORRUPT',
    'a file of that name is not enough',
  );
  fs.writeFileSync(path.join(home, 'region'), '');
  t.equal(
    codeOf(() => removeRegion(home)),
    'ESTPREGION',
  );
  t.same(fs.readdirSync(parent, { recursive: true }).sort(), [
    'empty',
    'file',
    'home',
    'home/processes',
    'home/processes/1',
    'home/region',
  ]);
  t.end();
});

void t.test('A damaged region can be removed', (t) => {
  const options = optionsFor(t);
  Region.open(options).close();
  fs.writeFileSync(path.join(options.directory, 'region'), Buffer.alloc(4096, 3));
  fs.writeFileSync(path.join(options.directory, 'processes', '1'), Buffer.alloc(4096, 3));
  t.match(removeRegion(options.directory), { directory: true });
  t.end();
});

void t.test('A living process is seen by its liveness FIFO even where its file is damaged', async (t) => {
  const options = optionsFor(t);
  const child = await RegionChild.one(t);
  await child.call('open', options);
  fs.writeFileSync(path.join(options.directory, 'processes', '1'), Buffer.alloc(4096, 3));
  t.throws(() => removeRegion(options.directory), { code: 'EBUSY', message: /process 1/u });
  await child.kill();
  t.match(removeRegion(options.directory), { directory: true });
});

void t.test('Resets that meet exclude each other, and openers that meet them get a whole region', async (t) => {
  const children = await RegionChild.start(t, 5);
  let removals = 0;
  for (let round = 0; round < 15; round += 1) {
    const options = optionsFor(t);
    Region.open(options).close();
    litter(options.directory);
    const atMs = startOfRace();
    const openers = children.slice(0, 3).map((child) => child.call<{ id: number }>('open', options, {}, atMs));
    const resets = children.slice(3).map((child) =>
      child.call<RemovedRegion>('reset', options.directory, atMs).then(
        () => 'removed',
        (error: unknown) => (error as { code: string }).code,
      ),
    );
    const opened = await Promise.all(openers);
    const results = await Promise.all(resets);
    removals += results.filter((result) => result === 'removed').length;
    for (const result of results) t.match(result, /^(?:removed|EBUSY|ENOENT|ESTPREGION)$/u);
    t.equal(new Set(opened.map(({ id }) => id)).size, 1, `round ${round}: all are in one region`);
    const snapshot = inspectRegion(options.directory);
    t.equal(snapshot.header?.id, opened[0]?.id);
    t.same(snapshot.problems, []);
    t.equal(snapshot.processes.filter(({ alive }) => alive === 'alive').length, 3, `round ${round}: and all are seen`);
    for (const child of children.slice(0, 3)) await child.call('close');
  }
  t.comment(`${removals} removals`);
});

void t.test('A reset that died is finished by the next reset, or forgotten by the next opener', (t) => {
  const options = optionsFor(t);
  const mark = path.join(options.directory, 'region.removing');
  const region = Region.open(options);
  fs.writeFileSync(mark, '');
  t.match(inspectRegion(options.directory).problems, [/being reset/u]);
  const other = Region.open(options);
  t.equal(other.id, region.id);
  t.notOk(fs.existsSync(mark));
  other.close();
  fs.writeFileSync(mark, '');
  t.equal(
    codeOf(() => removeRegion(options.directory)),
    'EBUSY',
    'the first one is still here',
  );
  t.notOk(fs.existsSync(mark));
  region.close();
  fs.writeFileSync(mark, '');
  for (const name of ['processes', 'bells', 'region'])
    fs.rmSync(path.join(options.directory, name), { recursive: true });
  t.match(removeRegion(options.directory), { directory: true });
  t.end();
});
