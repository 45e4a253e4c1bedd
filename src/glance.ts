/**
 * Whether any process in the region may listen at a port: what a client in `auto` asks before the call library is
 * loaded for it. A program whose servers are all on TCP never loads it.
 *
 * The answer may be yes without need, for then the library looks closely. It is no only where that is certain: the
 * glance reads the tables of ports where a plain read sees what the others have written, in the memory of this machine.
 * It checks nothing, and takes the bytes for no more than a hint.
 */
import path from 'node:path';
import { nowMs } from './host';
import { BLOCK_BYTES, BlockHeader } from './layout/blocks';
import {
  Binding,
  BINDINGS_PER_BLOCK,
  BindingsHead,
  BindingState,
  PORT_GROUP_PORTS,
  PROCESS_BLOCKS,
} from './layout/process-file';
import { io } from './storage/file-calls';

/** For so long an answer is good, milliseconds. */
const FRESH_MS = 20;
/** More processes than this are read faster by the library, which keeps their tables mapped. */
const PROCESSES_MAX = 64;
/** Memory that all processes of this machine share, and no other machine. */
const MEMORY = '/dev/shm';

const HEAD_AT = BlockHeader.sizeBytes;
const ENTRIES_AT = HEAD_AT + BindingsHead.sizeBytes;
const GROUPS_AT = HEAD_AT + BindingsHead.fields.portGroups.at;

/** Ports at which a process listens, and the groups of 64 ports at one of which a process may listen. */
interface Heard {
  readonly ports: Set<number>;
  readonly groups: Set<number>;
}

/** `everything`: there is a region, and only the library can tell. */
let heard: Heard | 'everything' = { ports: new Set(), groups: new Set() };
let lookedAtMs = -Infinity;
let block: Buffer | undefined;

/**
 * @param directories - where the region may be, one or two
 * @param port - undefined where it is not known yet
 */
export function mayListen(directories: readonly string[], port: number | undefined): boolean {
  const now = nowMs();
  if (now - lookedAtMs >= FRESH_MS) {
    heard = look(directories);
    lookedAtMs = now;
  }
  if (heard === 'everything') return true;
  const { ports, groups } = heard;
  if (port === undefined) return ports.size > 0 || groups.size > 0;
  return ports.has(port) || groups.has(Math.floor(port / PORT_GROUP_PORTS));
}

function look(directories: readonly string[]): Heard | 'everything' {
  const found: Heard = { ports: new Set(), groups: new Set() };
  for (const directory of directories) if (!lookInto(directory, found)) return 'everything';
  return found;
}

/** False where a glance can't tell. */
function lookInto(region: string, found: Heard): boolean {
  const processes = path.join(region, 'processes');
  try {
    const at = io.statSync(processes, { throwIfNoEntry: false });
    if (at === undefined) return true;
    if (at.dev !== io.statSync(MEMORY, { throwIfNoEntry: false })?.dev) return false;
  } catch {
    // Where we can't look there is no region for us.
    return true;
  }
  try {
    const numbers = io.readdirSync(processes).filter((name) => /^\d+$/u.test(name));
    if (numbers.length > PROCESSES_MAX) return false;
    for (const number of numbers) lookAt(path.join(processes, number), found);
    return true;
  } catch {
    // Among others: a process that leaves takes its file with it.
    return false;
  }
}

function lookAt(file: string, { ports, groups }: Heard): void {
  block ??= Buffer.alloc(BLOCK_BYTES);
  const descriptor = io.openSync(file, 'r');
  let bytes: number;
  try {
    bytes = io.readSync(descriptor, block, 0, BLOCK_BYTES, PROCESS_BLOCKS.bindings * BLOCK_BYTES);
  } finally {
    io.closeSync(descriptor);
  }
  // A process that has just come has no table yet.
  if (bytes < BLOCK_BYTES) return;
  for (let i = 0; i < BINDINGS_PER_BLOCK; i += 1) {
    const at = ENTRIES_AT + i * Binding.sizeBytes;
    if (block[at + Binding.fields.state.at] === BindingState.listening)
      ports.add(block.readUInt32LE(at + Binding.fields.port.at));
  }
  for (let i = 0; i < BindingsHead.fields.portGroups.size; i += 1) {
    const bits = block[GROUPS_AT + i] ?? 0;
    for (let bit = 0; bits >> bit !== 0; bit += 1) if ((bits & (1 << bit)) !== 0) groups.add(i * 8 + bit);
  }
}
