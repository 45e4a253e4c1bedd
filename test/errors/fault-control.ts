/**
 * How a test tells a thread of its own which file calls are to fail: installed in the place of each call in
 * src/storage/file-calls.ts and of those in native.ts.
 *
 * A call is named by its operation and by the kind of file it is for: `write process` is a write to a file processes/N.
 * Calls for files outside of the region are left alone.
 */
import os from 'node:os';
import path from 'node:path';

export const FAULT_CONTROL = Symbol.for('stp-net.test.fault-control');

export interface Fault {
  /** As {@link FaultControl.seen} names it. */
  readonly call: string;
  /** Name of an errno. */
  readonly code: string;
  /** How often it fails; Infinity: until it is disarmed. */
  readonly times: number;
}

type Call = (...args: unknown[]) => unknown;

const MAP_FAILED = 0xffff_ffff_ffff_ffffn;
const { O_CREAT } = process.getBuiltinModule('node:fs').constants;
const MAP_FD = 4;

/** What calls past Node return where they fail; errno tells why. posix_fallocate returns the errno itself. */
const FAILED: Readonly<Record<string, unknown>> = { mmap: MAP_FAILED, mkfifo: -1, openPastNode: -1, closePastNode: -1 };
/** Their first argument is a descriptor. */
const BY_FD: readonly string[] = [
  'close',
  'closePastNode',
  'fchmod',
  'fchown',
  'fstat',
  'fsync',
  'read',
  'write',
  'posix_fallocate',
];

/** The kind of a path below a region. */
export function kindOf(region: string, file: string): string | undefined {
  const name = path.relative(region, file);
  if (name.startsWith('..')) return undefined;
  if (name === '') return 'root';
  const [directory = '', base] = name.split('/');
  if (base === undefined) return directory.startsWith('.new-') ? 'temporary' : directory;
  if (directory === 'bells') return base.includes('-') ? 'bell' : 'liveness FIFO';
  if (directory === 'processes') return base.endsWith('.dead') ? 'mark' : 'process';
  return 'link';
}

function errnoOf(code: string): number {
  return (os.constants.errno as Readonly<Record<string, number>>)[code] ?? os.constants.errno.EIO;
}

export class FaultControl {
  /** Calls that were made since the last {@link watch}. */
  readonly seen = new Set<string>();
  /** All that there are. */
  readonly operations = new Set<string>();
  /** Calls that failed since the last {@link arm}. */
  hits = 0;
  readonly #region: string;
  readonly #files = new Map<number, string>();
  #spared = '';
  #fault: Fault | undefined;
  #left = 0;
  #errno = 0;

  constructor(region: string) {
    this.#region = region;
  }

  watch(): void {
    this.seen.clear();
  }

  /** Links and bells of this process never fail: it is a bystander. */
  spare(process: number): void {
    this.#spared = String(process);
  }

  arm(fault: Fault): void {
    this.#fault = fault;
    this.#left = fault.times;
    this.hits = 0;
  }

  /** How often the call has failed. */
  disarm(): number {
    this.#fault = undefined;
    return this.hits;
  }

  /** The hook of src/storage/file-calls.ts. */
  readonly wrap = <F>(operation: string, call: F): F => {
    const real = call as unknown as Call;
    if (operation !== 'errno') this.operations.add(operation);
    const wrapped: Call =
      operation === 'errno' ? () => this.#takeErrno() ?? real() : (...args) => this.#call(operation, real, args);
    return wrapped as unknown as F;
  };

  #takeErrno(): number | undefined {
    const errno = this.#errno;
    this.#errno = 0;
    return errno === 0 ? undefined : errno;
  }

  #call(operation: string, real: Call, args: readonly unknown[]): unknown {
    const kind = this.#kind(operation, args);
    if (kind === undefined) return real(...args);
    const creates = operation === 'open' && ((args[1] as number) & O_CREAT) !== 0;
    const name = `${creates ? 'create' : operation} ${kind}`;
    this.seen.add(name);
    if (name === this.#fault?.call && this.#left > 0) {
      // What close(2) reports comes after the descriptor is released.
      if (operation.startsWith('close')) this.#release(real, args);
      return this.#fail(operation, name, this.#fault.code);
    }
    const result = real(...args);
    if (operation === 'open' || operation === 'openPastNode') this.#files.set(result as number, String(args[0]));
    if (operation.startsWith('close')) this.#files.delete(args[0] as number);
    return result;
  }

  #release(close: Call, args: readonly unknown[]): void {
    close(...args);
    this.#files.delete(args[0] as number);
  }

  #kind(operation: string, args: readonly unknown[]): string | undefined {
    // Memory that takes the place of a mapping has no file.
    const file =
      operation === 'mmap' || BY_FD.includes(operation)
        ? this.#files.get(args[operation === 'mmap' ? MAP_FD : 0] as number)
        : String(args[operation === 'link' ? 1 : 0]);
    if (file === undefined || path.basename(file).split('-').includes(this.#spared)) return undefined;
    return kindOf(this.#region, file);
  }

  #fail(operation: string, name: string, code: string): unknown {
    this.#left -= 1;
    this.hits += 1;
    const errno = errnoOf(code);
    if (operation === 'posix_fallocate') return errno;
    if (operation in FAILED) {
      this.#errno = errno;
      return FAILED[operation];
    }
    throw Object.assign(new Error(`${code}: ${name} failed because a test wants it`), {
      code,
      errno: -errno,
      syscall: operation,
    });
  }
}
