/**
 * Loads a file of the package with what V8 made of it before, its code cache: to compile the library takes a third of
 * the time until the first socket listens.
 *
 * The cache lies beside the file, one for each version of Node. `npm run build` makes it, else the first process that
 * has run for a while and may write there; nothing is ever written elsewhere. V8 takes no cache that another version or
 * other flags of it made, but does not look for damage: checksums of the text and of the cache find that.
 * NODE_DISABLE_COMPILE_CACHE, Node's own switch, turns it off, and so do source maps, which Node reads for what it
 * loads itself.
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
/** CRC-32 of the text, then of the cache, each 4 bytes. */
const HEAD_BYTES = 8;

type Wrapper = (exports: unknown, require: NodeJS.Require, module: Module, file: string, directory: string) => void;

interface Compiled {
  readonly script: vm.Script;
  readonly cacheFile: string;
  readonly textCrc: number;
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
  const { Script } = require('node:vm') as typeof vm;
  const text = fs.readFileSync(file);
  const textCrc = crcOf(text);
  const cacheFile = `${file}.${process.version}-${process.arch}.cache`;
  const cachedData = readCache(cacheFile, textCrc);
  const options = { filename: file, ...(cachedData === undefined ? {} : { cachedData }) };
  const script = new Script(Module.wrap(text.toString('utf8')), options);
  if (cachedData === undefined || script.cachedDataRejected === true) {
    fresh.set(file, { script, cacheFile, textCrc });
    setTimeout(saveCaches, SAVE_AFTER_MS).unref();
  }
  return script.runInThisContext() as Wrapper;
}

function crcOf(bytes: Uint8Array): number {
  const { crc32 } = require('node:zlib') as typeof zlib;
  return crc32(bytes);
}

function readCache(cacheFile: string, textCrc: number): Buffer | undefined {
  try {
    const bytes = fs.readFileSync(cacheFile);
    const cache = bytes.subarray(HEAD_BYTES);
    const fits = cache.length > 0 && bytes.readUInt32LE(0) === textCrc && bytes.readUInt32LE(4) === crcOf(cache);
    return fits ? cache : undefined;
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
      const cache = script.createCachedData();
      const head = Buffer.alloc(HEAD_BYTES);
      head.writeUInt32LE(textCrc);
      head.writeUInt32LE(crcOf(cache), 4);
      fs.writeFileSync(temporary, Buffer.concat([head, cache]), { flag: 'wx' });
      fs.renameSync(temporary, cacheFile);
    } catch {
      // It is compiled again each time.
    }
  }
  fresh.clear();
}
