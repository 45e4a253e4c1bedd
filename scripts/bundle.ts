/**
 * Part of `npm run build`: makes of the files of src/ and shim/ the few files that programs load, in dist/lib. To find
 * and compile 230 small files takes a program longer than to run what is in them.
 *
 * - `hook.js`: what the preload loads. `library.js`: what the first socket loads, the call library among it.
 * - `register.js`, `index.js`, `index-esm.mjs` and `stp.js`: the entries of the package, a line each.
 * - `library.js.VERSION.cache`: what V8 has made of the library, for the Node that builds, see shim/compiled.ts.
 * - `beat-thread.js`, `cli.js` and `trial-main.js`: the thread of heartbeats, the command `stp`, and the processes with
 *   which it tries a directory. `bridge.js`: what `stp bridge` loads, on top of the library.
 *
 * Invariant: each source is in one of the two and no more, as both keep state. What the library shares with the hook it
 * takes from there.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build, type BuildOptions, type Plugin } from 'esbuild';
import { projectRoot } from './project-root';

const ROOT = projectRoot();
const OUT = path.join(ROOT, 'dist', 'lib');
const HOOK_SOURCES: readonly string[] = ['shim/hook.ts', 'shim/index.ts'];
const LIBRARY_SOURCE = 'shim/library.ts';
const HOOK_FILE = './hook.js';
const LAYOUT = 'src/layout/';
const CALLS = 'src/index';
const CALLS_FILE = './stp.js';
/** Least length of a line that is broken. */
const LINE_MAX = 120;
const ASCII_MAX = 0x7f;

const COMMON = {
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  // As a require: Node's loader of ES modules takes 30 ms more.
  supported: { 'dynamic-import': false },
  packages: 'external',
  minifySyntax: true,
  sourcemap: true,
  legalComments: 'none',
  logLevel: 'warning',
} as const satisfies BuildOptions;

/** esbuild takes no expression with the flag `u`. */
const matching = (source: string): RegExp => new RegExp(source);

/** A module's name in the shared table: its path from the root. */
const nameOf = (file: string): string => path.relative(ROOT, file).replaceAll(path.sep, '/');

/**
 * An ES module of the names that `source` has. They are constants: what esbuild makes by itself is a getter for each,
 * which is called wherever the name is used, and a copy of all names for each importer.
 */
function taking(source: string, names: readonly string[]): string {
  const taken = names
    .filter((name) => /^[A-Za-z_]\w*$/u.test(name))
    .map((name) => `const $${name} = /* @__PURE__ */ (() => all.${name})(); export { $${name} as ${name} };`);
  return [`const all = ${source};`, ...taken].join('\n');
}

/** What a source that the hook has exports. */
async function namesIn(source: string): Promise<readonly string[]> {
  const { shared } = (await import(path.join(OUT, HOOK_FILE))) as { shared: Record<string, () => object> };
  return Object.keys(shared[source]?.() ?? {});
}

/**
 * Node's own modules, once for each bundle and without a copy of all that they export, which costs a millisecond.
 * A name is taken when the bundle is loaded, as what the program replaces later is not what we want.
 */
const builtinModules: Plugin = {
  name: 'builtin-modules',
  setup: (hooks) => {
    hooks.onResolve({ filter: matching('^node:') }, ({ path: wanted, kind, namespace }) =>
      kind === 'require-call' || namespace === 'builtin'
        ? { path: wanted, external: true }
        : { path: wanted, namespace: 'builtin' },
    );
    hooks.onLoad({ filter: matching('.'), namespace: 'builtin' }, async ({ path: wanted }) => {
      const names = Object.keys((await import(wanted)) as object).filter((name) => name !== 'default');
      return {
        contents: `${taking(`require(${JSON.stringify(wanted)})`, names)}\nexport default all;`,
        loader: 'js',
        resolveDir: ROOT,
      };
    });
  },
};

const BYTE_CRASH_POINT = /(export function byteCrashPoint\(name: CrashPoint\): void \{)[^}]*\}/u;

/**
 * Without the moments on the way of each message at which tests kill a process: esbuild drops calls of an empty
 * function.
 */
const noByteCrashPoints: Plugin = {
  name: 'no-byte-crash-points',
  setup: (hooks) => {
    hooks.onLoad({ filter: matching('/src/crash-points[.]ts$') }, ({ path: source }) => {
      const text = fs.readFileSync(source, 'utf8');
      if (!BYTE_CRASH_POINT.test(text)) throw new Error(`no byteCrashPoint in ${source}`);
      return { contents: text.replace(BYTE_CRASH_POINT, '$1}'), loader: 'ts' };
    });
  },
};

/** Takes each source that the hook has from the hook. */
function fromHook(shared: ReadonlySet<string>): Plugin {
  return {
    name: 'from-hook',
    setup: (hooks) => {
      hooks.onResolve({ filter: matching('^[.]') }, ({ path: wanted, importer, namespace }) => {
        if (namespace !== 'file') return undefined;
        const place = path.resolve(path.dirname(importer), wanted);
        const name = [`${place}.ts`, path.join(place, 'index.ts')].map(nameOf).find((one) => shared.has(one));
        return name === undefined ? undefined : { path: name, namespace: 'hook' };
      });
      hooks.onResolve({ filter: matching('^[.]/hook[.]js$'), namespace: 'hook' }, () => ({
        path: HOOK_FILE,
        external: true,
      }));
      hooks.onLoad({ filter: matching('.'), namespace: 'hook' }, async ({ path: name }) => ({
        contents: taking(
          `require(${JSON.stringify(HOOK_FILE)}).shared[${JSON.stringify(name)}]()`,
          await namesIn(name),
        ),
        loader: 'js',
        resolveDir: ROOT,
      }));
    },
  };
}

/**
 * Takes the call library from where programs have it, with what V8 made of it before. The bridge takes its class of
 * errors from there as well, so that there is one.
 */
const callsFromLibrary: Plugin = {
  name: 'calls-from-library',
  setup: (hooks) => {
    hooks.onResolve({ filter: matching('^[.]') }, ({ path: wanted, importer, namespace }) => {
      const source = nameOf(path.resolve(path.dirname(importer), wanted));
      const isErrors = source === 'src/errors' && nameOf(importer).includes('/bridge/');
      return namespace === 'file' && (source === CALLS || isErrors) ? { path: wanted, namespace: 'calls' } : undefined;
    });
    hooks.onResolve({ filter: matching('.'), namespace: 'calls' }, () => ({ path: CALLS_FILE, external: true }));
    hooks.onLoad({ filter: matching('.'), namespace: 'calls' }, async () => ({
      contents: taking(`require(${JSON.stringify(CALLS_FILE)})`, Object.keys(await libraryCalls())),
      loader: 'js',
      resolveDir: ROOT,
    }));
  },
};

/**
 * The numbers of a file layout in the place of the code that declares it. Its functions are not there: a build in which
 * the hook wants one fails.
 */
const layoutNumbers: Plugin = {
  name: 'layout-numbers',
  setup: (hooks) => {
    hooks.onLoad({ filter: matching(`/${LAYOUT}[^/]+[.]ts$`) }, async ({ path: source }) => {
      const compiled = path.join(ROOT, 'dist', `${nameOf(source).slice(0, -'.ts'.length)}.js`);
      const wanted = ([name, value]: readonly [string, unknown]): boolean =>
        /^[A-Z]/u.test(name) && /number|object/u.test(typeof value);
      const exported = Object.entries((await import(compiled)) as object).filter(wanted);
      return { contents: exported.map(([name, value]) => `export const ${name} = ${numbersOf(value)};`).join('\n') };
    });
  },
};

function numbersOf(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) => (/number|object/u.test(typeof part) ? part : undefined));
}

async function bundleHook(shared: readonly string[], outfile: string): Promise<readonly string[]> {
  const entries = shared.map((name) => `${JSON.stringify(name)}: () => require(${JSON.stringify(`./${name}`)})`);
  const sources = await bundle({
    stdin: {
      contents: [
        `exports.shared = {${entries.join(', ')}};`,
        `exports.install = () => require('./shim/hook.ts').install();`,
      ].join('\n'),
      resolveDir: ROOT,
      sourcefile: 'hook-entry.js',
    },
    outfile,
    plugins: [layoutNumbers],
  });
  return sources.filter((name) => !name.startsWith(LAYOUT));
}

/** The sources that went into the bundle, by their paths from the root. */
async function bundle(options: BuildOptions): Promise<readonly string[]> {
  const plugins = [builtinModules, lateBundles, noByteCrashPoints, ...(options.plugins ?? [])];
  const { metafile } = await build({ ...COMMON, ...options, plugins, metafile: true });
  return Object.keys(metafile.inputs).filter((name) => name.endsWith('.ts'));
}

/** What runs in a process or a thread of its own, and shares nothing with the others. */
const ALONE = [
  ['src/region/beat-thread.ts', 'beat-thread.js'],
  ['src/cli/stp.ts', 'cli.js'],
  ['src/cli/trial-main.ts', 'trial-main.js'],
] as const;

/** What `cli.js` loads where it is wanted, so that other commands start without it. */
const LATE: Readonly<Record<string, string>> = { './serve.js': './bridge.js' };

const lateBundles: Plugin = {
  name: 'late-bundles',
  setup: (hooks) => {
    hooks.onResolve({ filter: matching('^[.]/') }, ({ path: wanted, kind }) => {
      const file = kind === 'dynamic-import' ? LATE[wanted] : undefined;
      return file === undefined ? undefined : { path: file, external: true };
    });
  },
};

/** The entries of the package. An old Node must be able to read `register.js`, which is why it is not in the hook. */
const ENTRIES: Readonly<Record<string, string>> = {
  'index.js': `module.exports = require('./hook.js').shared['shim/index.ts']();\n`,
  'stp.js': `module.exports = { ...require('./hook.js').shared['shim/lazy.ts']().loadCalls() };\n`,
};

async function libraryCalls(): Promise<object> {
  return ((await import(path.join(OUT, 'library.js'))) as { calls: object }).calls;
}

/** A line that never runs: an ESM import reads from it which names there are. */
async function namesForEsm(): Promise<string> {
  return `0 && (module.exports = { ${Object.keys(await libraryCalls()).join(', ')} });\n`;
}

/** Makes the code cache of the library for the Node that builds, in a process like any other. */
function makeCodeCache(): void {
  const region = fs.mkdtempSync(path.join(os.tmpdir(), 'stp-build-'));
  try {
    execFileSync(
      process.execPath,
      ['--require', path.join(OUT, 'register.js'), path.join(ROOT, 'dist/scripts/first-connection.js')],
      { env: { ...process.env, STP_NET: 'stp', STP_REGION: region }, stdio: 'inherit' },
    );
  } finally {
    fs.rmSync(region, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  fs.rmSync(OUT, { recursive: true, force: true });
  fs.mkdirSync(OUT, { recursive: true });
  const hook = path.join(OUT, 'hook.js');
  // Once to learn what belongs to it, and again with all of that in its table.
  const shared = await bundleHook(HOOK_SOURCES, hook);
  await bundleHook(shared, hook);
  const library = path.join(OUT, 'library.js');
  // Without comments and indents, as all of it is read with the first socket; names and lines stay, for stack traces.
  const inLibrary = await bundle({
    entryPoints: [LIBRARY_SOURCE],
    outfile: library,
    plugins: [fromHook(new Set(shared))],
    minifyWhitespace: true,
    lineLimit: LINE_MAX,
    charset: 'ascii',
  });
  if (fs.readFileSync(library).some((byte) => byte > ASCII_MAX)) throw new Error(`${library} is not ASCII alone`);
  const twice = inLibrary.filter((name) => shared.includes(name));
  if (twice.length > 0) throw new Error(`in both bundles: ${twice.join(', ')}`);
  await Promise.all([
    bundle({ entryPoints: ['shim/register.ts'], outfile: path.join(OUT, 'register.js'), external: ['./hook'] }),
    bundle({
      entryPoints: ['src/cli/bridge/serve.ts'],
      outfile: path.join(OUT, 'bridge.js'),
      sourcemap: false,
      plugins: [callsFromLibrary, fromHook(new Set(shared))],
    }),
    ...ALONE.map(([source, file]) =>
      bundle({ entryPoints: [source], outfile: path.join(OUT, file), sourcemap: false }),
    ),
  ]);
  for (const [name, contents] of Object.entries(ENTRIES)) fs.writeFileSync(path.join(OUT, name), contents);
  fs.appendFileSync(path.join(OUT, 'stp.js'), await namesForEsm());
  fs.copyFileSync(path.join(ROOT, 'dist/shim/index-esm.mjs'), path.join(OUT, 'index-esm.mjs'));
  makeCodeCache();
}

void main();
