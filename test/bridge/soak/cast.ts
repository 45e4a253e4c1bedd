/**
 * The processes of a soak of bridges: two near bridges, two far ones, two servers and two clients, every route between
 * them. The first of each kind is never killed, so that what grows shows in it, and so that one route has no excuse.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { STP } from '../../cli/stp-process';
import { HOST } from '../kit';
import { type MemberOptions, type Route, type ToSupervisor } from './messages';

export const ELDERS: readonly string[] = ['near0', 'far0', 'server0', 'client0'];
export const MORTALS: readonly string[] = ['near1', 'far1', 'server1', 'client1'];
const LANES = [0, 1] as const;
const KINDS = ['local', 'socks', 'http'] as const;
/** In the region. */
const STP_PORT = 5000;
const CONNECTIONS = 4;
const BYTES_MAX = 1_500_000;
/**
 * A young generation of one size: V8 maps 70 pages at once when it lets it grow, which would pass for memory that is
 * never given back.
 */
const EXEC_ARGV = ['--max-semi-space-size=1'];
const MEMBER = path.join(__dirname, 'member.js');

export interface Place {
  readonly directory: string;
  readonly region: string;
  readonly seed: number;
  /** TCP ports from here on are ours. */
  readonly firstPort: number;
}

export interface Running {
  readonly name: string;
  readonly life: number;
  readonly child: ChildProcess;
  readonly isBridge: boolean;
  /** Bridges: what they have said on standard error. */
  stderr: string;
}

/** The port of a near bridge for a kind of route and a far bridge. */
function portOf(place: Place, near: number, kind: Route['kind'], far: number): number {
  const at = kind === 'local' ? far : kind === 'socks' ? 2 : 3;
  return place.firstPort + near * 4 + at;
}

/** Where a server listens: the second one at a path. */
function listenOf(place: Place, lane: number): string {
  return lane === 0 ? String(place.firstPort + 8) : path.join(place.directory, 'server.sock');
}

export function routesOf(place: Place): Route[] {
  return LANES.flatMap((near) =>
    LANES.flatMap((far) =>
      KINDS.map((kind) => ({
        near: `near${near}`,
        far: `far${far}`,
        server: `server${far}`,
        kind,
        port: portOf(place, near, kind, far),
        target: { system: `far${far}`, port: STP_PORT },
      })),
    ),
  );
}

function bridgeArgs(place: Place, role: string, lane: number): string[] {
  if (role === 'far') {
    const listen = listenOf(place, lane);
    return ['-R', lane === 0 ? `${STP_PORT}:${HOST}:${listen}` : `${STP_PORT}:${listen}`];
  }
  const locals = LANES.flatMap((far) => ['-L', `${portOf(place, lane, 'local', far)}:far${far}:${STP_PORT}`]);
  return [...locals, '-D', String(portOf(place, lane, 'socks', 0)), '-H', String(portOf(place, lane, 'http', 0))];
}

/** Starts one life of a process, and calls `ready` once it serves. */
export function start(
  place: Place,
  name: string,
  life: number,
  on: { ready: () => void; message: (message: ToSupervisor) => void },
): Running {
  const role = name.slice(0, -1);
  const lane = Number(name.slice(-1));
  const isBridge = role === 'near' || role === 'far';
  const child = isBridge ? startBridge(place, name, bridgeArgs(place, role, lane)) : startMember(place, name, life);
  const running: Running = { name, life, child, isBridge, stderr: '' };
  child.stderr?.on('data', (chunk: Buffer) => (running.stderr += chunk.toString()));
  if (isBridge && child.stdout !== null) {
    let missing = role === 'near' ? 4 : 1;
    createInterface(child.stdout).on('line', () => {
      missing -= 1;
      if (missing === 0) on.ready();
    });
  }
  child.on('message', (message: ToSupervisor) => {
    if (message.kind === 'ready') on.ready();
    else on.message(message);
  });
  return running;
}

function startBridge({ region }: Place, name: string, args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [...EXEC_ARGV, STP, 'bridge', '--drain', '60', ...args], {
    env: { ...process.env, STP_REGION: region, STP_SYSTEM: name },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function startMember(place: Place, name: string, life: number): ChildProcess {
  const options: MemberOptions = {
    role: name.startsWith('client') ? 'client' : 'server',
    life,
    seed: place.seed * 1000 + life * 10 + [...ELDERS, ...MORTALS].indexOf(name),
    routes: routesOf(place),
    connections: CONNECTIONS,
    bytesMax: BYTES_MAX,
    listen: listenOf(place, Number(name.slice(-1))),
  };
  return fork(MEMBER, [name, JSON.stringify(options)], { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
}

export interface ProcessSize {
  readonly residentBytes: number;
  readonly descriptors: number;
  /** Of the descriptors; files of the region are others. */
  readonly sockets: number;
}

/** Memory and descriptors of a process, as the kernel counts them. */
export function sizeOfProcess(pid: number): ProcessSize {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'latin1');
  const [, kibibytes = '0'] = /^VmRSS:\s+(\d+) kB/mu.exec(status) ?? [];
  const descriptors = fs.readdirSync(`/proc/${pid}/fd`);
  const sockets = descriptors.filter((descriptor) => {
    try {
      return fs.readlinkSync(`/proc/${pid}/fd/${descriptor}`).startsWith('socket:');
    } catch {
      // Closed since the list was read.
      return false;
    }
  }).length;
  return { residentBytes: Number(kibibytes) * 1024, descriptors: descriptors.length, sockets };
}

/** Resolves with how a process has ended. */
export async function endOf(child: ChildProcess): Promise<string> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.signalCode ?? String(child.exitCode);
}
