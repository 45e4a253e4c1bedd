/**
 * What kind of file system a directory lies on, and whether all processes that see it share one page cache.
 *
 * On Linux the list of mounts tells. The number in statfs(2) is believed only where that list can't be had, and on
 * macOS: 9p passes on the number of the server's file system. A type that is not known to be local counts as shared
 * between hosts: slower, never wrong.
 */
import path from 'node:path';
import { io } from './file-calls';
import { codeOf, fileError } from './files';
import { decodeOctal, type Mount, mountOf, parseMounts, readMountList, typeOfDevice } from './mount-table';

export interface FileSystemInfo {
  /** Name of the type, on Linux as in mount(8); `unknown (0x...)` where it has none here. */
  readonly name: string;
  /** True where every reader is on this kernel, or sees the same page cache. */
  readonly local: boolean;
  /** True where it lies in the memory of this host, which is hardly ever served to other hosts. */
  readonly inMemory: boolean;
}

interface KnownType extends FileSystemInfo {
  readonly type: number;
}

/**
 * Types that lie in memory, or on disks of this host. `rootfs` and `devtmpfs` are a tmpfs or a ramfs by another name.
 */
const IN_MEMORY: ReadonlySet<string> = new Set(['tmpfs', 'ramfs', 'rootfs', 'devtmpfs']);
const ON_DISK: ReadonlySet<string> = new Set(['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'f2fs', 'zfs', 'bcachefs']);
const OVERLAY = 'overlay';

const memory = (type: number, name: string): KnownType => ({ type, name, local: true, inMemory: true });
const local = (type: number, name: string): KnownType => ({ type, name, local: true, inMemory: false });
const remote = (type: number, name: string): KnownType => ({ type, name, local: false, inMemory: false });

/** f_type of statfs(2) on Linux; from linux/magic.h and the file systems' own headers. */
const LINUX_TYPES: readonly KnownType[] = [
  memory(0x0102_1994, 'tmpfs'),
  memory(0x8584_58f6, 'ramfs'),
  local(0xef53, 'ext4'),
  local(0x5846_5342, 'xfs'),
  local(0x9123_683e, 'btrfs'),
  local(0x794c_7630, OVERLAY),
  local(0xf2f5_2010, 'f2fs'),
  local(0x2fc1_2fc1, 'zfs'),
  local(0xca45_1a4e, 'bcachefs'),
  remote(0x6969, 'nfs'),
  remote(0x6573_5546, 'fuse'),
  remote(0x0102_1997, '9p'),
  remote(0xff53_4d42, 'cifs'),
  remote(0xfe53_4d42, 'smb2'),
  remote(0x00c3_6400, 'ceph'),
  remote(0x0116_1970, 'gfs2'),
  remote(0x7461_636f, 'ocfs2'),
  remote(0x0bd0_0bd0, 'lustre'),
  remote(0x4750_4653, 'gpfs'),
  remote(0x786f_4256, 'vboxsf'),
  remote(0x5346_414f, 'afs'),
];

/** f_type of statfs(2) on macOS; the order in which XNU registers its file systems, stable since APFS came. */
const DARWIN_TYPES: readonly KnownType[] = [local(0x1a, 'apfs'), local(0x11, 'hfs'), remote(0x02, 'nfs')];

/** Looks at the directory, or at the nearest one above it that exists. Throws EACCES, EIO ... */
export function fileSystemOf(directory: string): FileSystemInfo {
  let place = path.resolve(directory);
  for (;;) {
    try {
      // First, for what only a use of the directory mounts (autofs).
      const { type } = io.statfsSync(place);
      return process.platform === 'linux' ? linuxFileSystem(place, type) : fileSystemOfType(type);
    } catch (error) {
      const above = path.dirname(place);
      if (codeOf(error) !== 'ENOENT' || above === place) throw fileError(error, 'statfs', place);
      place = above;
    }
  }
}

function linuxFileSystem(place: string, type: number): FileSystemInfo {
  const list = readMountList();
  const { dev } = io.statSync(place);
  const own = ownFileSystem(typeOfDevice(list, `${deviceMajor(dev)}:${deviceMinor(dev)}`));
  if (own !== undefined) return own;
  const mounts = parseMounts(list);
  const mount = mountOf(mounts, io.realpathSync(place));
  if (mount !== undefined) return fileSystemOfMount(mounts, mount);
  const told = fileSystemOfType(type, 'linux');
  // Types that live on a block device: with another kind of device it is a server's type that 9p passed on.
  const lies = told.local && BLOCK_DEVICE_TYPES.has(told.name) && deviceMajor(dev) === 0;
  return lies ? { name: `unknown (looks like ${told.name})`, local: false, inMemory: false } : told;
}

const BLOCK_DEVICE_TYPES: ReadonlySet<string> = new Set(['ext4', 'xfs', 'f2fs']);

/** As gnu_dev_major(3), of the bits that the kernel uses. */
function deviceMajor(dev: number): number {
  return Math.floor(dev / 0x100) & 0xfff;
}

/** As gnu_dev_minor(3). */
function deviceMinor(dev: number): number {
  return (dev & 0xff) | ((dev >>> 12) & 0xf_ff00);
}

/** The file system of one of `mounts`. */
export function fileSystemOfMount(mounts: readonly Mount[], { type, options }: Mount): FileSystemInfo {
  const isLocal = (): boolean => type === OVERLAY && upperIsLocal(mounts, options);
  return ownFileSystem(type) ?? { name: type, local: isLocal(), inMemory: false };
}

/** One of this host by its type alone; undefined for others. */
function ownFileSystem(type: string | undefined): FileSystemInfo | undefined {
  if (type === undefined) return undefined;
  const inMemory = IN_MEMORY.has(type);
  return inMemory || ON_DISK.has(type) ? { name: type, local: true, inMemory } : undefined;
}

/**
 * Files that an overlay is given lie in its upper directory. That one is of this overlay alone, by overlayfs's own
 * rules, but may lie on a file server (FUSE, virtiofs): then pages are written back to that. In a container the path is
 * often one of the host, not to be seen from here, and counts as local.
 */
function upperIsLocal(mounts: readonly Mount[], options: string): boolean {
  const shown = /(?:^|,)upperdir=([^,]*)/u.exec(options)?.[1];
  // The kernel shows the option as octal, and mount(8) was given it with backslashes of its own.
  const upper = shown === undefined ? undefined : decodeOctal(shown).replace(/\\(.)/gu, '$1');
  if (upper?.startsWith('/') !== true || !io.existsSync(upper)) return true;
  const mount = mountOf(mounts, io.realpathSync(upper));
  return mount === undefined || mount.type === OVERLAY || fileSystemOfMount(mounts, mount).local;
}

/** The file system whose statfs type is `type`, on this platform. */
export function fileSystemOfType(type: number, platform: NodeJS.Platform = process.platform): FileSystemInfo {
  // A signed 32-bit f_type comes out negative on some machines.
  const unsigned = type < 0 ? type + 0x1_0000_0000 : type;
  const types = platform === 'linux' ? LINUX_TYPES : platform === 'darwin' ? DARWIN_TYPES : [];
  const known = types.find((candidate) => candidate.type === unsigned);
  if (known !== undefined) return { name: known.name, local: known.local, inMemory: known.inMemory };
  return { name: `unknown (0x${unsigned.toString(16)})`, local: false, inMemory: false };
}
