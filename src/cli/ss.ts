/**
 * `stp ss`: every socket of the region, as ss(8) shows those of the kernel. Reads only, and works while owners are
 * dead.
 */
import { StpError } from '../errors';
import { type SocketStateName } from '../layout';
import {
  DEFAULT_GROUP,
  inspectRegion,
  type InspectedProcess,
  type InspectedSocket,
  type Liveness,
  type ProcessInfo,
  type RegionSnapshot,
} from '../region';
import { ExitCode } from './failure';
import { noRegion, regionDirectory, type RegionOption } from './region-option';
import { type Column, tableLines } from './table';

export interface SsOptions extends RegionOption {
  readonly listening?: boolean;
  readonly processes?: boolean;
}

/** As people know them from ss(8), where there is such a state. */
const STATE_LABELS: Readonly<Record<SocketStateName, string>> = {
  free: 'FREE',
  open: 'UNCONN',
  bound: 'BOUND',
  listening: 'LISTEN',
  connecting: 'SYN-SENT',
  established: 'ESTAB',
  finWait: 'FIN-WAIT',
  closeWait: 'CLOSE-WAIT',
  closing: 'CLOSING',
  given: 'GIVEN',
  taking: 'TAKING',
  reset: 'RESET',
};

const SOCKET_COLUMNS: readonly Column[] = [
  { title: 'State' },
  { title: 'Recv-Q', align: 'right' },
  { title: 'Send-Q', align: 'right' },
  { title: 'Local' },
  { title: 'Peer' },
  { title: 'Received', align: 'right' },
  { title: 'Sent', align: 'right' },
  { title: 'Owner' },
];

const PROCESS_COLUMNS: readonly Column[] = [
  { title: 'Process', align: 'right' },
  { title: 'State' },
  { title: 'System' },
  { title: 'Group' },
  { title: 'Pid', align: 'right' },
  { title: 'Thread', align: 'right' },
  { title: 'Sockets', align: 'right' },
  { title: 'Since' },
  { title: 'Command' },
];

/** Prints the sockets; exit code 1 where some of the region could not be read. */
export function ss(options: SsOptions): void {
  const snapshot = look(regionDirectory(options));
  const wanted = (socket: InspectedSocket): boolean => options.listening !== true || socket.state === 'listening';
  // A process that left in good order has no sockets any more: what its file says is history.
  const sockets = snapshot.sockets.filter((socket) => socket.owner.state !== 'left' && wanted(socket)).sort(byAddress);
  const text =
    options.json === true
      ? `${JSON.stringify(jsonOf(snapshot, sockets), null, 2)}\n`
      : textOf(snapshot, sockets, options);
  process.stdout.write(text);
  for (const problem of snapshot.problems) process.stderr.write(`stp: ${problem}\n`);
  if (snapshot.problems.length > 0) process.exitCode = ExitCode.failed;
}

function look(directory: string): RegionSnapshot {
  let snapshot: RegionSnapshot;
  try {
    snapshot = inspectRegion(directory);
  } catch (error) {
    if (error instanceof StpError && error.code === 'ENOENT') throw noRegion(directory);
    throw error;
  }
  if (
    snapshot.header === undefined &&
    snapshot.processes.length === 0 &&
    snapshot.problems.every((problem) => problem.includes('no region header'))
  ) {
    throw noRegion(directory);
  }
  return snapshot;
}

/** Listeners first, then by own address. */
function byAddress(a: InspectedSocket, b: InspectedSocket): number {
  const listens = Number(b.state === 'listening') - Number(a.state === 'listening');
  return (
    listens ||
    a.scb.localSystem.localeCompare(b.scb.localSystem) ||
    a.scb.localPort - b.scb.localPort ||
    a.owner.number - b.owner.number ||
    a.index - b.index
  );
}

function textOf(snapshot: RegionSnapshot, sockets: readonly InspectedSocket[], options: SsOptions): string {
  const lines =
    sockets.length === 0 ? emptyLines(snapshot, options) : tableLines(SOCKET_COLUMNS, sockets.map(socketRow));
  if (options.processes === true && snapshot.processes.length > 0) {
    const counts = socketCounts(snapshot);
    const rows = snapshot.processes.map((process) => processRow(process, counts.get(process.info.number) ?? 0));
    lines.push('', ...tableLines(PROCESS_COLUMNS, rows));
  }
  return `${lines.map(fit).join('\n')}\n`;
}

function emptyLines(snapshot: RegionSnapshot, options: SsOptions): string[] {
  const live = snapshot.processes.filter((process) => process.alive === 'alive').length;
  const what = options.listening === true ? 'Nobody listens' : 'No sockets';
  return [
    `${what} in the region ${snapshot.directory}; live processes: ${live}.`,
    'Programs join it with: stp run -- node server.js',
  ];
}

function socketRow(socket: InspectedSocket): string[] {
  const { scb, state } = socket;
  const listens = state === 'listening';
  return [
    STATE_LABELS[state],
    String(scb.receiveQueuedBytes),
    String(listens ? scb.backlog : scb.sendQueuedBytes),
    addressText({ system: scb.localSystem, port: scb.localPort, group: scb.localGroup, ip: socket.localIp }),
    addressText({ system: scb.remoteSystem, port: scb.remotePort, group: scb.remoteGroup, ip: socket.remoteIp }),
    String(scb.bytesReceived),
    String(scb.bytesSent),
    `${ownerText(socket.owner, socket.ownerAlive)} ${socket.owner.title}`,
  ];
}

interface Side {
  readonly system: string;
  readonly group: string;
  readonly port: number;
  /** '' none. */
  readonly ip: string;
}

/** The IP address where there is one, else the system. */
function addressText({ system, port, group, ip }: Side): string {
  if (port === 0) return '*';
  const host = ip === '' ? system : ip.includes(':') ? `[${ip}]` : ip;
  return `${host === '' ? '*' : host}:${port}${group === '' || group === DEFAULT_GROUP ? '' : `/${group}`}`;
}

function ownerText(owner: ProcessInfo, alive: Liveness): string {
  const notes = [`#${owner.number}`];
  if (owner.threadId !== 0) notes.push(`thread ${owner.threadId}`);
  if (alive === 'dead') notes.push('dead');
  if (alive === 'unknown') notes.push('perhaps alive');
  return `pid ${owner.pid} (${notes.join(', ')})`;
}

/** Sockets by the number of their process. */
function socketCounts({ sockets }: RegionSnapshot): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { owner } of sockets) counts.set(owner.number, (counts.get(owner.number) ?? 0) + 1);
  return counts;
}

function processRow(process: InspectedProcess, sockets: number): string[] {
  const { info, alive } = process;
  const state =
    alive === 'dead' ? (info.state === 'left' ? 'left' : 'dead') : alive === 'unknown' ? 'perhaps' : info.state;
  return [
    String(info.number),
    state,
    info.system,
    info.group,
    String(info.pid),
    String(info.threadId),
    String(sockets),
    timeText(info.startedAtMs),
    info.title,
  ];
}

/** A time as JSON has it; what damage made no time of is shown as it is. */
function timeText(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}

/** A line for a terminal is cut at its edge; one for a file or a pipe is whole. */
function fit(line: string): string {
  const width = process.stdout.isTTY ? process.stdout.columns : 0;
  return width > 0 && line.length > width ? `${line.slice(0, width - 1)}>` : line;
}

function jsonOf(snapshot: RegionSnapshot, sockets: readonly InspectedSocket[]): unknown {
  const { header } = snapshot;
  return {
    region: {
      directory: snapshot.directory,
      ...(header === undefined
        ? {}
        : { id: header.id, createdAt: timeText(header.createdAtMs), limits: header.limits }),
    },
    processes: snapshot.processes.map(({ info, alive }) => ({
      ...ownerJson(info, alive),
      state: info.state,
      system: info.system,
      group: info.group,
      since: timeText(info.startedAtMs),
    })),
    sockets: sockets.map(socketJson),
    problems: snapshot.problems,
  };
}

function socketJson(socket: InspectedSocket): unknown {
  const { scb } = socket;
  const side = ({ system, group, port, ip }: Side): unknown =>
    port === 0 ? null : { system, group, port, ...(ip === '' ? {} : { ip }) };
  return {
    state: socket.state,
    local: side({ system: scb.localSystem, group: scb.localGroup, port: scb.localPort, ip: socket.localIp }),
    remote: side({ system: scb.remoteSystem, group: scb.remoteGroup, port: scb.remotePort, ip: socket.remoteIp }),
    bytesReceived: scb.bytesReceived,
    bytesSent: scb.bytesSent,
    ...(socket.state === 'listening'
      ? { requestsWaiting: scb.receiveQueuedBytes, backlog: scb.backlog }
      : { receiveQueuedBytes: scb.receiveQueuedBytes, sendQueuedBytes: scb.sendQueuedBytes }),
    changedAt: timeText(scb.changedAtMs),
    socket: socket.index,
    generation: scb.generation,
    owner: ownerJson(socket.owner, socket.ownerAlive),
  };
}

function ownerJson(
  owner: ProcessInfo,
  alive: Liveness,
): { process: number; pid: number; thread: number; alive: Liveness; command: string } {
  return { process: owner.number, pid: owner.pid, thread: owner.threadId, alive, command: owner.title };
}
