/** What is published is whole: packed, unpacked elsewhere, and used by every entry it promises. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { projectRoot } from '../../scripts/project-root';
import { staleOutputs } from '../../scripts/remove-stale';

interface Manifest {
  readonly exports: Readonly<Record<string, unknown>>;
  readonly bin: Readonly<Record<string, string>>;
  readonly main: string;
  readonly types: string;
}

// Inside the project, so that the package finds its dependencies above itself; a package of its own, so that `stp-net`
// is what is installed there and not the project.
const app = t.testdir({ 'package.json': '{ "name": "app" }', node_modules: { 'stp-net': {} } });
const installed = path.join(app, 'node_modules', 'stp-net');

function node(...args: string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return spawnSync(process.execPath, args, {
    cwd: app,
    encoding: 'utf8',
    env: { ...process.env, STP_REGION: path.join(app, 'region') },
  });
}

function pathsIn(entry: unknown): string[] {
  if (typeof entry === 'string') return [entry];
  return typeof entry === 'object' && entry !== null ? Object.values(entry).flatMap(pathsIn) : [];
}

function filesUnder(directory: string): string[] {
  return fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .flatMap((entry) => (entry.isFile() ? [path.join(entry.parentPath, entry.name)] : []));
}

void t.test('the package holds every file that its manifest names, and nothing of this machine', (t) => {
  const packed = spawnSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', app], {
    cwd: projectRoot(),
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  t.equal(packed.status, 0, packed.stderr);
  const [{ filename } = { filename: '' }] = JSON.parse(packed.stdout) as { filename: string }[];
  const unpacked = spawnSync('tar', ['-xzf', path.join(app, filename), '--strip-components=1', '-C', installed], {
    encoding: 'utf8',
  });
  t.equal(unpacked.status, 0, unpacked.stderr);
  const manifest = JSON.parse(fs.readFileSync(path.join(installed, 'package.json'), 'utf8')) as Manifest;
  const named = [
    manifest.main,
    manifest.types,
    ...pathsIn(manifest.exports),
    ...pathsIn(manifest.bin),
    'LICENSE',
    'README.md',
    'CHANGELOG.md',
    'docs/errors.md',
  ];
  t.same(
    named.filter((file) => !fs.existsSync(path.join(installed, file))),
    [],
  );
  const files = filesUnder(installed);
  t.same(
    files.filter((file) => /(^|[/\\])(test|bench|examples|scripts)[/\\]/.test(path.relative(installed, file))),
    [],
    'no tests',
  );
  t.same(
    files.filter((file) => fs.readFileSync(file, 'utf8').includes(projectRoot())),
    [],
    'no path of this machine',
  );
  t.end();
});

void t.test('every entry loads from CommonJS and from ESM', (t) => {
  const loads = `
    const net = require('stp-net');
    require('stp-net/register');
    const { STPsocket } = require('stp-net/stp');
    console.log(typeof net.connect, typeof net.stpTake, typeof STPsocket, net.Socket === require('node:net').Socket);`;
  const cjs = node('-e', loads);
  t.equal(cjs.stdout, 'function function function true\n', cjs.stderr);
  const imports = `
    import net, { connect, stpTake } from 'stp-net';
    import 'stp-net/register';
    import { STPsocket } from 'stp-net/stp';
    console.log(typeof net.connect, typeof connect, typeof stpTake, typeof STPsocket);`;
  const esm = node('--input-type=module', '-e', imports);
  t.equal(esm.stdout, 'function function function function\n', esm.stderr);
  for (const flag of ['--require', '--import']) {
    const preloaded = node(flag, 'stp-net/register', '-p', '"loaded"');
    t.equal(preloaded.stdout, 'loaded\n', `${flag}: ${preloaded.stderr}`);
  }
  t.end();
});

void t.test('the command runs', (t) => {
  const { bin } = JSON.parse(fs.readFileSync(path.join(installed, 'package.json'), 'utf8')) as Manifest;
  const command = path.join(installed, bin['stp'] ?? '');
  t.match(fs.readFileSync(command, 'utf8'), /^#!\/usr\/bin\/env node\n/);
  t.match(node(command, '--version'), { status: 0, stdout: /^\d+\.\d+\.\d+\n$/ });
  t.match(node(command, 'run', '--', process.execPath, '-p', '6 * 7'), { status: 0, stdout: '42\n' });
  t.end();
});

void t.test('outputs of sources that are gone are stale, and nothing else is', (t) => {
  const root = t.testdir({
    src: { 'kept.ts': '', 'esm.mts': '' },
    dist: {
      src: {
        'kept.js': '',
        'kept.d.ts': '',
        'kept.js.map': '',
        'esm.mjs': '',
        'esm.d.mts': '',
        'gone.js': '',
        'gone.d.ts': '',
        'gone.js.map': '',
        'gone.mjs': '',
        'kept.mjs': '',
        'data.json': '',
      },
      test: { 'gone.test.js': '' },
    },
  });
  t.same(staleOutputs(root, `${root}/dist`).sort(), [
    'src/gone.d.ts',
    'src/gone.js',
    'src/gone.js.map',
    'src/gone.mjs',
    'src/kept.mjs',
    'test/gone.test.js',
  ]);
  t.end();
});
