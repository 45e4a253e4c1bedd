import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { type BlockReader, FileStorage } from '../../src/storage';
import { openRegion, optionsFor, temporaryDirectory } from './kit';

/** The real thing, which also counts how often files are opened and closed. */
class CountingStorage extends FileStorage {
  readonly opened = new Map<string, number>();
  open = 0;

  override openBlocks(name: string): BlockReader | undefined {
    const reader = super.openBlocks(name);
    if (reader === undefined) return undefined;
    this.opened.set(name, (this.opened.get(name) ?? 0) + 1);
    this.open += 1;
    return {
      get sizeBytes() {
        return reader.sizeBytes;
      },
      read: (index) => reader.read(index),
      close: () => {
        this.open -= 1;
        reader.close();
      },
    };
  }
}

void t.test('A process that has not told of itself yet is looked at through one open file, however often', (t) => {
  const directory = path.join(temporaryDirectory(t), 'region');
  const options = optionsFor(t, { directory });
  openRegion(t, options);
  for (const number of [7, 8]) fs.writeFileSync(path.join(directory, 'processes', String(number)), '', { mode: 0o600 });
  const storage = new CountingStorage(directory, { driver: 'direct' });
  const region = openRegion(t, options, { storage });
  const opened = (): (number | undefined)[] => ['processes/7', 'processes/8'].map((name) => storage.opened.get(name));
  const first = opened();
  for (let look = 0; look < 20; look++) t.equal(region.processes().length, 2, 'nobody is taken in before he tells');
  t.same(opened(), first, 'nothing is opened again');
  fs.copyFileSync(path.join(directory, 'processes', '1'), path.join(directory, 'processes', '7'));
  t.equal(region.process(7), undefined, 'what it tells is read from the same file: number 1 is not 7');
  t.same(opened(), first);
  const before = storage.open;
  fs.rmSync(path.join(directory, 'processes', '8'));
  region.processes();
  t.equal(storage.open, before - 1, 'and closed when the file is gone');
  t.end();
});

void t.test('A directory full of empty files does not take all descriptors', (t) => {
  const directory = path.join(temporaryDirectory(t), 'region');
  const options = optionsFor(t, { directory });
  openRegion(t, options);
  for (let number = 100; number < 200; number++)
    fs.writeFileSync(path.join(directory, 'processes', String(number)), '', { mode: 0o600 });
  const storage = new CountingStorage(directory, { driver: 'direct' });
  const region = openRegion(t, options, { storage });
  t.equal(region.processes().length, 2);
  t.ok(storage.open <= 20, `${storage.open} are open`);
  region.close();
  t.equal(storage.open, 0);
  t.end();
});

/** A file server whose lists lack names that are there, as they may while others change the directory. */
class ForgetfulStorage extends FileStorage {
  readonly forgotten = new Set<string>();

  override list(directory: string): string[] {
    return super.list(directory).filter((name) => !this.forgotten.has(`${directory}/${name}`));
  }
}

void t.test('Who is missing in a list of a shared directory is not dead for it, and loses nothing', (t) => {
  const directory = path.join(temporaryDirectory(t), 'region');
  const options = optionsFor(t, { directory });
  const shared = (): ForgetfulStorage => new ForgetfulStorage(directory, { driver: 'direct', local: false });
  openRegion(t, options).close();
  const [first, other] = [openRegion(t, options, { storage: shared() }), openRegion(t, options, { storage: shared() })];
  openRegion(t, options, { storage: shared() });
  const storage = shared();
  const region = openRegion(t, options, { storage });
  const info = region.process(first.self.number);
  if (info === undefined) throw new Error('the first is not known');
  const pair = `${first.self.number}-${other.self.number}`;
  fs.writeFileSync(path.join(directory, 'links', pair), 'x');
  for (const { number } of [first.self, other.self, region.self]) storage.forgotten.add(`processes/${number}`);
  t.not(region.isAlive(info), 'dead');
  t.equal(region.isGone(first.self.number), false);
  t.equal(region.takenForDead, false, 'nor is one oneself');
  region.recover();
  t.ok(fs.existsSync(path.join(directory, 'links', pair)), 'the link of two that are missing stays');
  first.close();
  t.equal(region.isAlive(info), 'dead', 'one that leaves is gone');
  t.end();
});
