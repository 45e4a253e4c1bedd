/**
 * The packages that the applications stand on: installed beside their manifest, apart from those of the project, and
 * again when the lock changes.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { projectRoot } from '../scripts/project-root';
import { type Application } from './application-list';
import { command, say } from './cache';

const HINT =
  'The applications come from npm: is the network there, and does `npm ping` work? What was installed once is kept.';

/** Installs what is missing. */
export function installPackages(): void {
  const directory = path.join(projectRoot(), 'compat');
  const stamp = path.join(directory, 'node_modules', '.stp-net-lock');
  const lock = createHash('sha256')
    .update(fs.readFileSync(path.join(directory, 'package-lock.json')))
    .digest('hex');
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === lock) return;
  say('installing the packages of the applications');
  // None of them needs the scripts of its packages, and so none gets to run any.
  command('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--silent'], directory, HINT);
  fs.writeFileSync(stamp, lock);
}

/** What an application wants made once; undefined where it wants nothing. */
export function prepared({ prepare }: Application): string | undefined {
  if (prepare === undefined) return undefined;
  const file = path.join(projectRoot(), 'compat/node_modules', `.${prepare}`);
  if (fs.existsSync(file)) return file;
  say(`running ${prepare}, once`);
  command(
    process.execPath,
    [path.join(projectRoot(), 'compat/applications', `${prepare}.mjs`), file],
    projectRoot(),
    'It needs about 500 MB of memory.',
  );
  return file;
}
