/**
 * Which file calls can fail with what, and what a caller of the library is told then. Data: the walk (walk.ts) tries
 * each pair wherever the call is made.
 */
import { type ErrorCode } from '../../src/errors';

/** The code that a caller sees for an errno; '' where it sees nothing, because the call is made again. */
export const TOLD: Readonly<Record<string, ErrorCode | ''>> = {
  ENOSPC: 'ENOSPC',
  EDQUOT: 'EDQUOT',
  EMFILE: 'EMFILE',
  ENFILE: 'EMFILE',
  ENOMEM: 'ENOBUFS',
  EIO: 'EIO',
  ESTALE: 'EIO',
  EINTR: '',
};

const NEW_NAME = ['ENOSPC', 'EDQUOT', 'EIO', 'ESTALE'];
const DESCRIPTOR = ['EMFILE', 'ENFILE', 'ENOMEM'];

/** What each operation may fail with for as long as its cause lasts. */
export const LASTING: Readonly<Record<string, readonly string[]>> = {
  open: [...DESCRIPTOR, 'EIO', 'ESTALE'],
  openPastNode: [...DESCRIPTOR, 'EIO'],
  create: [...DESCRIPTOR, ...NEW_NAME],
  mkdir: [...NEW_NAME, 'ENOMEM'],
  mkfifo: NEW_NAME,
  link: NEW_NAME,
  posix_fallocate: ['ENOSPC', 'EDQUOT', 'EIO'],
  mmap: ['ENOMEM', 'ENFILE'],
  read: ['EIO', 'ESTALE'],
  write: ['ENOSPC', 'EDQUOT', 'EIO', 'ESTALE'],
  fsync: ['EIO', 'ENOSPC', 'EDQUOT'],
  fstat: ['EIO', 'ESTALE'],
  lstat: ['EIO', 'ESTALE', 'ENOMEM'],
  stat: ['EIO', 'ESTALE', 'ENOMEM'],
  statfs: ['EIO', 'ESTALE'],
  access: ['EIO', 'ENOMEM'],
  exists: ['EIO'],
  realpath: ['EIO', 'ESTALE', 'ENOMEM'],
  readdir: [...DESCRIPTOR, 'EIO', 'ESTALE'],
  unlink: ['EIO', 'ESTALE'],
  rmdir: ['EIO'],
  close: ['EIO'],
  closePastNode: ['EIO'],
  fchmod: ['EIO'],
  fchown: ['EIO', 'EDQUOT'],
  // No caller is told: a look each second takes its place.
  watch: ['ENOSPC', 'EMFILE', 'ENOMEM'],
};

/** What no phase comes to, and why. */
export const UNREACHED: Readonly<Record<string, string>> = {
  link: 'only where a region is made',
  realpath: 'only where the device does not tell the type of the file system, as with an overlay',
  fsync: 'only where a file system refuses O_DSYNC',
  fchmod: 'only in the region of a group: test/calls/group.test.ts',
  fchown: 'as fchmod',
  openPastNode: 'only in worker threads',
  closePastNode: 'as openPastNode',
  rmdir: 'only stp reset: test/region/remove-region.test.ts',
};

/** FIFOs have no blocks, no handles and no disk. */
export const NEVER: readonly string[] = ['write bell', 'write liveness FIFO'];

/** What passes by itself: the call is made again, and nobody is told. */
export const PASSING: Readonly<Record<string, readonly string[]>> = {
  open: ['ESTALE', 'EINTR'],
  openPastNode: ['EINTR'],
  create: ['ESTALE', 'EINTR'],
  posix_fallocate: ['EINTR'],
  read: ['ESTALE', 'EINTR'],
  write: ['EINTR'],
};
