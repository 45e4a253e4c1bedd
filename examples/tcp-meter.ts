/**
 * How many TCP sockets the kernel saw, so that nobody has to take our word for it.
 *
 *   namespace   everything runs in a network namespace of its own with a working loopback: TCP would work there, and
 *               the kernel's counters are of that namespace alone. They count every connection ever opened
 *               (ActiveOpens, PassiveOpens); listeners are seen by looking often (sockstat).
 *   processes   no such namespace here: the sockets of the processes are looked up in the kernel's tables, often.
 *   none        no /proc (macOS, Windows): nothing is counted, and that is said.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';

export type MeterKind = 'namespace' | 'processes' | 'none';

export interface TcpCount {
  /** Connections opened, as far as seen. */
  readonly connections: number;
  /** Most TCP sockets seen at once, listeners included. */
  readonly socketsMax: number;
}

const SAMPLE_MS = 50;

/** How to start a program in a network namespace of its own, or undefined where that is not allowed. */
export function namespaceCommand(): string[] | undefined {
  if (process.platform !== 'linux') return undefined;
  const candidates = [
    ['unshare', '--net'],
    ['unshare', '--user', '--map-root-user', '--net'],
  ];
  return candidates.find(
    (command) => spawnSync(command[0] ?? '', [...command.slice(1), '--', 'true'], { stdio: 'ignore' }).status === 0,
  );
}

/** Brings the loopback of the own namespace up, so that TCP would work; false where there is no tool for it. */
export function raiseLoopback(): boolean {
  return (
    spawnSync('ip', ['link', 'set', 'lo', 'up'], { stdio: 'ignore' }).status === 0 ||
    spawnSync('ifconfig', ['lo', 'up'], { stdio: 'ignore' }).status === 0
  );
}

/** Counts from its making to stop(). */
export class TcpMeter {
  private readonly timer: NodeJS.Timeout;
  private readonly opensBefore: number;
  private readonly seen = new Set<string>();
  private socketsMax = 0;

  constructor(
    readonly kind: MeterKind,
    /** Processes to look at, as of now. */
    private readonly pids: () => number[],
  ) {
    this.opensBefore = kind === 'namespace' ? opens() : 0;
    this.timer = setInterval(() => {
      this.sample();
    }, SAMPLE_MS);
    this.sample();
  }

  count(): TcpCount {
    this.sample();
    const connections = this.kind === 'namespace' ? opens() - this.opensBefore : this.seen.size;
    return { connections, socketsMax: this.socketsMax };
  }

  stop(): TcpCount {
    clearInterval(this.timer);
    return this.count();
  }

  private sample(): void {
    if (this.kind === 'namespace') this.socketsMax = Math.max(this.socketsMax, inUse());
    if (this.kind !== 'processes') return;
    let now = 0;
    for (const pid of this.pids()) {
      for (const inode of tcpSocketsOf(pid)) {
        this.seen.add(inode);
        now += 1;
      }
    }
    this.socketsMax = Math.max(this.socketsMax, now);
  }
}

/** Connections opened in this network namespace since it began, from either side. */
function opens(): number {
  const [names, values] = fs
    .readFileSync('/proc/net/snmp', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'))
    .map((line) => line.split(' '));
  const value = (name: string): number => Number(values?.[names?.indexOf(name) ?? -1]);
  const sum = value('ActiveOpens') + value('PassiveOpens');
  if (!Number.isFinite(sum)) throw new Error('/proc/net/snmp has no counts of TCP connections');
  return sum;
}

/** TCP sockets of this network namespace, both families. */
function inUse(): number {
  const read = (file: string): string => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '');
  const four = /^TCP: inuse (\d+)/m.exec(read('/proc/net/sockstat'))?.[1];
  const six = /^TCP6: inuse (\d+)/m.exec(read('/proc/net/sockstat6'))?.[1];
  return Number(four ?? 0) + Number(six ?? 0);
}

/** Inodes of the TCP sockets that a process holds. */
function tcpSocketsOf(pid: number): string[] {
  try {
    const tables = ['tcp', 'tcp6'].map((name) => `/proc/${pid}/net/${name}`).filter((file) => fs.existsSync(file));
    const known = new Set(
      tables.flatMap((file) =>
        fs
          .readFileSync(file, 'utf8')
          .split('\n')
          .slice(1)
          .map((line) => line.trim().split(/\s+/)[9]),
      ),
    );
    return fs.readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      const inode = /^socket:\[(\d+)\]$/.exec(readLink(`/proc/${pid}/fd/${fd}`))?.[1];
      return inode !== undefined && known.has(inode) ? [inode] : [];
    });
  } catch {
    // The process has just ended.
    return [];
  }
}

function readLink(file: string): string {
  try {
    return fs.readlinkSync(file);
  } catch {
    return '';
  }
}
