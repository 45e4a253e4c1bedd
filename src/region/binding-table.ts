/**
 * The ports and ranges that one process holds, as they lie in its file, and the reading of other processes' tables.
 *
 * An entry never moves to another slot while it is held: a reader goes through the blocks one after the other, and must
 * not miss what moves behind its back. A block is replaced whole, so that a change of state is seen or not seen.
 */
import { StpError } from '../errors';
import { Binding, BINDINGS_PER_BLOCK, BindingsHead, BindingState, closenessOfBytes, type IpBytes, ipBytes, ipText, PROCESS_BLOCKS } from '../layout';
import { type BlockReader, type BlockWriter } from '../storage';
import { isGroupName } from './names';
import { damaged, processPath } from './process-info';

export interface BindingEntry {
  /** The port, or the first of a range. */
  readonly port: number;
  /** 1, or the size of the range. */
  readonly count: number;
  readonly group: string;
  readonly socket: number;
  /** A value of BindingState. */
  readonly state: number;
  /** Others may hold the port as well, if they share it too. */
  readonly shared: boolean;
  /** The addresses whose port it is, see src/layout/reach.ts. */
  readonly reach: string;
  /** Of a listener: requests that may wait to be accepted. */
  readonly backlog?: number;
}

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

const SLOTS_MAX = BINDINGS_PER_BLOCK * PROCESS_BLOCKS.bindingsCount;
const PORT_MAX = 65_535;
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

/** Our own table: what is set is published at once. */
export class BindingTable {
  readonly #file: BlockWriter;
  readonly #slots: (BindingEntry | undefined)[] = [];
  readonly #payload = new Uint8Array(BindingsHead.sizeBytes + BINDINGS_PER_BLOCK * Binding.sizeBytes);
  #blocks = 1;

  constructor(file: BlockWriter) {
    this.#file = file;
  }

  /** Publishes an empty table; before this nobody can tell that there is one. */
  begin(): void {
    this.#write(0);
  }

  /** Publishes an entry in a free slot and returns the slot. EADDRNOTAVAIL: all slots are taken. */
  add(entry: BindingEntry): number {
    let slot = this.#slots.indexOf(undefined);
    if (slot < 0) slot = this.#slots.length;
    if (slot >= SLOTS_MAX) throw new StpError('EADDRNOTAVAIL', `this process holds ${SLOTS_MAX} ports and ranges already`);
    this.#slots[slot] = entry;
    try {
      this.#publish(slot);
    } catch (error) {
      this.#slots[slot] = undefined;
      throw error;
    }
    return slot;
  }

  /** Replaces the entry of a slot; undefined frees it. */
  set(slot: number, entry: BindingEntry | undefined): void {
    const before = this.#slots[slot];
    this.#slots[slot] = entry;
    try {
      this.#publish(slot);
    } catch (error) {
      // Others still see what was there; a slot that could not be freed stays taken.
      this.#slots[slot] = before;
      throw error;
    }
  }

  get(slot: number): BindingEntry | undefined {
    return this.#slots[slot];
  }

  entries(): BindingEntry[] {
    return this.#slots.filter((entry) => entry !== undefined);
  }

  #publish(slot: number): void {
    const block = Math.floor(slot / BINDINGS_PER_BLOCK);
    this.#write(block);
    if (block < this.#blocks) return;
    // The block first, then the count of blocks: nobody looks for a block that is not there.
    const before = this.#blocks;
    this.#blocks = block + 1;
    try {
      this.#write(0);
    } catch (error) {
      this.#blocks = before;
      throw error;
    }
  }

  #write(block: number): void {
    const first = block * BINDINGS_PER_BLOCK;
    let used = Math.min(BINDINGS_PER_BLOCK, Math.max(0, this.#slots.length - first));
    while (used > 0 && this.#slots[first + used - 1] === undefined) used -= 1;
    BindingsHead.encode({ entries: used, blocks: this.#blocks }, this.#payload);
    for (let i = 0; i < used; i += 1) {
      const at = BindingsHead.sizeBytes + i * Binding.sizeBytes;
      const entry = this.#slots[first + i];
      if (entry === undefined) this.#payload.fill(0, at, at + Binding.sizeBytes);
      else encodeEntry(entry, this.#payload, at);
    }
    this.#file.write(PROCESS_BLOCKS.bindings + block, this.#payload.subarray(0, BindingsHead.sizeBytes + used * Binding.sizeBytes));
  }
}

/**
 * All entries in the table of another process, checked; empty where it has published none. ESTPCORRUPT names the file.
 * With `only` a port, only entries that may hold it; this is the fast way.
 */
export function readBindings(reader: BlockReader, number: number, visit: (entry: BindingEntry) => boolean, only?: number): void {
  let blocks = 1;
  for (let index = 0; index < blocks; index += 1) {
    const block = reader.read(PROCESS_BLOCKS.bindings + index);
    if (block === undefined) return;
    const { payload } = block;
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    const used = usedEntries(view, number);
    if (index === 0) blocks = usedBlocks(view, number);
    for (let i = 0; i < used; i += 1) {
      const at = BindingsHead.sizeBytes + i * Binding.sizeBytes;
      const state = view.getUint8(at + STATE_AT);
      if (state === BindingState.free) continue;
      const port = view.getUint32(at + PORT_AT, true);
      const count = view.getUint16(at + COUNT_AT, true);
      if (only !== undefined && (only < port || only - port >= count)) continue;
      if (visit(checked(payload, at, state, port, count, number))) return;
    }
  }
}

/**
 * The socket that listens at a port of a group, of several the one that is closest to the address that was called. Reads the
 * first block, further ones only where there are some; compares bytes and decodes nothing that does not match.
 */
export function findListening(reader: BlockReader, number: number, wanted: WantedListener): ListeningEntry | undefined {
  const { group, port, ip } = wanted;
  let best: ListeningEntry | undefined;
  let blocks = 1;
  for (let index = 0; index < blocks; index += 1) {
    const block = reader.read(PROCESS_BLOCKS.bindings + index);
    if (block === undefined) return best;
    const { payload } = block;
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    const used = usedEntries(view, number);
    if (index === 0) blocks = usedBlocks(view, number);
    for (let i = 0; i < used; i += 1) {
      const at = BindingsHead.sizeBytes + i * Binding.sizeBytes;
      if (view.getUint32(at + PORT_AT, true) !== port || view.getUint8(at + STATE_AT) !== BindingState.listening) continue;
      if (!sameGroup(payload, at + GROUP_AT, group)) continue;
      const closeness = closenessOfBytes(view.getUint8(at + FAMILY_AT), payload, at + IP_AT, ip);
      if (closeness <= (best?.closeness ?? 0)) continue;
      best = { socket: view.getUint32(at + SOCKET_AT, true), shared: view.getUint8(at + SHARED_AT) === 1, closeness, backlog: view.getUint16(at + BACKLOG_AT, true) };
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
  if (view.byteLength < BindingsHead.sizeBytes) throw new StpError('ESTPCORRUPT', `${processPath(number)}: the bindings are cut short`);
  const used = view.getUint32(BindingsHead.fields.entries.at, true);
  if (used > BINDINGS_PER_BLOCK || BindingsHead.sizeBytes + used * Binding.sizeBytes > view.byteLength) throw damaged(processPath(number), 'bindings.entries');
  return used;
}

function usedBlocks(view: DataView, number: number): number {
  const blocks = view.getUint32(BindingsHead.fields.blocks.at, true);
  if (blocks < 1 || blocks > PROCESS_BLOCKS.bindingsCount) throw damaged(processPath(number), 'bindings.blocks');
  return blocks;
}

function checked(payload: Uint8Array, at: number, state: number, port: number, count: number, number: number): BindingEntry {
  if (state > STATE_MAX) throw damaged(processPath(number), 'binding.state');
  if (port < 1 || count < 1 || count > PORT_MAX || port + count - 1 > PORT_MAX) throw damaged(processPath(number), 'binding.port');
  const { group, socket, shared, family, ip, backlog } = Binding.decode(payload, at);
  if (shared > 1) throw damaged(processPath(number), 'binding.shared');
  if (!isGroupName(group)) throw damaged(processPath(number), 'binding.group');
  const reach = ipText(family, ip);
  if (reach === undefined) throw damaged(processPath(number), 'binding.ip');
  return { port, count, group, socket, state, shared: shared === 1, reach, backlog };
}

function encodeEntry(entry: BindingEntry, payload: Uint8Array, at: number): void {
  const { port, count, group, socket, state } = entry;
  const { family, bytes } = ipBytes(entry.reach);
  Binding.encode({ port, count, group, socket, state, shared: Number(entry.shared), backlog: entry.backlog ?? 0, family, ip: bytes }, payload, at);
}
