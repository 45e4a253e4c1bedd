/**
 * The ports and ranges that one process holds, as they lie in its file: where each entry lies, and the writing of our
 * own table. binding-reader.ts reads those of other processes.
 *
 * The first entries lie in one block, which is all that a lookup reads of most processes. What does not fit there lies
 * in blocks for 64 neighbouring ports each, and a bit in the first block tells that there are some: so a lookup reads
 * one block more where the port may be there, and no more however many ports a process holds.
 *
 * An entry never moves to another slot while it is held: a reader goes through the blocks one after the other, and must
 * not miss what moves behind its back. A block is replaced whole, so that a change of state is seen or not seen.
 */
import { StpError } from '../errors';
import {
  Binding,
  BINDINGS_PER_BLOCK,
  BindingsHead,
  ipBytes,
  PORT_BLOCKS_EACH_MAX,
  PORT_GROUP_PORTS,
  PORT_GROUPS,
  PROCESS_BLOCKS,
} from '../layout';
import { type BlockWriter } from '../storage';

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

/** Ports from `first` to `last`. */
export interface PortSpan {
  readonly first: number;
  readonly last: number;
}

/** The highest port. */
export const PORT_MAX = 65_535;

/** Which block of its group of ports a port block is; 0 is the bindings block, where all begin. */
export function portBlock(group: number, round: number): number {
  return 1 + round * PORT_GROUPS + group;
}

/** Groups whose port blocks may hold entries of a span. */
export function* groupsOf({ first, last }: PortSpan): Generator<number, void, undefined> {
  const lastGroup = Math.floor(last / PORT_GROUP_PORTS);
  for (let group = Math.floor(first / PORT_GROUP_PORTS); group <= lastGroup; group += 1) yield group;
}

/** Whether an entry holds a port of a span. */
export function isIn({ port, count }: Pick<BindingEntry, 'port' | 'count'>, { first, last }: PortSpan): boolean {
  return port <= last && first < port + count;
}

/** Where a block of the table lies in the file. */
export function placeOf(block: number): number {
  return block === 0 ? PROCESS_BLOCKS.bindings : PROCESS_BLOCKS.ports + block - 1;
}

/** One block of our own table, as it goes to the file. */
class OwnBlock {
  readonly slots: (BindingEntry | undefined)[] = [];
  readonly #payload = new Uint8Array(BindingsHead.sizeBytes + BINDINGS_PER_BLOCK * Binding.sizeBytes);

  get hasRoom(): boolean {
    return this.slots.length < BINDINGS_PER_BLOCK || this.slots.includes(undefined);
  }

  get isEmpty(): boolean {
    return this.slots.every((entry) => entry === undefined);
  }

  put(at: number, entry: BindingEntry | undefined): void {
    this.slots[at] = entry;
    const from = BindingsHead.sizeBytes + at * Binding.sizeBytes;
    if (entry === undefined) this.#payload.fill(0, from, from + Binding.sizeBytes);
    else encodeEntry(entry, this.#payload, from);
  }

  /** What is to be written: the head, and the entries up to the last one in use. */
  payload(blocks: number, portGroups: Uint8Array): Uint8Array {
    let used = this.slots.length;
    while (used > 0 && this.slots[used - 1] === undefined) used -= 1;
    BindingsHead.encode({ entries: used, blocks, portGroups }, this.#payload);
    return this.#payload.subarray(0, BindingsHead.sizeBytes + used * Binding.sizeBytes);
  }
}

/** Our own table: what is set is published at once. */
export class BindingTable {
  readonly #file: BlockWriter;
  /** Entries by block. */
  readonly #blocks = new Map<number, OwnBlock>();
  /** Blocks in use for each group of ports that has some; others know of them. */
  readonly #rounds = new Map<number, number>();
  readonly #portGroups = new Uint8Array(PORT_GROUPS / 8);
  #changes = 0;

  /** Told after each change that others can see, with how many there have been. */
  onChange: ((changes: number) => void) | undefined;

  constructor(file: BlockWriter) {
    this.#file = file;
  }

  /** Publishes an empty table; before this no other process can tell that there is one. */
  begin(): void {
    this.#write(0);
  }

  /** Publishes an entry in a free slot and returns the slot. EADDRNOTAVAIL: all slots for its port are taken. */
  add(entry: BindingEntry): number {
    const block = this.#blockFor(entry.port);
    const own = this.#own(block);
    const free = own.slots.indexOf(undefined);
    const at = free < 0 ? own.slots.length : free;
    own.put(at, entry);
    try {
      this.#publish(block);
    } catch (error) {
      own.put(at, undefined);
      throw error;
    }
    return block * BINDINGS_PER_BLOCK + at;
  }

  /** Replaces the entry of a slot; undefined frees it. */
  set(slot: number, entry: BindingEntry | undefined): void {
    const block = Math.floor(slot / BINDINGS_PER_BLOCK);
    const own = this.#own(block);
    const at = slot % BINDINGS_PER_BLOCK;
    const before = own.slots[at];
    own.put(at, entry);
    try {
      this.#write(block);
    } catch (error) {
      // Others still see what was there; a slot that could not be freed stays taken.
      own.put(at, before);
      throw error;
    }
    if (entry === undefined && block > 0) this.#forgetEmpty((block - 1) % PORT_GROUPS);
  }

  get(slot: number): BindingEntry | undefined {
    return this.#blocks.get(Math.floor(slot / BINDINGS_PER_BLOCK))?.slots[slot % BINDINGS_PER_BLOCK];
  }

  /** Those of which `span` holds a part. */
  entriesIn(span: PortSpan): BindingEntry[] {
    const found: BindingEntry[] = [];
    const look = (block: number): void => {
      for (const entry of this.#blocks.get(block)?.slots ?? [])
        if (entry !== undefined && isIn(entry, span)) found.push(entry);
    };
    look(0);
    for (const group of groupsOf(span)) {
      const rounds = this.#rounds.get(group) ?? 0;
      for (let round = 0; round < rounds; round += 1) look(portBlock(group, round));
    }
    return found;
  }

  entries(): BindingEntry[] {
    return [...this.#blocks.values()].flatMap(({ slots }) => slots.filter((entry) => entry !== undefined));
  }

  /** The first block with room for an entry of this port. */
  #blockFor(port: number): number {
    if (this.#hasRoom(0)) return 0;
    const group = Math.floor(port / PORT_GROUP_PORTS);
    for (let round = 0; round < PORT_BLOCKS_EACH_MAX; round += 1) {
      if (this.#hasRoom(portBlock(group, round))) return portBlock(group, round);
    }
    throw new StpError('EADDRNOTAVAIL', `this process holds ports near ${port} as often as its file has room for`);
  }

  #hasRoom(block: number): boolean {
    return this.#blocks.get(block)?.hasRoom ?? true;
  }

  #own(block: number): OwnBlock {
    let own = this.#blocks.get(block);
    if (own === undefined) this.#blocks.set(block, (own = new OwnBlock()));
    return own;
  }

  /** The block first, then what tells of it: so no reader looks for a block that is not there. */
  #publish(block: number): void {
    if (block === 0) {
      this.#write(0);
      return;
    }
    const group = (block - 1) % PORT_GROUPS;
    const round = Math.floor((block - 1) / PORT_GROUPS);
    const before = this.#rounds.get(group) ?? 0;
    if (round < before) {
      this.#write(block);
      return;
    }
    try {
      if (round > 0) this.#write(block);
      this.#setRounds(group, round + 1);
      this.#write(portBlock(group, 0));
      if (before === 0) this.#write(0);
    } catch (error) {
      this.#setRounds(group, before);
      throw error;
    }
  }

  /** A group of ports that holds nothing any more is not looked at. */
  #forgetEmpty(group: number): void {
    const rounds = this.#rounds.get(group) ?? 0;
    for (let round = 0; round < rounds; round += 1) {
      if (this.#blocks.get(portBlock(group, round))?.isEmpty === false) return;
    }
    this.#setRounds(group, 0);
    try {
      this.#write(0);
    } catch {
      // Others go on to look at blocks that are empty.
      this.#setRounds(group, rounds);
      return;
    }
    for (let round = 0; round < rounds; round += 1) this.#blocks.delete(portBlock(group, round));
  }

  #setRounds(group: number, rounds: number): void {
    const bits = this.#portGroups[group >> 3] ?? 0;
    const bit = 1 << (group & 7);
    this.#portGroups[group >> 3] = rounds > 0 ? bits | bit : bits & ~bit;
    if (rounds > 0) this.#rounds.set(group, rounds);
    else this.#rounds.delete(group);
  }

  #write(block: number): void {
    const blocks = block > 0 && block <= PORT_GROUPS ? (this.#rounds.get(block - 1) ?? 0) : 0;
    this.#file.write(placeOf(block), this.#own(block).payload(blocks, block === 0 ? this.#portGroups : NO_GROUPS));
    this.#changes += 1;
    this.onChange?.(this.#changes);
  }
}

const NO_GROUPS = new Uint8Array(0);

function encodeEntry(entry: BindingEntry, payload: Uint8Array, at: number): void {
  const { port, count, group, socket, state } = entry;
  const { family, bytes } = ipBytes(entry.reach);
  Binding.encode(
    { port, count, group, socket, state, shared: Number(entry.shared), backlog: entry.backlog ?? 0, family, ip: bytes },
    payload,
    at,
  );
}
