/**
 * The tables of ports of other processes, as one of them reads them. What lies where says binding-table.ts.
 *
 * Any of it may be damaged. The head of a block is checked before its entries are looked at, and an entry before
 * readBindings tells of it: what is impossible throws ESTPCORRUPT, which names the file. findListening compares bytes,
 * and checks no more of an entry than that it matches.
 */
import { StpError } from '../errors';
import {
  Binding,
  BINDINGS_PER_BLOCK,
  BindingsHead,
  BindingState,
  closenessOfBytes,
  type IpBytes,
  ipText,
  PORT_BLOCKS_EACH_MAX,
} from '../layout';
import { type BlockReader } from '../storage';
import { type BindingEntry, groupsOf, isIn, placeOf, portBlock, PORT_MAX, type PortSpan } from './binding-table';
import { isGroupName } from './names';
import { damaged, processPath } from './process-info';

/** A listening socket in the table of another process. */
export interface ListeningEntry {
  readonly socket: number;
  readonly shared: boolean;
  /** How close it is to the address that was called, see src/layout/reach.ts. */
  readonly closeness: number;
  readonly backlog: number;
}

/** What {@link findListening} looks for. */
export interface WantedListener {
  readonly group: Uint8Array;
  readonly port: number;
  readonly ip: IpBytes;
}

const ALL_PORTS: PortSpan = { first: 0, last: PORT_MAX };
const STATE_MAX = Math.max(...Object.values(BindingState));
const STATE_AT = Binding.fields.state.at;
const PORT_AT = Binding.fields.port.at;
const COUNT_AT = Binding.fields.count.at;
const BACKLOG_AT = Binding.fields.backlog.at;
const SHARED_AT = Binding.fields.shared.at;
const FAMILY_AT = Binding.fields.family.at;
const IP_AT = Binding.fields.ip.at;
const SOCKET_AT = Binding.fields.socket.at;
const GROUP_AT = Binding.fields.group.at;
const GROUP_BYTES = Binding.fields.group.size;
const GROUPS_AT = BindingsHead.fields.portGroups.at;

/** One block of a table, its head checked. */
interface TableBlock {
  readonly payload: Uint8Array;
  readonly view: DataView;
  readonly used: number;
}

/** The blocks of a table in which entries for `span` may lie, one after the other. */
function* blocksFor(reader: BlockReader, number: number, span: PortSpan): Generator<TableBlock, void, undefined> {
  const first = readBlock(reader, number, 0);
  if (first === undefined) return;
  yield first;
  for (const group of groupsOf(span)) {
    if (((first.payload[GROUPS_AT + (group >> 3)] ?? 0) & (1 << (group & 7))) === 0) continue;
    let blocks = 1;
    for (let round = 0; round < blocks; round += 1) {
      const block = readBlock(reader, number, portBlock(group, round));
      if (block === undefined) break;
      // A group that was just given up has 0.
      if (round === 0) blocks = usedBlocks(block.view, number);
      yield block;
    }
  }
}

function readBlock(reader: BlockReader, number: number, block: number): TableBlock | undefined {
  const payload = reader.read(placeOf(block))?.payload;
  if (payload === undefined) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return { payload, view, used: usedEntries(view, number) };
}

/**
 * All entries in the table of another process, checked; empty where it has published none. ESTPCORRUPT names the file.
 * With a span of ports only entries that may hold one of them; this is the fast way. A range is found by its first
 * port.
 */
export function readBindings(
  reader: BlockReader,
  number: number,
  visit: (entry: BindingEntry) => boolean,
  span = ALL_PORTS,
): void {
  for (const { payload, view, used } of blocksFor(reader, number, span)) {
    for (let i = 0; i < used; i += 1) {
      const at = BindingsHead.sizeBytes + i * Binding.sizeBytes;
      if (view.getUint8(at + STATE_AT) === BindingState.free) continue;
      const port = view.getUint32(at + PORT_AT, true);
      const count = view.getUint16(at + COUNT_AT, true);
      if (span !== ALL_PORTS && !isIn({ port, count }, span)) continue;
      if (visit(checked(payload, at, number))) return;
    }
  }
}

/**
 * The socket that listens at a port of a group, of several the one that is closest to the address that was called.
 * Compares bytes and decodes nothing that does not match.
 */
export function findListening(reader: BlockReader, number: number, wanted: WantedListener): ListeningEntry | undefined {
  const { group, port, ip } = wanted;
  let best: ListeningEntry | undefined;
  for (const { payload, view, used } of blocksFor(reader, number, { first: port, last: port })) {
    for (let i = 0; i < used; i += 1) {
      const at = BindingsHead.sizeBytes + i * Binding.sizeBytes;
      if (view.getUint32(at + PORT_AT, true) !== port || view.getUint8(at + STATE_AT) !== BindingState.listening)
        continue;
      if (!sameGroup(payload, at + GROUP_AT, group)) continue;
      const closeness = closenessOfBytes(view.getUint8(at + FAMILY_AT), payload, at + IP_AT, ip);
      if (closeness <= (best?.closeness ?? 0)) continue;
      best = {
        socket: view.getUint32(at + SOCKET_AT, true),
        shared: view.getUint8(at + SHARED_AT) === 1,
        closeness,
        backlog: view.getUint16(at + BACKLOG_AT, true),
      };
      // What is not shared is alone.
      if (!best.shared) return best;
    }
  }
  return best;
}

/** A group name as {@link findListening} compares it. */
export function groupBytes(group: string): Uint8Array {
  const bytes = new Uint8Array(GROUP_BYTES);
  new TextEncoder().encodeInto(group, bytes);
  return bytes;
}

function sameGroup(payload: Uint8Array, at: number, group: Uint8Array): boolean {
  for (let i = 0; i < GROUP_BYTES; i += 1) if (payload[at + i] !== group[i]) return false;
  return true;
}

function usedEntries(view: DataView, number: number): number {
  if (view.byteLength < BindingsHead.sizeBytes)
    throw new StpError('ESTPCORRUPT', `${processPath(number)}: the bindings are cut short`);
  const used = view.getUint32(BindingsHead.fields.entries.at, true);
  if (used > BINDINGS_PER_BLOCK || BindingsHead.sizeBytes + used * Binding.sizeBytes > view.byteLength)
    throw damaged(processPath(number), 'bindings.entries');
  return used;
}

function usedBlocks(view: DataView, number: number): number {
  const blocks = view.getUint32(BindingsHead.fields.blocks.at, true);
  if (blocks > PORT_BLOCKS_EACH_MAX) throw damaged(processPath(number), 'bindings.blocks');
  return blocks;
}

function checked(payload: Uint8Array, at: number, number: number): BindingEntry {
  const { port, count, group, socket, state, shared, family, ip, backlog } = Binding.decode(payload, at);
  if (state > STATE_MAX) throw damaged(processPath(number), 'binding.state');
  if (port < 1 || count < 1 || count > PORT_MAX || port + count - 1 > PORT_MAX)
    throw damaged(processPath(number), 'binding.port');
  if (shared > 1) throw damaged(processPath(number), 'binding.shared');
  if (!isGroupName(group)) throw damaged(processPath(number), 'binding.group');
  const reach = ipText(family, ip);
  if (reach === undefined) throw damaged(processPath(number), 'binding.ip');
  return { port, count, group, socket, state, shared: shared === 1, reach, backlog };
}
