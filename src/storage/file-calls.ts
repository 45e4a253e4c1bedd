/**
 * Every call by which files of a region are opened, read, written, made or removed, in one table: code that works on
 * them calls `io`, and nothing of `node:fs`. src/storage/native.ts has those that Node lacks.
 *
 * The table is what a test walks (`npm run test:errors`): its preload leaves a hook before this file is loaded, which
 * may put a failing call in the place of each. In a program there is no hook, and the table holds the functions of
 * `node:fs` themselves.
 */
import fs from 'node:fs';

/** Where a test's preload leaves its hook, before this file is loaded. */
export const FILE_HOOK = Symbol.for('stp-net.file-hook');

/** Gives what is called in the place of `call`. */
export type FileHook = <Call>(operation: string, call: Call) => Call;

const hook = (globalThis as { [FILE_HOOK]?: FileHook })[FILE_HOOK];

/** The call itself, or what a test has put in its place. */
export function hooked<Call>(operation: string, call: Call): Call {
  return hook === undefined ? call : hook(operation, call);
}

export const io = {
  accessSync: hooked('access', fs.accessSync),
  closeSync: hooked('close', fs.closeSync),
  existsSync: hooked('exists', fs.existsSync),
  fchmodSync: hooked('fchmod', fs.fchmodSync),
  fchownSync: hooked('fchown', fs.fchownSync),
  fstatSync: hooked('fstat', fs.fstatSync),
  fsyncSync: hooked('fsync', fs.fsyncSync),
  linkSync: hooked('link', fs.linkSync),
  lstatSync: hooked('lstat', fs.lstatSync),
  mkdirSync: hooked('mkdir', fs.mkdirSync),
  openSync: hooked('open', fs.openSync),
  readSync: hooked('read', fs.readSync),
  readdirSync: hooked('readdir', fs.readdirSync),
  realpathSync: hooked('realpath', fs.realpathSync.native),
  rmdirSync: hooked('rmdir', fs.rmdirSync),
  statSync: hooked('stat', fs.statSync),
  statfsSync: hooked('statfs', fs.statfsSync),
  unlinkSync: hooked('unlink', fs.unlinkSync),
  watch: hooked('watch', fs.watch),
  writeSync: hooked('write', fs.writeSync),
} as const;
