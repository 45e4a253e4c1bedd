/**
 * The kernel of the guests: Debian's, unpacked and not installed, so that what the machine itself starts with stays as
 * it is.
 *
 * Only the kernel and the modules that the guests need are kept, in the cache of fetched things.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { cached, command, defaultCache } from '../../compat/cache';

export type GuestStand = 'nfs' | 'virtiofs' | 'p9';

const PACKAGE = 'linux-image-amd64';
/** What all of them start with: the machine's devices, the line to the test, and the two file systems of the root. */
const COMMON_MODULES = ['virtio_pci', 'virtio_console', 'virtiofs', 'overlay'];
const MODULES: Readonly<Record<GuestStand, readonly string[]>> = {
  nfs: [...COMMON_MODULES, 'virtio_net', 'nfsv4'],
  virtiofs: COMMON_MODULES,
  p9: [...COMMON_MODULES, '9pnet_virtio', '9p'],
};
/** Another list of modules is another entry of the cache. */
const NAME = `guest-kernel-${createHash('sha256').update(JSON.stringify(MODULES)).digest('hex').slice(0, 8)}`;

const orderFile = (stand: GuestStand): string => `${stand}.order`;

export interface GuestKernel {
  /** The file to boot. */
  readonly image: string;
  /** Files of the modules of a stand, each after those that it needs. */
  modules(stand: GuestStand): string[];
}

function at(directory: string): GuestKernel {
  return {
    image: path.join(directory, 'vmlinuz'),
    modules: (stand) => {
      const names = fs
        .readFileSync(path.join(directory, orderFile(stand)), 'utf8')
        .split('\n')
        .filter((name) => name !== '');
      return names.map((name) => path.join(directory, name));
    },
  };
}

/** The kernel, where it was fetched before. */
export function guestKernel(): GuestKernel | undefined {
  const place = path.join(defaultCache(), NAME);
  return fs.existsSync(place) ? at(place) : undefined;
}

/** Fetches the kernel where it is not there yet; throws with the reason where that fails. */
export function fetchGuestKernel(): GuestKernel {
  return at(cached(defaultCache(), NAME, fill));
}

function fill(directory: string): void {
  const unpacked = path.join(directory, 'unpacked');
  fs.mkdirSync(unpacked);
  const run = (name: string, ...args: string[]): string =>
    command(name, args, unpacked, `${PACKAGE} comes from Debian.`);
  const described = run('apt-cache', 'show', '--no-all-versions', PACKAGE);
  const [, version] = /^Depends:.*\blinux-image-([^\s,]+)/mu.exec(described) ?? [];
  if (version === undefined) throw new Error(`${PACKAGE} names no kernel`);
  run('apt-get', '-q', 'download', `linux-image-${version}`);
  const archive = fs.readdirSync(unpacked).find((name) => name.endsWith('.deb'));
  if (archive === undefined) throw new Error(`apt-get has downloaded no linux-image-${version}`);
  run('dpkg-deb', '--extract', archive, '.');
  run('depmod', '--basedir', unpacked, version);
  for (const [stand, names] of Object.entries(MODULES) as [GuestStand, readonly string[]][]) {
    const lines = names.flatMap((name) => run('modprobe', '-d', unpacked, '-S', version, '-D', name).split('\n'));
    const files = [...new Set(lines.flatMap((line) => /^insmod (\S+)/u.exec(line)?.[1] ?? []))];
    for (const file of files) fs.copyFileSync(file, path.join(directory, path.basename(file)));
    fs.writeFileSync(path.join(directory, orderFile(stand)), files.map((file) => `${path.basename(file)}\n`).join(''));
  }
  fs.copyFileSync(path.join(unpacked, 'boot', `vmlinuz-${version}`), path.join(directory, 'vmlinuz'));
  fs.rmSync(unpacked, { recursive: true });
}
