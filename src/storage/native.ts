/**
 * The few system calls that Node lacks, through koffi: mapping files, reserving their blocks, FIFOs, yielding the
 * processor.
 *
 * koffi is an optional dependency and is loaded at the first use, never at load: without it, or where it can't work
 * (permission model, big-endian or 32-bit machines, Windows), everything here is `undefined` and the driver is
 * `direct`.
 *
 * Invariant: no ArrayBuffer over a mapping ever points at memory that is not mapped. Mappings are given back when the
 * garbage collector has found the last view gone; release() puts anonymous memory in the file's place until then.
 */
import os from 'node:os';
import { StpError } from '../errors';
import { hooked } from './file-calls';
import { fileError } from './file-error';

/** One mapped file. `buffer` stays safe to touch after release(), but no longer shows the file. */
export interface Mapping {
  readonly buffer: ArrayBuffer;
  release(): void;
}

export interface Native {
  /** Maps the first `bytes` of a file, shared; `writable` false maps read-only. The file must be at least so long. */
  map(fd: number, bytes: number, writable: boolean): Mapping;
  /**
   * Reserves the blocks of the first `bytes` of a file; false where the file system can't (write zeros then). Throws
   * ENOSPC.
   */
  reserve(fd: number, bytes: number): boolean;
  /** Makes a FIFO of mode 0600; the errno, 0 on success. */
  makeFifo(path: string): number;
  /** open(2) past Node; the descriptor, or the negative errno. See fifo.ts for why. */
  open(path: string, flags: number): number;
  /** Closes what {@link open} opened. */
  close(fd: number): void;
  /** Lets other threads have the processor. */
  yieldProcessor(): void;
  /** Whether a process has the FIFO open for reading of which `fd` is a writing end. Does not wait. */
  hasReader(fd: number): boolean;
}

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_FIXED = 0x10;
const DARWIN = process.platform === 'darwin';
const MAP_ANONYMOUS = DARWIN ? 0x1000 : 0x20;
const MAP_NORESERVE = DARWIN ? 0x40 : 0x4000;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

/** Node's own constants have none: fs sets it by itself. */
const O_CLOEXEC = DARWIN ? 0x0100_0000 : 0o2_000_000;

/** off_t is passed as 64 bits, and words of a ring are read in the machine's own order. */
const ARCHITECTURES: readonly string[] = ['x64', 'arm64', 'ppc64', 'riscv64', 'loong64'];

const KOFFI_VERSION = '3.';

/** A signal may interrupt posix_fallocate on tmpfs; more often than this in a row it is something else. */
const INTERRUPTS_MAX = 1000;

/** What is used of koffi; its own types are for an ES module. */
interface Koffi {
  readonly version: string;
  load(path: null): { func(definition: string): unknown };
  view(address: bigint, bytes: number): ArrayBuffer;
  errno(): number;
}

interface Calls {
  readonly koffi: Koffi;
  mmap(address: bigint | null, bytes: number, protection: number, flags: number, fd: number, offset: number): bigint;
  munmap(address: bigint, bytes: number): number;
  fallocate: ((fd: number, offset: number, bytes: number) => number) | undefined;
  mkfifo(path: string, mode: number): number;
  open(path: string, flags: number): number;
  close(fd: number): number;
  schedYield(): number;
  poll(fds: Int32Array, count: number, timeoutMs: number): number;
  /** The errno of the last call that failed. */
  errno(): number;
}

let loaded: { readonly native: Native | undefined; readonly why: string } | undefined;

/** The native calls; undefined where they can't be had, see {@link whyNoNative}. */
export function loadNative(): Native | undefined {
  loaded ??= tryLoad();
  return loaded.native;
}

/** Why {@link loadNative} gives undefined; empty where it does not. */
export function whyNoNative(): string {
  loaded ??= tryLoad();
  return loaded.why;
}

function tryLoad(): { native: Native | undefined; why: string } {
  if (process.platform !== 'linux' && !DARWIN)
    return { native: undefined, why: `no memory mapping on ${process.platform}` };
  if (!ARCHITECTURES.includes(process.arch) || os.endianness() !== 'LE') {
    return { native: undefined, why: `no memory mapping on ${process.arch}` };
  }
  try {
    return { native: makeNative(loadCalls()), why: '' };
  } catch (error) {
    const text = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    return { native: undefined, why: `koffi can not be loaded: ${text}` };
  }
}

/**
 * koffi looks for its binary in many places, and wraps calls that are not used here: 10 ms of the 12 that it takes to
 * load. So its binary is loaded from where npm puts it, if it is there and of the version that we know.
 */
export function loadKoffi(): Koffi {
  const binary = `@koromix/koffi-${process.platform}-${process.arch}/${process.platform}_${process.arch}/koffi.node`;
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- optional: an import would throw.
    const koffi = require(binary) as Koffi;
    if (koffi.version.startsWith(KOFFI_VERSION)) return koffi;
  } catch {
    // Another system, another C library, or another way to install: koffi finds it, or says why not.
  }
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- optional: an import would throw.
  return require('koffi') as Koffi;
}

// koffi's functions have no types of their own: this is where they get them.
function loadCalls(): Calls {
  const koffi = loadKoffi();
  // null: the C library that this very process runs on, whatever its name (glibc, musl, libSystem).
  const libc = koffi.load(null);
  return {
    koffi,
    mmap: hooked(
      'mmap',
      libc.func(
        'void *mmap(void *address, size_t bytes, int protection, int flags, int fd, int64_t offset)',
      ) as Calls['mmap'],
    ),
    munmap: libc.func('int munmap(void *address, size_t bytes)') as Calls['munmap'],
    fallocate: DARWIN
      ? undefined
      : hooked(
          'posix_fallocate',
          libc.func('int posix_fallocate(int fd, int64_t offset, int64_t bytes)') as Calls['fallocate'],
        ),
    mkfifo: hooked('mkfifo', libc.func('int mkfifo(const char *path, uint32_t mode)') as Calls['mkfifo']),
    // Its third argument is for files that it creates.
    open: hooked('openPastNode', libc.func('int open(const char *path, int flags)') as Calls['open']),
    close: hooked('closePastNode', libc.func('int close(int fd)') as Calls['close']),
    schedYield: libc.func('int sched_yield()') as Calls['schedYield'],
    poll: libc.func('int poll(void *fds, unsigned long count, int timeout_ms)') as Calls['poll'],
    errno: hooked('errno', () => koffi.errno()),
  };
}

function makeNative(calls: Calls): Native {
  const { koffi } = calls;
  const forgotten = new FinalizationRegistry<{ address: bigint; bytes: number }>((mapping) => {
    calls.munmap(mapping.address, mapping.bytes);
  });
  const asked = new Int32Array(2);
  return {
    map(fd, bytes, writable) {
      const address = calls.mmap(null, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
      if (address === MAP_FAILED) throw errorOf(calls.errno(), 'mmap');
      const buffer = koffi.view(address, bytes);
      forgotten.register(buffer, { address, bytes });
      let held = true;
      return {
        buffer,
        release(): void {
          if (!held) return;
          held = false;
          const protection = PROT_READ | PROT_WRITE;
          const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
          // Fails only where the kernel is out of mappings: then the file stays mapped until the views are collected.
          calls.mmap(address, bytes, protection, flags, -1, 0);
        },
      };
    },
    reserve(fd, bytes) {
      if (calls.fallocate === undefined) return false;
      for (let tries = 0; tries < INTERRUPTS_MAX; tries++) {
        const errno = calls.fallocate(fd, 0, bytes);
        if (errno === 0) return true;
        if (errno === os.constants.errno.EINVAL || errno === os.constants.errno.EOPNOTSUPP) return false;
        if (errno === os.constants.errno.ENOSYS) return false;
        if (errno !== os.constants.errno.EINTR) throw errorOf(errno, 'posix_fallocate');
      }
      throw new StpError('EIO', 'interrupted again and again', 'posix_fallocate');
    },
    makeFifo(path) {
      return calls.mkfifo(path, 0o600) === 0 ? 0 : calls.errno();
    },
    open(path, flags) {
      const fd = calls.open(path, flags | O_CLOEXEC);
      return fd >= 0 ? fd : -calls.errno();
    },
    close(fd): void {
      calls.close(fd);
    },
    yieldProcessor(): void {
      calls.schedYield();
    },
    hasReader(fd) {
      // struct pollfd: the descriptor, the events asked for, and in the upper half those that are so; errors are told
      // without being asked for.
      asked[0] = fd;
      asked[1] = 0;
      return calls.poll(asked, 1, 0) === 0;
    },
  };
}

function errorOf(errno: number, call: string): StpError {
  const code = Object.entries(os.constants.errno).find(([, value]) => value === errno)?.[0] ?? 'EIO';
  return fileError(Object.assign(new Error(`${call} failed with ${code}`), { code }), call, '');
}
