/**
 * Node's own tests, from the Debian source package `nodejs` of the suite trixie, by apt in a directory of its own: from
 * the mirror and with the proxies that this machine is set up with, and without root.
 */
import fs from 'node:fs';
import path from 'node:path';
import { CliFailure, ExitCode } from '../src/cli/failure';
import { cached, command, say } from './cache';

/** What the package holds; the binary that its tests are run with is the same. */
export const NODE_TESTS_VERSION = '20.19.2';

const SUITE = 'trixie';
/** Counts up with what is taken from the package (`WANTED`), so that a cache that holds less is not used. */
const NAME = `node-tests-2@${NODE_TESTS_VERSION}`;
const HINT =
  "Node's tests come from the Debian source package nodejs (trixie): " +
  'is the network there, and does `apt-get update` work? What was fetched once is kept.';
/** Keys of Debian's archive; apt's own where the file is elsewhere. */
const KEYRINGS = ['/usr/share/keyrings/debian-archive-keyring.gpg', '/usr/share/keyrings/debian-archive-keyring.pgp'];
const WANTED = ['common', 'fixtures', 'parallel', 'sequential', 'async-hooks'].map((folder) => `*/test/${folder}`);

/** The directory that has `parallel`, `sequential`, `async-hooks`, `common` and `fixtures`. */
export function nodeTests(cache: string): string {
  const directory = cached(cache, NAME, (making) => {
    const apt = aptOptions(path.join(making, 'apt'));
    command('apt-get', [...apt, 'update'], making, HINT);
    say('  the list of sources is there; now the source package (20 MB)');
    const version = sourceVersion(command('apt-cache', [...apt, 'showsrc', 'nodejs'], making, HINT));
    const archive = 'nodejs.orig.tar.xz';
    download(
      apt,
      command('apt-get', [...apt, 'source', '--print-uris', '--download-only', `nodejs=${version}`], making, HINT),
      path.join(making, archive),
    );
    const wildcards = [
      '--strip-components=2',
      '--wildcards',
      '--exclude',
      '*/fixtures/wpt',
      '--exclude',
      '*/deps',
      ...WANTED,
    ];
    command('tar', ['-xJf', archive, ...wildcards], making, 'Is xz installed?');
    for (const file of fs.readdirSync(making)) {
      if (file === 'apt' || file === archive) fs.rmSync(path.join(making, file), { recursive: true });
    }
    if (!fs.existsSync(path.join(making, 'parallel')))
      throw new CliFailure(`${archive} holds no tests`, ExitCode.failed, HINT);
  });
  // Some tests write beside themselves where they are not told otherwise, and some read package.json of the folder
  // above.
  return directory;
}

/**
 * The archive with the tests, of those that a source package consists of. Debian's own parts change with each security
 * update, and a mirror may list them before it has them.
 */
function download(apt: readonly string[], uris: string, target: string): void {
  const [, uri, hash] = /^'([^']+\.orig\.tar\.xz)' \S+ \d+ (SHA256:\w+)/mu.exec(uris) ?? [];
  if (uri === undefined || hash === undefined)
    throw new CliFailure('the source package nodejs has no .orig.tar.xz', ExitCode.failed, HINT);
  command('/usr/lib/apt/apt-helper', [...apt, 'download-file', uri, target, hash], path.dirname(target), HINT);
}

/** A configuration of apt that has nothing of this machine's but its mirror, proxies and trusted keys. */
function aptOptions(directory: string): string[] {
  const parts = path.join(directory, 'sources');
  for (const folder of [parts, path.join(directory, 'lists/partial'), path.join(directory, 'archives/partial')])
    fs.mkdirSync(folder, { recursive: true });
  const keyring = KEYRINGS.find((file) => fs.existsSync(file));
  const lines = [
    'Types: deb-src',
    `URIs: ${mirror()}`,
    `Suites: ${SUITE}`,
    'Components: main',
    ...(keyring === undefined ? [] : [`Signed-By: ${keyring}`]),
  ];
  fs.writeFileSync(path.join(parts, `${SUITE}.sources`), `${lines.join('\n')}\n`);
  const settings = {
    'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': parts,
    'Dir::State::lists': path.join(directory, 'lists'),
    'Dir::Cache': directory,
    'Dir::Cache::archives': path.join(directory, 'archives'),
    'Acquire::Languages': 'none',
    // As root, apt would fetch as a user that may not write into the cache.
    'APT::Sandbox::User': 'root',
  };
  return ['-qq', ...Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])];
}

/** The Debian mirror of this machine: what apt takes the packages of Debian's main archive from. */
function mirror(): string {
  const format = '$(ORIGIN)|$(LABEL)|$(REPO_URI)';
  const listed = command('apt-get', ['indextargets', '--format', format], '/', HINT)
    .split('\n')
    .map((line) => line.split('|'));
  const named = listed.find(([origin, label]) => origin === 'Debian' && label === 'Debian')?.[2];
  const uri = named ?? configuredUris().find((each) => /\/debian\/?$/u.test(each));
  if (uri === undefined)
    throw new CliFailure(
      'apt knows no mirror of Debian on this machine',
      ExitCode.failed,
      "Node's tests come from the Debian source package nodejs: run this on Debian, or with its sources in /etc/apt.",
    );
  return uri;
}

/** Where apt has no lists yet (containers), the mirrors as they are written in its configuration. */
function configuredUris(): string[] {
  const folder = '/etc/apt/sources.list.d';
  const files = [
    '/etc/apt/sources.list',
    ...(fs.existsSync(folder)
      ? fs
          .readdirSync(folder)
          .filter((file) => /\.(list|sources)$/u.test(file))
          .map((file) => path.join(folder, file))
      : []),
  ];
  const lines = files
    .filter((file) => fs.existsSync(file))
    .flatMap((file) => fs.readFileSync(file, 'utf8').split('\n'));
  return lines.flatMap((line) => /^(?:URIs:|deb(?:-src)?\s+(?:\[[^\]]*\])?)\s*(\S+)/u.exec(line)?.[1] ?? []);
}

/** The package's version of the Node that the binary is of: a mirror may hold several. */
function sourceVersion(showsrc: string): string {
  const versions = [...showsrc.matchAll(/^Version: (\S+)$/gmu)].map(([, version = '']) => version);
  const wanted = versions.find(
    (version) => version.startsWith(`${NODE_TESTS_VERSION}+`) || version.startsWith(`${NODE_TESTS_VERSION}-`),
  );
  if (wanted === undefined)
    throw new CliFailure(
      `the mirror has the source package nodejs as ${versions.join(', ') || 'nothing'}, not ${NODE_TESTS_VERSION}`,
      ExitCode.failed,
      HINT,
    );
  return wanted;
}
