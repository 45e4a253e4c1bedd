/**
 * Loads a file of the package with what V8 made of it before, its code cache: to compile the library takes a third of
 * the time until the first socket listens.
 *
 * The text is read as it lies there, without a look at what others have laid over Node's loader.
 *
 * The caches lie beside the file, one for each version of Node and each of a few sets of V8's flags: V8 takes none that
 * was made with others (before Node 24 `--max-old-space-size` is one). `npm run build` makes the first, else a process
 * that has run for a while, or ends, and may write there; nothing is ever written elsewhere. V8 does not look for
 * damage: checksums of the text and of the cache find that. NODE_DISABLE_COMPILE_CACHE, Node's own switch, turns it
 * off, and so do source maps, which Node reads for what it loads itself.
 */
/* eslint-disable @typescript-eslint/no-require-imports -- what a process without STP sockets has no use for */
import fs from 'node:fs';
import Module from 'node:module';
import path from 'node:path';
import type vm from 'node:vm';
import type zlib from 'node:zlib';
import { setTimeout } from '../src/host';

/** A process that has run for so long has time to make a cache, which takes some milliseconds. */
const SAVE_AFTER_MS = 1000;
/** CRC-32 of the text and of all that follows, the length of the sample, and 0, each 4 bytes. */
const HEAD_BYTES = 16;
/** V8 copies a cache that does not begin at a multiple of this. */
const ALIGN_BYTES = 8;
/** A text whose cache V8 takes where it takes ours, and looks at in no time. */
const SAMPLE = '0';
/** Sets of flags for which a cache is kept, at most. */
const CACHES_MAX = 8;

/** What Node lays around a module, with ASCII alone in it, as in the file (scripts/bundle.ts sees to that). */
const WRAPPER_HEAD = Buffer.from('(function (exports, require, module, __filename, __dirname) {');
const WRAPPER_TAIL = Buffer.from('\n})');

type Wrapper = (exports: unknown, require: NodeJS.Require, module: Module, file: string, directory: string) => void;

interface Compiled {
  readonly script: vm.Script;
  readonly cacheFile: string;
  readonly textCrc: number;
}

interface Found {
  readonly cachedData?: Buffer;
  /** Where the cache for this process is, or belongs. */
  readonly cacheFile?: string;
}

/** What was compiled without a cache, by file. */
const fresh = new Map<string, Compiled>();

/** What the module at `file` exports; it is a module like any other, and loaded once. */
export function loadCompiled(file: string): unknown {
  const known = require.cache[file];
  if (known !== undefined) return known.exports;
  if (process.sourceMapsEnabled || (process.env['NODE_DISABLE_COMPILE_CACHE'] ?? '') !== '')
    return require(file) as unknown;
  const wrapper = compile(file);
  const loaded = new Module(file);
  loaded.filename = file;
  require.cache[file] = loaded;
  try {
    wrapper.call(loaded.exports, loaded.exports, Module.createRequire(file), loaded, file, path.dirname(file));
  } catch (error) {
    Reflect.deleteProperty(require.cache, file);
    throw error;
  }
  loaded.loaded = true;
  return loaded.exports;
}

function compile(file: string): Wrapper {
  const text = readWrapped(file);
  const textCrc = crcOf(text);
  const { cacheFile, ...options } = findCache(file, textCrc);
  const script = makeScript(text.toString('latin1'), { filename: file, ...options });
  if (cacheFile !== undefined && (options.cachedData === undefined || script.cachedDataRejected === true)) {
    fresh.set(file, { script, cacheFile, textCrc });
    setTimeout(saveCaches, SAVE_AFTER_MS).unref();
    // Where all programs are short, one of them must make it.
    process.once('exit', saveCaches);
  }
  return script.runInThisContext() as Wrapper;
}

/** In one piece: each copy of it is more than V8's first heap holds without a collection. */
function readWrapped(file: string): Buffer {
  const fd = fs.openSync(file, 'r');
  try {
    const { size } = fs.fstatSync(fd);
    const end = WRAPPER_HEAD.length + size;
    const text = Buffer.allocUnsafeSlow(end + WRAPPER_TAIL.length);
    text.set(WRAPPER_HEAD);
    for (let at = WRAPPER_HEAD.length; at < end;) {
      const read = fs.readSync(fd, text, at, end - at, null);
      if (read === 0) throw new Error(`${file} is cut short`);
      at += read;
    }
    text.set(WRAPPER_TAIL, end);
    return text;
  } finally {
    fs.closeSync(fd);
  }
}

function makeScript(text: string, options?: vm.ScriptOptions): vm.Script {
  const { Script } = require('node:vm') as typeof vm;
  return new Script(text, options);
}

function crcOf(bytes: Uint8Array): number {
  const { crc32 } = require('node:zlib') as typeof zlib;
  return crc32(bytes);
}

/** The cache of this V8 with its flags; else the place of the first that is missing, damaged or of another text. */
function findCache(file: string, textCrc: number): Found {
  for (let n = 0; n < CACHES_MAX; n++) {
    const cacheFile = `${file}.${process.version}-${process.arch}${n === 0 ? '' : `-${n}`}.cache`;
    const bytes = readQuietly(cacheFile);
    if (bytes === undefined || bytes.length <= HEAD_BYTES || bytes.readUInt32LE(0) !== textCrc) return { cacheFile };
    if (bytes.readUInt32LE(4) !== crcOf(bytes.subarray(8))) return { cacheFile };
    const sampleEnd = HEAD_BYTES + bytes.readUInt32LE(8);
    if (!isOurs(cacheFile, bytes.subarray(HEAD_BYTES, sampleEnd))) continue;
    return { cachedData: bytes.subarray(aligned(sampleEnd)), cacheFile };
  }
  return {};
}

/**
 * Whether V8 takes a cache that was made together with this one of the sample. The name is the file's: under a name for
 * which it has compiled the sample, V8 does not look at a cache.
 */
function isOurs(filename: string, sample: Buffer): boolean {
  return makeScript(SAMPLE, { filename, cachedData: sample }).cachedDataRejected === false;
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGN_BYTES) * ALIGN_BYTES;
}

function readQuietly(file: string): Buffer | undefined {
  try {
    return fs.readFileSync(file);
  } catch {
    return undefined;
  }
}

/** Writes the caches of what was compiled without one, with all functions that have run since. Never throws. */
export function saveCaches(): void {
  for (const { script, cacheFile, textCrc } of fresh.values()) {
    const temporary = `${cacheFile}.${process.pid}`;
    try {
      // First, as it is cheap: most processes that have no cache after the first process can't write one.
      fs.accessSync(path.dirname(cacheFile), fs.constants.W_OK);
      const sample = makeScript(SAMPLE).createCachedData();
      const padding = Buffer.alloc(aligned(sample.length) - sample.length);
      const bytes = Buffer.concat([Buffer.alloc(HEAD_BYTES), sample, padding, script.createCachedData()]);
      bytes.writeUInt32LE(textCrc);
      bytes.writeUInt32LE(sample.length, 8);
      bytes.writeUInt32LE(crcOf(bytes.subarray(8)), 4);
      fs.writeFileSync(temporary, bytes, { flag: 'wx' });
      fs.renameSync(temporary, cacheFile);
    } catch {
      // It is compiled again each time.
    }
  }
  fresh.clear();
}
