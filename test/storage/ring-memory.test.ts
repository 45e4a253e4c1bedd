/** The memory of a ring lies in a file of its own, whose name goes as soon as both ends have mapped it. */
import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { LINK_AT } from '../../src/layout';
import { FileStorage, loadNative, type LogWriter } from '../../src/storage';
import { memoryDirectory } from '../memory-directory';
import { codeOf } from './suite-kit';
import { freshDirectory, IDENTITY, OPPOSITE } from './kits';

const CAPACITY_BYTES = 65_536;
const skip = loadNative() === undefined ? 'koffi is missing' : false;

interface Place {
  readonly root: string;
  readonly a: FileStorage;
  readonly b: FileStorage;
}

function place(test: Test): Place {
  const root = freshDirectory(memoryDirectory());
  test.teardown(() => {
    fs.rmSync(root, { recursive: true, force: true });
  });
  return { root, a: new FileStorage(root, { driver: 'mapped' }), b: new FileStorage(root, { driver: 'mapped' }) };
}

function write(log: LogWriter, word: number): void {
  log.claim(8, 8);
  log.words[log.at >> 2] = word;
  log.commit(8);
  log.publish();
}

function ringOf(root: string, log: string): string {
  const name = fs.readdirSync(root).find((other) => other.startsWith(`${log}.`));
  if (name === undefined) throw new Error(`${log} has no memory`);
  return path.join(root, name);
}

void t.test('once its reader has detached it, no name leads to it, and both go on', { skip }, (test) => {
  const { root, a, b } = place(test);
  const out = a.createLog('1-2', IDENTITY, 'ring', CAPACITY_BYTES);
  write(out, 1);
  const reader = b.openLog('1-2');
  test.equal(fs.readdirSync(root).length, 2);
  reader?.detach();
  test.same(fs.readdirSync(root), ['1-2']);
  reader?.detach();
  write(out, 2);
  fs.truncateSync(path.join(root, '1-2'));
  write(out, 3);
  test.equal(reader?.poll(), 24);
  const first = (reader?.at ?? 0) >> 2;
  test.same(
    [0, 2, 4].map((word) => reader?.words[first + word]),
    [1, 2, 3],
  );
  test.end();
});

void t.test('who could not go on with a log opens it again', { skip }, (test) => {
  const { a, b } = place(test);
  write(a.createLog('1-2', IDENTITY, 'ring', CAPACITY_BYTES), 7);
  b.openLog('1-2')?.close();
  const reader = b.openLog('1-2');
  test.equal(reader?.poll(), 8);
  test.equal(reader?.words[reader.at >> 2], 7);
  test.end();
});

void t.test('a log is removed with its memory, opened or not', { skip }, (test) => {
  const { root, a, b } = place(test);
  a.createLog('1-2', IDENTITY, 'ring', CAPACITY_BYTES);
  a.createLog('2-1', OPPOSITE, 'frames', CAPACITY_BYTES);
  test.equal(b.removeLog('1-2'), true);
  test.equal(b.removeLog('2-1'), true);
  test.same(fs.readdirSync(root), []);
  test.equal(b.removeLog('1-2'), false);
  a.createLog('1-2', IDENTITY, 'ring', CAPACITY_BYTES);
  b.openLog('1-2')?.detach();
  test.equal(a.removeLog('1-2'), true);
  test.same(fs.readdirSync(root), []);
  test.end();
});

void t.test('memory that is cut short, of another log, or gone is ESTPCORRUPT', { skip }, (test) => {
  const { root, a, b } = place(test);
  a.createLog('1-2', IDENTITY, 'ring', CAPACITY_BYTES);
  a.createLog('2-1', OPPOSITE, 'ring', CAPACITY_BYTES);
  const [ring, other] = [ringOf(root, '1-2'), ringOf(root, '2-1')];
  const good = fs.readFileSync(ring);
  fs.writeFileSync(ring, fs.readFileSync(other));
  test.equal(
    codeOf(() => b.openLog('1-2')),
    'ESTPCORRUPT',
    'of another',
  );
  fs.writeFileSync(ring, good.subarray(0, LINK_AT.data + 100));
  test.equal(
    codeOf(() => b.openLog('1-2')),
    'ESTPCORRUPT',
    'cut short',
  );
  fs.rmSync(ring);
  fs.symlinkSync(other, ring);
  test.not(
    codeOf(() => b.openLog('1-2')),
    'nothing thrown',
    'a link to another',
  );
  fs.rmSync(ring);
  test.equal(
    codeOf(() => b.openLog('1-2')),
    'ESTPCORRUPT',
    'gone',
  );
  test.end();
});
