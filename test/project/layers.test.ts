/** Imports go one way: layout < storage < region < link < engine < calls < { shim, bridge < cli }. */
import t from 'tap';
import ts from 'typescript';
import { eachNode, type Import, importsOf, lineOf, parse, projectFiles } from './sources';

const LAYERS = ['layout', 'storage', 'region', 'link', 'engine', 'calls'] as const;
/** What every layer may use. */
const BOTTOM_RANK = -1;
/** It stands on the calls alone, as the shim does. */
const BRIDGE_RANK = LAYERS.length + 1;
const TOP_RANK = LAYERS.length + 2;
/** What the shim may know of src, and the bridge. */
const FOR_SHIM: readonly string[] = ['src/index', 'src/host', 'src/glance'];
const FOR_BRIDGE: readonly string[] = ['src/index', 'src/host', 'src/errors'];
/** What the shim reads from the environment: `stp run` checks it before any program runs. */
const CONFIGURATION = 'shim/configuration';

/** Packages, and the only files that may load them; `lazy` ones only inside a function. */
const PACKAGES: Readonly<Record<string, { files: RegExp; lazy: boolean }>> = {
  koffi: { files: /^src\/storage\/native\.ts$/, lazy: true },
  'proper-lockfile': { files: /^src\/region\/(inspect|remove-region)\.ts$/, lazy: true },
  limiter: { files: /^src\/bridge\/rate\.ts$/, lazy: false },
  commander: { files: /^src\/cli\//, lazy: false },
  eventemitter3: { files: /^src\//, lazy: false },
};

/** Where the package itself lies, however its files are put together. */
const SELF = /^stp-net\/(register|package\.json)$/;

/**
 * Files of a region are worked on through src/storage/file-calls.ts, so that a test can let each call fail. These
 * measure, or look at /proc.
 */
const FILE_CALLERS = /^src\/storage\/(file-calls|mount-table|probe(-side|-pair)?)\.ts$|^src\/region\/machine\.ts$/;
/** No calls. */
const FILE_NAMES: readonly string[] = ['constants', 'Stats'];

const PURE_BUILTINS: Readonly<Record<string, readonly string[]>> = { 'node:crypto': ['timingSafeEqual'] };

/** What a pure layer may not touch: the engine has no I/O and no clock of its own, layouts have no behaviour at all. */
const IMPURE_NAMES = new Set([
  'process',
  'performance',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'require',
  'fetch',
]);

/** Rank of a file of src, shim or cli; undefined for tests, scripts and examples, which may import anything. */
function rankOf(file: string): number | undefined {
  if (/^src\/(errors|crash-points|host)(\.ts)?$/.test(file)) return BOTTOM_RANK;
  if (/^src\/(index|glance)(\.ts)?$/.test(file)) return LAYERS.length;
  const folder = /^src\/([^/]+)(\/|$)/.exec(file)?.[1];
  if (folder === 'cli' || /^shim(\/|$)/.test(file)) return TOP_RANK;
  if (folder === 'bridge') return BRIDGE_RANK;
  if (folder === undefined) return undefined;
  const rank = LAYERS.indexOf(folder as (typeof LAYERS)[number]);
  if (rank < 0) throw new Error(`${file} lies in no known layer: name it in test/project/layers.test.ts`);
  return rank;
}

const topOf = (file: string): string => (file.startsWith('shim/') || file === 'shim' ? 'shim' : 'cli');

/** Why an import breaks the layers, or undefined. */
function breach(found: Import): string | undefined {
  const where = `${found.from}:${found.line} imports ${found.specifier}`;
  const rank = rankOf(found.from);
  if (rank === undefined) return undefined;
  if (found.target === undefined) return packageBreach(found, where);
  const target = rankOf(found.target);
  if (target === undefined) return `${where}: outside of src and shim`;
  if (topOf(found.from) === 'shim' && rank === TOP_RANK) {
    const allowed = FOR_SHIM.includes(found.target) || found.target.startsWith('shim/');
    return allowed ? undefined : `${where}: the shim knows the calls (src/index) and nothing below`;
  }
  if (rank === BRIDGE_RANK) {
    const allowed = FOR_BRIDGE.includes(found.target) || found.target.startsWith('src/bridge/');
    return allowed ? undefined : `${where}: the bridge knows the calls (src/index) and nothing below`;
  }
  if (target > rank) return `${where}: upward`;
  if (target === TOP_RANK && topOf(found.target) !== topOf(found.from) && found.target !== CONFIGURATION)
    return `${where}: the cli knows nothing of the shim but its configuration`;
  return undefined;
}

/** Functions of builtins that depend on their arguments alone. */
function isPure(found: Import): boolean {
  return (
    found.typeOnly || (found.names?.every((name) => PURE_BUILTINS[found.specifier]?.includes(name) === true) ?? false)
  );
}

/** A file call past the one table of them. */
function isFileCall(found: Import): boolean {
  if (
    !/^(node:)?fs(\/promises)?$/.test(found.specifier) ||
    found.typeOnly ||
    !/^src\/(storage|region|link)\//.test(found.from)
  )
    return false;
  return !FILE_CALLERS.test(found.from) && found.names?.every((name) => FILE_NAMES.includes(name)) !== true;
}

function packageBreach(found: Import, where: string): string | undefined {
  if (isFileCall(found)) return `${where}: file calls go through src/storage/file-calls.ts`;
  const builtin = found.specifier.startsWith('node:');
  if (/(^|:|\/)internal\//.test(found.specifier)) return `${where}: an internal of Node`;
  if (builtin)
    return /^src\/(layout|engine)\//.test(found.from) && !isPure(found) ? `${where}: the layer is pure` : undefined;
  if (SELF.test(found.specifier) && /^src\/cli\//.test(found.from)) return undefined;
  const rule = PACKAGES[found.specifier];
  if (rule === undefined) return `${where}: no such dependency (builtins are imported as node:NAME)`;
  if (!rule.files.test(found.from)) return `${where}: only ${String(rule.files)} may`;
  return rule.lazy && !found.lazy && !found.typeOnly ? `${where}: only inside a function` : undefined;
}

const sources = projectFiles().filter((file) => /^(src|shim)\/.*\.m?ts$/.test(file));

void t.test('imports go one way through the layers', (t) => {
  t.ok(sources.length > 5, 'there are sources');
  t.same(
    sources.flatMap((file) =>
      importsOf(file)
        .map(breach)
        .filter((why) => why !== undefined),
    ),
    [],
  );
  t.end();
});

/** Uses of a global that a pure layer may not touch; a local of the same name is no such use. */
function impurities(file: string, text?: string): string[] {
  const source = parse(file, text);
  const locals = new Set<string>();
  eachNode(source, (node) => {
    const declares =
      ts.isParameter(node) ||
      ts.isVariableDeclaration(node) ||
      ts.isBindingElement(node) ||
      ts.isFunctionDeclaration(node);
    if (declares && node.name !== undefined) locals.add(node.name.getText());
  });
  const found: string[] = [];
  eachNode(source, (node) => {
    if (!ts.isPropertyAccessExpression(node) && !ts.isCallExpression(node) && !ts.isNewExpression(node)) return;
    const used = node.expression.getText();
    const clock = /^Date\.now$|^Math\.random$/.test(used) || (used === 'Date' && ts.isNewExpression(node));
    if (clock || (IMPURE_NAMES.has(used) && !locals.has(used))) found.push(`${file}:${lineOf(node)} ${used}`);
  });
  return found;
}

void t.test('the engine and the layouts touch no clock, no timer and no process', (t) => {
  const pure = sources.filter((name) => /^src\/(layout|engine)\//.test(name));
  t.same(
    pure.flatMap((file) => impurities(file)),
    [],
  );
  t.same(impurities('x.ts', 'const at = Date.now(); setTimeout(f, 1); process.exit(1); new Date();').length, 4);
  t.same(impurities('x.ts', 'function f(process: { number: number }) { return process.number; }'), []);
  t.end();
});

void t.test('the rule finds each kind of breach', (t) => {
  const why = (file: string, text: string): string => importsOf(file, text).map(breach).join('|');
  t.match(why('src/storage/a.ts', `import { x } from '../region/b';`), /upward/);
  t.match(why('src/storage/a.ts', `export * from '../calls';`), /upward/);
  t.match(why('src/errors.ts', `import { x } from './layout';`), /upward/);
  t.match(why('shim/a.ts', `import { x } from '../src/calls/types';`), /knows the calls/);
  t.match(why('shim/a.ts', `function f() { return require('../src/region'); }`), /knows the calls/);
  t.match(why('src/cli/a.ts', `import { x } from '../../shim/rules';`), /but its configuration/);
  t.equal(why('src/cli/a.ts', `import { configuration } from '../../shim/configuration';`), '');
  t.match(why('src/link/a.ts', `type X = import('../../test/x').X;`), /outside/);
  t.match(why('src/storage/native.ts', `import koffi from 'koffi';`), /only inside a function/);
  t.match(why('src/region/a.ts', `const k = () => require('koffi');`), /only .* may/);
  t.match(why('src/engine/a.ts', `import fs from 'node:fs';`), /pure/);
  t.match(why('src/engine/a.ts', `import { timingSafeEqual, randomBytes } from 'node:crypto';`), /pure/);
  t.equal(why('src/engine/a.ts', `import { timingSafeEqual as same } from 'node:crypto';`), '');
  t.equal(why('src/storage/native.ts', `import type * as Koffi from 'koffi';`), '');
  t.match(why('src/link/a.ts', `import { closeSync } from 'node:fs';`), /file-calls/);
  t.equal(why('src/link/a.ts', `import { constants, type Stats } from 'node:fs';`), '');
  t.match(why('shim/a.ts', `import 'internal/util';`), /internal/);
  t.match(why('src/calls/a.ts', `import left from 'left-pad';`), /no such dependency/);
  t.equal(why('shim/a.ts', `const calls = () => require('../src/index'); import { y } from './rules';`), '|');
  t.equal(
    why('src/cli/a.ts', `import { inspectRegion } from '../region/index'; import { Command } from 'commander';`),
    '|',
  );
  t.throws(() => why('src/other/a.ts', `import './b';`), /no known layer/);
  t.end();
});
