/** What the tests of two hosts need of the machine, and how to get it on Debian. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';

interface Requirement {
  /** A command, or the whole name of a file. */
  readonly command: string;
  readonly package: string;
}

export const STAND_NAMES = ['gluster', 'nfs'] as const;
export type StandName = (typeof STAND_NAMES)[number];

const COMMON: readonly Requirement[] = [
  { command: 'ip', package: 'iproute2' },
  { command: 'unshare', package: 'util-linux' },
];
const NEEDED: Readonly<Record<StandName, readonly Requirement[]>> = {
  gluster: [{ command: 'glusterfs', package: 'glusterfs-client' }, { command: 'glusterfsd', package: 'glusterfs-server' }],
  nfs: [
    { command: 'linux.uml', package: 'user-mode-linux' },
    { command: 'ganesha.nfsd', package: 'nfs-ganesha' },
    { command: '/usr/lib/x86_64-linux-gnu/ganesha/libfsalvfs.so', package: 'nfs-ganesha-vfs' },
    { command: 'modprobe', package: 'kmod' },
    { command: 'ethtool', package: 'ethtool' },
  ],
};

function isThere({ command }: Requirement): boolean {
  if (command.startsWith('/')) return fs.existsSync(command);
  return ['/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/local/bin'].some((directory) => fs.existsSync(`${directory}/${command}`));
}

function missingPackages(stands: readonly StandName[]): string[] {
  const missing = [...COMMON, ...stands.flatMap((stand) => NEEDED[stand])].filter((one) => !isThere(one));
  return [...new Set(missing.map((one) => one.package))];
}

/** What stands in the way of a run, in plain words; with `install` the packages are installed first. Undefined: nothing does. */
export function obstacle(stands: readonly StandName[], install: boolean): string | undefined {
  if (process.platform !== 'linux') return `these tests mount Linux file systems, and this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'these tests mount file systems: run them as root';
  if (stands.includes('gluster') && !fs.existsSync('/dev/fuse')) return 'there is no /dev/fuse: this kernel or container has no FUSE';
  const missing = missingPackages(stands);
  const command = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  if (missing.length > 0) {
    if (!install) return `these packages are missing; --install installs them, or do it yourself: ${command}`;
    const why = installPackages(missing, command);
    if (why !== undefined) return why;
  }
  return stands.includes('nfs') ? networkObstacle() : undefined;
}

/** The guest kernels hang on a bridge in a network namespace. */
function networkObstacle(): string | undefined {
  const tries = 'ip link add br0 type bridge && ip link add u0 type veth peer name w0 && ip link set w0 master br0';
  const { status, stderr, error } = spawnSync('unshare', ['--net', 'sh', '-c', tries], { encoding: 'utf8' });
  return status === 0 ? undefined : `no bridge can be made in a network namespace: ${error?.message ?? stderr.trim()}`;
}

function installPackages(packages: readonly string[], command: string): string | undefined {
  process.stdout.write(`installing ${packages.join(' ')}\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const args of [['-q', 'update'], ['-qy', 'install', '--no-install-recommends', ...packages]]) {
    const { status, error, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
    if (status !== 0) return `${command} failed: ${error?.message ?? stderr.trim().split('\n').at(-1) ?? ''}`;
  }
  return undefined;
}
