/** The code cache of the library: a process takes what V8 made of it before, and makes it where it is missing. */
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { type Ended, node, PACKAGE, PATIENCE_MS, run, scratch } from './kit';

const CACHE = `library.js.${process.version}-${process.arch}.cache`;
const NOBODY = 65_534;

/** Says when its first socket listens; then runs on until the cache is as old as a file, or `forMs` are over. */
const PROGRAM = `
  const net = require('node:net');
  const fs = require('node:fs');
  const [cache, forMs] = process.argv.slice(2);
  const was = fs.existsSync(cache) ? fs.statSync(cache).ino : 0;
  const server = net.createServer().listen(0, '127.0.0.1', () => {
    console.log(server.address().port > 0 ? 'listens' : 'has no port', require('node:net').Socket.name);
    const until = Date.now() + Number(forMs);
    const look = () => {
      const is = fs.existsSync(cache) ? fs.statSync(cache).ino : 0;
      if (is !== was || Date.now() > until) server.close(() => console.log(is === was ? 'left' : 'made'));
      else setTimeout(look, 50);
    };
    look();
  });
`;

interface Copy {
  readonly library: string;
  readonly cache: string;
  /** Runs the program with the copy; it waits so long for another cache. */
  readonly play: (forMs: number, env?: Readonly<Record<string, string>>) => Promise<Ended>;
}

/** A copy of the package's code, to write beside. */
function copy(test: { teardown(act: () => unknown): void }): Copy {
  const { directory, region, remove } = scratch();
  test.teardown(remove);
  const library = path.join(directory, 'lib');
  fs.cpSync(path.dirname(PACKAGE), library, { recursive: true });
  const cache = path.join(library, CACHE);
  const register = path.join(library, 'register.js');
  return {
    library,
    cache,
    play: (forMs, env = {}) =>
      node(['--require', register, '-', cache, String(forMs)], { STP_REGION: region, STP_NET: 'stp', ...env }, PROGRAM),
  };
}

void t.test('a process that finds no cache makes one, and the next one keeps it', async (t) => {
  const { cache, play } = copy(t);
  fs.rmSync(cache, { force: true });
  t.equal((await play(PATIENCE_MS / 2)).stdout, 'listens Socket\nmade\n', 'it is made after some time');
  t.equal((await play(3000)).stdout, 'listens Socket\nleft\n', 'what was made is taken, or it were made anew');
});

void t.test('a process that ends before that leaves one as it ends', async (t) => {
  const { cache, play } = copy(t);
  fs.rmSync(cache, { force: true });
  t.equal((await play(0)).stdout, 'listens Socket\nleft\n');
  const made = fs.statSync(cache).ino;
  t.equal((await play(0)).stdout, 'listens Socket\nleft\n');
  t.equal(fs.statSync(cache).ino, made, 'what was made is taken, or it were made anew');
});

void t.test('a cache that is damaged, cut short or of another text is not used, and made anew', async (t) => {
  const { library, cache, play } = copy(t);
  fs.rmSync(cache, { force: true });
  await play(PATIENCE_MS / 2);
  const good = fs.readFileSync(cache);
  const middle = Math.floor(good.length / 2);
  const otherSample = Buffer.from(good);
  otherSample.fill(7, 16, 32);
  const bad: Readonly<Record<string, Buffer>> = {
    'of other bytes': Buffer.concat([good.subarray(0, middle), Buffer.alloc(good.length - middle, 7)]),
    'cut short': good.subarray(0, middle),
    empty: Buffer.alloc(0),
    'without its head': good.subarray(8),
    'of four bytes': good.subarray(0, 4),
    'with a damaged sample': otherSample,
  };
  for (const [what, bytes] of Object.entries(bad)) {
    fs.writeFileSync(cache, bytes);
    t.equal((await play(PATIENCE_MS / 2)).stdout, 'listens Socket\nmade\n', what);
  }
  const text = path.join(library, 'library.js');
  fs.writeFileSync(text, fs.readFileSync(text, 'utf8').replace('ECONNREFUSED', 'ECONNREFUSEX'));
  t.equal((await play(PATIENCE_MS / 2)).stdout, 'listens Socket\nmade\n', 'another text of the same length');
});

void t.test('a process with other flags of V8 has a cache of its own, and the first one stays', async (t) => {
  const { library, cache } = copy(t);
  const { region, remove } = scratch();
  t.teardown(remove);
  // Other tests may have run with flags of their own before the copy was made.
  for (const name of fs.readdirSync(library))
    if (name.endsWith('.cache') && name !== CACHE) fs.rmSync(path.join(library, name));
  const [own, third] = [1, 2].map((n) => cache.replace(/[.]cache$/u, `-${n}.cache`)) as [string, string];
  const play = async (awaited: string, forMs: number, flags: readonly string[]): Promise<string> => {
    const args = [...flags, '--require', path.join(library, 'register.js'), '-', awaited, String(forMs)];
    return (await node(args, { STP_REGION: region, STP_NET: 'stp' }, PROGRAM)).stdout;
  };
  // V8 looks at these in all versions; at --max-old-space-size only before Node 24.
  const flags = ['--no-opt'];
  // Of another version of Node than that of the build there may be none.
  if (!fs.existsSync(cache)) await play(cache, PATIENCE_MS / 2, []);
  t.equal(await play(cache, 1500, []), 'listens Socket\nleft\n', 'the first is taken');
  t.equal(await play(own, PATIENCE_MS / 2, flags), 'listens Socket\nmade\n', 'the other is made');
  const others = ['--stack-size=900'];
  t.equal(await play(third, PATIENCE_MS / 2, others), 'listens Socket\nmade\n', 'and a third one');
  t.equal(await play(third, 1500, others), 'listens Socket\nleft\n');
  const first = fs.statSync(cache).ino;
  t.equal(await play(own, 1500, flags), 'listens Socket\nleft\n', 'and taken by the next');
  t.equal(await play(cache, 1500, []), 'listens Socket\nleft\n');
  t.equal(fs.statSync(cache).ino, first, 'without flags the first is still the one');
});

void t.test('where the package can not be written to, and where it is turned off, nothing is written', async (t) => {
  const { library, cache, play } = copy(t);
  fs.rmSync(cache, { force: true });
  const files = fs.readdirSync(library);
  const off = await play(3000, { NODE_DISABLE_COMPILE_CACHE: '1' });
  t.equal(off.stdout, 'listens Socket\nleft\n', 'by NODE_DISABLE_COMPILE_CACHE');
  t.same(fs.readdirSync(library), files);
  const isRoot = process.getuid?.() === 0;
  fs.chmodSync(library, 0o555);
  t.teardown(() => {
    fs.chmodSync(library, 0o755);
  });
  const place = scratch();
  t.teardown(place.remove);
  fs.chmodSync(path.dirname(library), 0o755);
  if (isRoot) fs.chownSync(place.directory, NOBODY, NOBODY);
  const program = path.join(library, '..', 'program.cjs');
  fs.writeFileSync(program, PROGRAM);
  const args = ['--require', path.join(library, 'register.js'), program, cache, '3000'];
  const env = { STP_REGION: place.region, STP_NET: 'stp' };
  const readOnly = isRoot
    ? await run('setpriv', [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', process.execPath, ...args], env)
    : await node(args, env);
  t.match(readOnly, { code: 0, stdout: 'listens Socket\nleft\n', stderr: '' }, 'no permission to write');
  t.same(fs.readdirSync(library), files);
});

void t.test('the hook, stp-net and stp-net/stp are of one library, whichever is loaded first', async (t) => {
  const { library } = copy(t);
  const { region, remove } = scratch();
  t.teardown(remove);
  const stp = JSON.stringify(path.join(library, 'stp.js'));
  const listens = `require('node:net').createServer().listen(0, '127.0.0.1')`;
  for (const [first, second] of [
    [`require(${stp})`, listens],
    [listens, `require(${stp})`],
  ] as const) {
    const { stdout } = await node(
      ['--require', path.join(library, 'register.js'), '-'],
      { STP_REGION: region, STP_NET: 'stp' },
      `${first}; ${second}; setImmediate(() => {
        console.log(require(${stp}).STPgetclientid().process > 0, require('node:fs').readdirSync(
          ${JSON.stringify(path.join(region, 'processes'))}).length);
        process.exit();
      });`,
    );
    t.match(stdout, /^true 1\n$/u, 'one process of the region');
  }
});
