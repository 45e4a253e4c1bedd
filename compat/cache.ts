/**
 * Where fetched things are kept, outside of the tree: a directory for each, made whole beside its place and then
 * renamed into it, so that what is there is complete and two runs at a time do each other no harm.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { CliFailure } from '../src/cli/failure';

/** `$XDG_CACHE_HOME/stp-net`, else `~/.cache/stp-net`. */
export function defaultCache(): string {
  const base = process.env['XDG_CACHE_HOME'];
  return path.join(base !== undefined && path.isAbsolute(base) ? base : path.join(os.homedir(), '.cache'), 'stp-net');
}

export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** The directory `name` of the cache; `fill` makes its contents where it is not there yet, or `refresh` is set. */
export function cached(cache: string, name: string, fill: (directory: string) => void, refresh = false): string {
  const place = path.join(cache, name);
  if (fs.existsSync(place) && !refresh) return place;
  let making: string;
  try {
    fs.mkdirSync(cache, { recursive: true });
    making = fs.mkdtempSync(path.join(cache, `.${name}-`));
  } catch (error) {
    throw new CliFailure(
      `can not write to the cache ${cache}: ${(error as Error).message}`,
      undefined,
      'Name another with --cache DIR.',
    );
  }
  try {
    say(`fetching ${name}`);
    fill(making);
    if (refresh) fs.rmSync(place, { recursive: true, force: true });
    try {
      fs.renameSync(making, place);
    } catch (error) {
      // Another run was faster; what it has put there is the same.
      if (!fs.existsSync(place)) throw error;
    }
    return place;
  } finally {
    fs.rmSync(making, { recursive: true, force: true });
  }
}

/** Runs a command of the system to its end; fails with what it said, and `hint`. Returns its standard output. */
export function command(name: string, args: readonly string[], cwd: string, hint: string): string {
  const { status, error, stdout, stderr } = spawnSync(name, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (error !== undefined) throw new CliFailure(`can not run ${name}: ${error.message}`, undefined, hint);
  if (status !== 0)
    throw new CliFailure(
      `${name} ${args[0] ?? ''} failed (exit code ${String(status)}): ${lastLines(stderr === '' ? stdout : stderr)}`,
      undefined,
      hint,
    );
  return stdout;
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-3).join(' / ');
}
