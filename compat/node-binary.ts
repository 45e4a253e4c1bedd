/** Node itself in a given version, from npm: its package for this platform holds the program. */
import path from 'node:path';
import { CliFailure } from '../src/cli/failure';
import { cached, command } from './cache';

const HINT =
  'The binaries of Node come from npm: is the network there, and does `npm ping` work? What was fetched once is kept.';

/** Absolute path of the `node` of a version (`20.19.2`, or `22` for the newest of that line). */
export function nodeBinary(cache: string, version: string, refresh = false): string {
  if (!/^\d+(\.\d+){0,2}$/u.test(version))
    throw new CliFailure(`"${version}" is no version of Node`, 2, 'Give a line (22) or a version (20.19.2).');
  const name = `node-${process.platform}-${process.arch}`;
  const directory = cached(
    cache,
    `${name}@${version}`,
    (making) => {
      command('npm', ['pack', '--silent', `${name}@${version}`], making, HINT);
      command('sh', ['-c', 'tar -xzf ./*.tgz --strip-components=1 && rm ./*.tgz'], making, HINT);
      command(
        path.join(making, 'bin', 'node'),
        ['--version'],
        making,
        'The package was unpacked, and its program does not run here.',
      );
    },
    refresh,
  );
  return path.join(directory, 'bin', 'node');
}
