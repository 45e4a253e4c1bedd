/**
 * The machine that this thread runs on, as far as others must know it: which kernel, which pid namespace, which
 * process.
 *
 * Two processes with equal boot ids run under one kernel: they share page caches and FIFOs. Pids mean something inside
 * one pid namespace only, and even there a pid is used again; the start time of the process tells.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync, statSync } from 'node:fs';
import os from 'node:os';
import { dateMs } from '../host';

export type Liveness = 'alive' | 'dead' | 'unknown';

export interface Machine {
  /** Id of this boot of this kernel. */
  readonly bootId: string;
  /** Inode of our pid namespace, 0 where unknown or where there are none. */
  readonly pidNamespace: number;
  /** Inode of our network namespace, 0 where unknown or where there are none. */
  readonly networkNamespace: number;
  /** Start time of our process in clock ticks since boot, 0 where unknown. */
  readonly startTicks: number;
  /** What the pid tells about a process of this kernel. Never 'dead' on a guess. */
  pidLiveness(pid: number, startTicks: number, pidNamespace: number): Liveness;
  /** The one user whose rights a process of our pid namespace has; undefined where that is not known or not one. */
  userOf(pid: number): number | undefined;
}

const STAT_STATE = 0;
/** Of the fields after the command's closing parenthesis; field 22 of proc(5). */
const STAT_START_TIME = 19;
/** The first time namespace's inode (include/linux/proc_ns.h): in any other, start times are shifted. */
const FIRST_TIME_NAMESPACE = 'time:[4026531834]';

interface ProcessStat {
  readonly state: string;
  readonly startTicks: number;
}

let current: Machine | undefined;

/** This machine; looked at once. */
export function machine(): Machine {
  current ??= process.platform === 'linux' ? linuxMachine() : otherMachine();
  return current;
}

function linuxMachine(): Machine {
  const pidNamespace = inode('/proc/self/ns/pid');
  const ticksCompare = (link('/proc/self/ns/time') ?? FIRST_TIME_NAMESPACE) === FIRST_TIME_NAMESPACE;
  // A /proc of an outer namespace (unshare --pid without --mount-proc) knows us by another pid: its pids are not ours.
  const procIsOurs = pidNamespace !== 0 && link('/proc/self') === String(process.pid);
  return {
    bootId: text('/proc/sys/kernel/random/boot_id') ?? guessedBootId(),
    pidNamespace,
    networkNamespace: inode('/proc/self/ns/net'),
    startTicks: ticksCompare ? (processStat('self')?.startTicks ?? 0) : 0,
    pidLiveness(pid, startTicks, namespace) {
      if (!procIsOurs || namespace !== pidNamespace) return 'unknown';
      const stat = processStat(String(pid));
      if (stat === undefined) return processMissing(pid) ? 'dead' : 'unknown';
      if (stat.state === 'Z' || stat.state === 'X' || stat.state === 'x') return 'dead';
      if (startTicks === 0 || !ticksCompare) return 'unknown';
      return stat.startTicks === startTicks ? 'alive' : 'dead';
    },
    userOf: (pid) => (procIsOurs ? userOf(pid) : undefined),
  };
}

function otherMachine(): Machine {
  return {
    bootId: (process.platform === 'darwin' ? darwinBootId() : undefined) ?? guessedBootId(),
    pidNamespace: 0,
    networkNamespace: 0,
    startTicks: 0,
    pidLiveness(pid) {
      return processMissing(pid) ? 'dead' : 'alive';
    },
    userOf: () => undefined,
  };
}

function processStat(pid: string): ProcessStat | undefined {
  const line = text(`/proc/${pid}/stat`);
  if (line === undefined) return undefined;
  // The command may hold spaces and parentheses itself: the last one ends it.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  const startTicks = Number(fields[STAT_START_TIME]);
  const state = fields[STAT_STATE];
  return state === undefined || !Number.isSafeInteger(startTicks) ? undefined : { state, startTicks };
}

/** Real, effective, saved and file system user of proc(5), where they are one. */
function userOf(pid: number): number | undefined {
  const [, real, ...others] = /^Uid:\t(\d+)\t(\d+)\t(\d+)\t(\d+)$/mu.exec(text(`/proc/${pid}/status`) ?? '') ?? [];
  return real !== undefined && others.every((each) => each === real) ? Number(real) : undefined;
}

/** True only where the kernel says that there is no such process (hidepid hides /proc entries of living ones). */
function processMissing(pid: number): boolean {
  if (pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

function darwinBootId(): string | undefined {
  try {
    const id = execFileSync('/usr/sbin/sysctl', ['-n', 'kern.bootsessionuuid'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
    return id === '' ? undefined : id.slice(0, 39);
  } catch {
    return undefined;
  }
}

/**
 * Which processes share FIFOs and a page cache with us, as one id: those of our kernel, and on a shared file system of
 * the same mount as well. One kernel may have mounted a volume twice, and those two mounts see no more of each other
 * than two hosts do.
 */
export function sharingId(bootId: string, mount: string | undefined): string {
  if (mount === undefined || isGuessedBootId(bootId)) return bootId;
  return createHash('sha256').update(`${bootId} ${mount}`).digest('hex').slice(0, 32);
}

const GUESSED_BOOT_ID = /^~([0-9a-f]{16}):([0-9]{1,15})$/u;
/** How far two reckonings of the same boot time may differ: clocks are set, and uptime counts sleep or does not. */
const BOOT_TIME_SLACK_S = 60;

/** Where the kernel tells no boot id: the host's name and the time of its boot. */
function guessedBootId(): string {
  const host = createHash('sha256').update(os.hostname()).digest('hex').slice(0, 16);
  return `~${host}:${Math.round(dateMs() / 1000 - os.uptime())}`;
}

/** True for an id that was made from the host's name and its boot time. */
export function isGuessedBootId(id: string): boolean {
  return GUESSED_BOOT_ID.test(id);
}

/**
 * The spelling of our boot id that is in use already: guessed boot times differ by seconds, and ids compare exactly.
 */
export function agreedBootId(own: string, others: Iterable<string>): string {
  const mine = GUESSED_BOOT_ID.exec(own);
  if (mine === null) return own;
  for (const other of others) {
    const theirs = GUESSED_BOOT_ID.exec(other);
    if (theirs?.[1] === mine[1] && Math.abs(Number(theirs?.[2]) - Number(mine[2])) <= BOOT_TIME_SLACK_S) return other;
  }
  return own;
}

function text(path: string): string | undefined {
  try {
    const value = readFileSync(path, 'utf8').trim();
    return value === '' ? undefined : value;
  } catch {
    return undefined;
  }
}

function link(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function inode(path: string): number {
  try {
    return statSync(path).ino;
  } catch {
    return 0;
  }
}
