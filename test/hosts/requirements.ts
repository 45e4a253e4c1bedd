/** What the tests of two hosts need of the machine, and how to get it on Debian. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { fetchGuestKernel, guestKernel } from './guest-kernel';
import { P9_HELPER } from './p9';
import { VIRTIOFSD } from './virtiofsd';

interface Requirement {
  /** A command, or the whole name of a file. */
  readonly command: string;
  readonly package: string;
}

export const STAND_NAMES = ['gluster', 'nfs', 'virtiofs', 'p9'] as const;
export type StandName = (typeof STAND_NAMES)[number];

const COMMON: readonly Requirement[] = [
  { command: 'ip', package: 'iproute2' },
  { command: 'unshare', package: 'util-linux' },
];
/** Two kernels in virtual machines. */
const GUESTS: readonly Requirement[] = [
  { command: 'qemu-system-x86_64', package: 'qemu-system-x86' },
  { command: VIRTIOFSD, package: 'qemu-system-common' },
  // The package `busybox` has the same command, which does not start without the libraries of this machine.
  { command: '/var/lib/dpkg/info/busybox-static.list', package: 'busybox-static' },
  { command: 'cpio', package: 'cpio' },
  { command: 'modprobe', package: 'kmod' },
];
const NEEDED: Readonly<Record<StandName, readonly Requirement[]>> = {
  gluster: [
    { command: 'glusterfs', package: 'glusterfs-client' },
    { command: 'glusterfsd', package: 'glusterfs-server' },
  ],
  nfs: [
    ...GUESTS,
    { command: 'ganesha.nfsd', package: 'nfs-ganesha' },
    { command: '/usr/lib/x86_64-linux-gnu/ganesha/libfsalvfs.so', package: 'nfs-ganesha-vfs' },
  ],
  virtiofs: GUESTS,
  p9: [...GUESTS, { command: P9_HELPER, package: 'qemu-system-common' }],
};
const OVERLAYFS = 0x794c7630;

function isThere({ command }: Requirement): boolean {
  if (command.startsWith('/')) return fs.existsSync(command);
  return ['/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/local/bin'].some((directory) =>
    fs.existsSync(`${directory}/${command}`),
  );
}

function missing(stand: StandName): Requirement[] {
  return [...COMMON, ...NEEDED[stand]].filter((one) => !isThere(one));
}

const packagesOf = (requirements: readonly Requirement[]): string =>
  [...new Set(requirements.map((one) => one.package))].join(' ');

/** What stands in the way of a stand, in one line of plain words. Undefined: nothing does. */
export function obstacle(stand: StandName): string | undefined {
  return machineObstacle() ?? standObstacle(stand) ?? missingObstacle(stand);
}

function machineObstacle(): string | undefined {
  if (process.platform !== 'linux') return `these tests mount Linux file systems, and this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'these tests mount file systems: run them as root';
  if (!isThere({ command: 'unshare', package: 'util-linux' })) return undefined;
  const { status, error, stderr } = spawnSync('unshare', ['--net', '--mount', '--pid', '--fork', 'true'], {
    encoding: 'utf8',
  });
  return status === 0 ? undefined : `no namespaces can be made here: ${error?.message ?? oneLine(stderr)}`;
}

function standObstacle(stand: StandName): string | undefined {
  if (stand === 'gluster')
    return fs.existsSync('/dev/fuse') ? undefined : 'there is no /dev/fuse: this kernel or container has no FUSE';
  if (process.arch !== 'x64')
    return `the virtual machines run this machine's programs on x86-64, and this is ${process.arch}`;
  if (stand === 'nfs' && fs.statfsSync(os.tmpdir()).type === OVERLAYFS)
    return `an NFS server can't offer ${os.tmpdir()}, which is an overlay: name another in TMPDIR`;
  return undefined;
}

function missingObstacle(stand: StandName): string | undefined {
  const packages = packagesOf(missing(stand));
  if (packages !== '') return `these packages are missing; --install installs them: ${packages}`;
  return stand === 'gluster' || guestKernel() !== undefined
    ? undefined
    : 'the kernel of the virtual machines is missing; --install fetches it';
}

/**
 * Installs what the stands need, where it is not there; what it could not get shows in obstacle(), and is told here.
 */
export function installFor(stands: readonly StandName[]): void {
  if (machineObstacle() !== undefined) return;
  const able = stands.filter((stand) => standObstacle(stand) === undefined);
  const packages = packagesOf(able.flatMap(missing));
  const fetches = able.some((stand) => stand !== 'gluster') && guestKernel() === undefined;
  if (packages === '' && !fetches) return;
  apt('-q', 'update');
  if (packages !== '') {
    process.stdout.write(`installing ${packages}\n`);
    apt('-qy', 'install', '--no-install-recommends', ...packages.split(' '));
  }
  if (!fetches) return;
  try {
    fetchGuestKernel();
  } catch (error) {
    process.stdout.write(
      `the kernel of the virtual machines can't be fetched: ` +
        `${oneLine(error instanceof Error ? error.message : String(error))}\n`,
    );
  }
}

function apt(...args: string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const { status, error, stderr } = spawnSync('apt-get', args, {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (status !== 0) process.stdout.write(`apt-get ${args.join(' ')} failed: ${error?.message ?? oneLine(stderr)}\n`);
}

function oneLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
