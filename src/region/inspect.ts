/**
 * A look at a whole region from outside: never joins, never writes, and works while the owners are dead or their files
 * are damaged. What can't be decoded becomes a line in `problems`, never an exception.
 */
import { StpError } from '../errors';
import {
  BindingState,
  BLOCK_BYTES,
  ipText,
  PROCESS_BLOCKS,
  REGION_PATHS,
  Scb,
  SCBS_PER_BLOCK,
  SocketsHead,
  SocketState,
  type SocketStateName,
  SOCKETS_MAX,
} from '../layout';
import { accessOf, type BlockReader, FileStorage, fileSystemOf, type Storage } from '../storage';
import { readBindings } from './binding-reader';
import { type BindingEntry, PORT_MAX } from './binding-table';
import { checkRegionDirectory } from './directory';
import { probeLivenessFifo } from './liveness-fifo';
import { readHeader, type RegionFacts, REMOVING_PATH } from './header';
import { readBeat } from './heartbeat';
import { isGuessedBootId, type Liveness, machine, sharingId } from './machine';
import { printable } from './names';
import { damaged, decodeIdentity, type ProcessInfo, processPath } from './process-info';
import { listNumbers } from './process-numbers';
import { type ScbValues } from './socket-table';

export interface InspectedBinding {
  readonly port: number;
  /** 1, or the size of a range. */
  readonly count: number;
  readonly group: string;
  readonly socket: number;
  readonly state: keyof typeof BindingState;
  /** The addresses whose port it is, see src/layout/reach.ts. */
  readonly reach: string;
}

export interface InspectedProcess {
  readonly info: ProcessInfo;
  /** 'unknown' for a process of another kernel: only watching its heartbeat for some time would tell. */
  readonly alive: Liveness;
  /** The last heartbeat, undefined where it never beat. */
  readonly beat: number | undefined;
  readonly bindings: readonly InspectedBinding[];
}

export interface InspectedSocket {
  readonly owner: ProcessInfo;
  readonly ownerAlive: Liveness;
  /** Index in its owner's part of the socket table: with the owner's number the name of the socket. */
  readonly index: number;
  readonly state: SocketStateName;
  /** '' where it has none. */
  readonly localIp: string;
  readonly remoteIp: string;
  /** All fields as they lie in the region. */
  readonly scb: Readonly<ScbValues>;
}

export interface RegionSnapshot {
  readonly directory: string;
  /** Undefined where the header is missing or damaged; `problems` says which. */
  readonly header: RegionFacts | undefined;
  /** By number; the dead and those that left included, while their file is there. */
  readonly processes: readonly InspectedProcess[];
  /** All sockets that are not free, by owner and index. */
  readonly sockets: readonly InspectedSocket[];
  /** One line for each thing that could not be read. */
  readonly problems: readonly string[];
}

const SOCKET_STATES = new Map<number, SocketStateName>(
  Object.entries(SocketState).map(([name, value]) => [value, name as SocketStateName]),
);
const BINDING_STATES = new Map<number, keyof typeof BindingState>(
  Object.entries(BindingState).map(([name, value]) => [value, name as keyof typeof BindingState]),
);

/**
 * Looks at the region in `directory`. Throws only where there is no such directory (ENOENT), it is none (ESTPREGION) or
 * may not be read (EACCES).
 */
export function inspectRegion(directory: string): RegionSnapshot {
  checkRegionDirectory(directory, 'read');
  const storage = readOnlyStorage(directory);
  const problems: string[] = [];
  const header = attempt(problems, REGION_PATHS.header, () => readRegionHeader(storage));
  if (storage.info(REMOVING_PATH) !== undefined) problems.push(`${REMOVING_PATH}: the region is being reset`);
  const processes: InspectedProcess[] = [];
  const sockets: InspectedSocket[] = [];
  const numbers = attempt(problems, REGION_PATHS.processes, () => listNumbers(storage).sort((a, b) => a - b)) ?? [];
  for (const number of numbers) {
    attempt(problems, processPath(number), () => {
      inspectProcess(storage, number, header, { processes, sockets, problems });
    });
  }
  return { directory: storage.root, header, processes, sockets, problems };
}

/** A storage to look with; control files are read the same way whatever driver wrote them. */
export function readOnlyStorage(directory: string): Storage {
  return new FileStorage(directory, {
    driver: 'direct',
    local: fileSystemOf(directory).local,
    access: accessOf(directory),
  });
}

/** What a process tells of itself and what its kernel tells of it, without ever waiting. */
export function livenessNow(storage: Storage, info: ProcessInfo, beat: number | undefined): Liveness {
  if (info.state === 'left') return 'dead';
  const here = machine();
  const guessed = isGuessedBootId(info.bootId) && isGuessedBootId(here.bootId);
  if (info.bootId !== sharingId(here.bootId, storage.mount()) && !guessed)
    return beat === undefined && !storage.shared ? 'dead' : 'unknown';
  if (info.hasLivenessFifo) {
    const fifo = probeLivenessFifo(storage, info.number);
    if (fifo !== 'missing') return fifo === 'open' ? 'alive' : 'dead';
  }
  return guessed ? 'unknown' : here.pidLiveness(info.pid, info.startTicks, info.pidNamespace);
}

function readRegionHeader(storage: Storage): RegionFacts {
  const facts = readHeader(storage);
  if (facts === undefined) throw new StpError('ESTPREGION', 'there is no region header');
  return facts;
}

interface Findings {
  readonly processes: InspectedProcess[];
  readonly sockets: InspectedSocket[];
  readonly problems: string[];
}

function inspectProcess(storage: Storage, number: number, header: RegionFacts | undefined, into: Findings): void {
  const reader = storage.openBlocks(processPath(number));
  if (reader === undefined) return;
  try {
    const block = reader.read(PROCESS_BLOCKS.identity);
    if (block === undefined) return;
    const info = decodeIdentity(block.payload, number);
    if (header !== undefined && info.regionId !== header.id)
      into.problems.push(`${processPath(number)}: of another region`);
    const beat = attempt(into.problems, `${processPath(number)} heartbeat`, () => readBeat(reader));
    const alive =
      attempt(into.problems, `${processPath(number)} liveness FIFO`, () => livenessNow(storage, info, beat)) ??
      'unknown';
    const bindings: InspectedBinding[] = [];
    attempt(into.problems, `${processPath(number)} bindings`, () => {
      readBindings(reader, number, (entry) => (bindings.push(inspectedBinding(entry)), false));
    });
    into.processes.push({ info, alive, beat, bindings });
    inspectSockets(reader, info, alive, header?.limits.socketsMax ?? SOCKETS_MAX, into);
  } finally {
    reader.close();
  }
}

function inspectedBinding(entry: BindingEntry): InspectedBinding {
  return { ...entry, state: BINDING_STATES.get(entry.state) ?? 'free' };
}

function inspectSockets(
  reader: BlockReader,
  owner: ProcessInfo,
  ownerAlive: Liveness,
  socketsMax: number,
  into: Findings,
): void {
  const blocksInFile = Math.ceil(reader.sizeBytes / BLOCK_BYTES) - PROCESS_BLOCKS.sockets;
  // Where its head can't be read, the blocks themselves may be whole.
  const announced =
    attempt(into.problems, `${processPath(owner.number)} sockets`, () => socketBlocks(reader, owner.number)) ??
    Infinity;
  const blocks = Math.min(blocksInFile, announced, Math.ceil(socketsMax / SCBS_PER_BLOCK));
  for (let at = 0; at < blocks; at += 1) {
    const where = `${processPath(owner.number)} sockets from ${at * SCBS_PER_BLOCK}`;
    const payload = attempt(into.problems, where, () => reader.read(PROCESS_BLOCKS.sockets + at)?.payload);
    if (payload === undefined) continue;
    const count = Math.min(SCBS_PER_BLOCK, Math.floor(payload.length / Scb.sizeBytes));
    for (let i = 0; i < count; i += 1) {
      if (payload[i * Scb.sizeBytes + Scb.fields.state.at] === SocketState.free) continue;
      const index = at * SCBS_PER_BLOCK + i;
      const socket = attempt(into.problems, `${processPath(owner.number)} socket ${index}`, () =>
        decodeSocket(payload, i),
      );
      if (socket !== undefined) into.sockets.push({ owner, ownerAlive, index, ...socket });
    }
  }
}

/** How far blocks of sockets may lie. */
function socketBlocks(reader: BlockReader, number: number): number {
  const block = reader.read(PROCESS_BLOCKS.socketsHead);
  if (block === undefined) return 0;
  if (block.payload.length < SocketsHead.sizeBytes) throw damaged(processPath(number), 'the sockets head');
  return SocketsHead.decode(block.payload).blocks;
}

/** One checked socket control block of a block of them. */
export function decodeSocket(
  payload: Uint8Array,
  i: number,
): Pick<InspectedSocket, 'state' | 'localIp' | 'remoteIp' | 'scb'> {
  const scb = Scb.decode(payload, i * Scb.sizeBytes);
  const state = SOCKET_STATES.get(scb.state);
  if (state === undefined) throw new StpError('ESTPCORRUPT', 'state is impossible');
  if (scb.localPort > PORT_MAX || scb.remotePort > PORT_MAX) throw new StpError('ESTPCORRUPT', 'port is impossible');
  const localIp = ipText(scb.localFamily, scb.localIp);
  const remoteIp = ipText(scb.remoteFamily, scb.remoteIp);
  if (localIp === undefined || remoteIp === undefined) throw new StpError('ESTPCORRUPT', 'ip is impossible');
  const clean = {
    localGroup: printable(scb.localGroup),
    remoteGroup: printable(scb.remoteGroup),
    localSystem: printable(scb.localSystem),
    remoteSystem: printable(scb.remoteSystem),
  };
  return { state, localIp, remoteIp, scb: { ...scb, ...clean } };
}

/** Does one thing; a failure becomes a problem. A file that vanished meanwhile is none. */
function attempt<T>(problems: string[], what: string, act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof StpError && error.code === 'ENOENT'))
      problems.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}
