/**
 * What the hook loads later, or not at all. `require` and not `import`, so that the preload costs nothing before the
 * first socket of STP; the types come by `import type`, which loads nothing.
 *
 * @note A preload is CommonJS; there is no other way to load something at once when it is needed.
 */
/* eslint-disable @typescript-eslint/no-require-imports -- loading at once, later */
import type * as Glance from '../src/glance';
import type * as Calls from '../src/index';
import Module from 'node:module';
import type childProcess from 'node:child_process';
import type dns from 'node:dns';
import path from 'node:path';
import { loadCompiled } from './compiled';
import type * as Rules from './connect/rules';
import type * as Library from './library';
import type * as Translator from './translator';

const LIBRARY_PATH = path.join(__dirname, 'library.js');

interface Loader {
  readonly prototype: { require: unknown };
  _load: unknown;
}

const loader = Module as unknown as Loader;
const { _load: nodeLoad } = loader;
const { require: nodeRequire } = loader.prototype;

/**
 * Loads files of ours past what the program has laid over `require` since the hook was loaded. To instrumentation that
 * waits for a program to load `net` or `fs` our own loading would look like the program's.
 * @note Node 20 to 26: each `require` calls the two at that moment.
 */
function unseen<T>(load: () => T): T {
  const { _load: theirLoad } = loader;
  const { require: theirRequire } = loader.prototype;
  if (theirLoad === nodeLoad && theirRequire === nodeRequire) return load();
  loader._load = nodeLoad;
  loader.prototype.require = nodeRequire;
  try {
    return load();
  } finally {
    loader._load = theirLoad;
    loader.prototype.require = theirRequire;
  }
}

function loadLibrary(): typeof Library {
  return unseen(() => loadCompiled(LIBRARY_PATH) as typeof Library);
}

/** The call library. */
export function loadCalls(): typeof Calls {
  return loadLibrary().calls;
}

let glance: typeof Glance | undefined;

/** What a client in `auto` needs to know before it needs anything else. */
export function loadGlance(): typeof Glance {
  return (glance ??= unseen(() => require('../src/glance') as typeof Glance));
}

/** The parser of STP_RULES. */
export function loadRules(): typeof Rules {
  return unseen(() => require('./connect/rules') as typeof Rules);
}

let translator: typeof Translator | undefined;

/** The translator, and with it the call library. */
export function loadTranslator(): typeof Translator {
  // A copy, as each name of a namespace is a getter, and some are asked for with each write.
  return (translator ??= { ...loadLibrary().translator });
}

/** The translator where something has loaded it. */
export function loadedTranslator(): typeof Translator | undefined {
  return translator;
}

/** `node:child_process`: takes a millisecond to load where the program does not need it. */
export function loadChildProcess(): typeof childProcess {
  return require('node:child_process') as typeof childProcess;
}

/** `node:dns`: most connects are to an address, and net.js loads it for the others. */
export function loadDns(): typeof dns {
  return require('node:dns') as typeof dns;
}

/** `node:cluster`, in processes that have been forked: the primary of a cluster may have done that. */
export function loadCluster(): { readonly isWorker: boolean } {
  return require('node:cluster') as { isWorker: boolean };
}
