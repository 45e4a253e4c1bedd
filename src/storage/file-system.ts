/**
 * What kind of file system a directory lies on, and whether all who see it share one page cache.
 *
 * A type that is not known to be local counts as shared between hosts: slower, never wrong.
 */
import path from 'node:path';
import { io } from './file-calls';
import { codeOf, fileError } from './files';

export interface FileSystemInfo {
  /** Name of the type; `unknown (0x...)` where it has none here. */
  readonly name: string;
  /** True where every reader is on this kernel, or sees the same page cache. */
  readonly local: boolean;
  /** True where it lies in the memory of this host, which hardly anybody serves to others. */
  readonly inMemory: boolean;
}

interface KnownType extends FileSystemInfo {
  readonly type: number;
}

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
  local(0x794c_7630, 'overlay'),
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
      return fileSystemOfType(io.statfsSync(place).type);
    } catch (error) {
      const above = path.dirname(place);
      if (codeOf(error) !== 'ENOENT' || above === place) throw fileError(error, 'statfs', place);
      place = above;
    }
  }
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
