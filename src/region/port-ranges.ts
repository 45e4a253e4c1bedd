/**
 * Ports for sockets that were not bound: numbers from ranges that this process holds for itself, one system and group
 * each.
 *
 * A range is claimed once, against all other processes; after that a number in it costs no look at any of them. Numbers
 * are handed out in turn, so that one just given back is not used again at once. There are 32,768 of them; connections
 * beyond that share.
 */
import { StpError } from '../errors';
import { BindingState } from '../layout';
import { type BindingTable } from './binding-table';
import { type Claims } from './claims';

export const EPHEMERAL_FIRST = 32_768;
const RANGE_PORTS = 128;
const EPHEMERAL_PORTS = 65_536 - EPHEMERAL_FIRST;
const RANGES = EPHEMERAL_PORTS / RANGE_PORTS;
/**
 * Linux gives out ports up to 60,999 by itself. Past them begins the first process: where few are in the region, no
 * server that is on STP alone has the number of one that is on TCP alone, which a client in `auto` would miss.
 */
const FIRST_START = Math.ceil((61_000 - EPHEMERAL_FIRST) / RANGE_PORTS);
/** Ports that are shared until a free one is looked for again. */
const LOOK_AGAIN_AFTER = 1024;
/** Empty ranges that are kept for the next burst. */
const SPARE_RANGES = 1;

const FREE = 0;
const GIVEN = 1;
/** Bound by number when the range was claimed. */
const BOUND = 2;

interface Range {
  readonly first: number;
  readonly slot: number;
  /** FREE, GIVEN or BOUND, one for each port. */
  readonly used: Uint8Array;
  /** Number of ports that are GIVEN. */
  given: number;
  /** Number of ports that are BOUND. */
  bound: number;
  next: number;
}

export class PortRanges {
  readonly #group: string;
  readonly #table: BindingTable;
  readonly #claims: Claims;
  /** By first port. */
  readonly #ranges = new Map<number, Range>();
  /** Where to look first for a free range: processes start at different places, so that they rarely meet. */
  readonly #start: number;
  /** How many connections have a port besides the one that it was given to first. */
  readonly #shared = new Map<number, number>();
  #nextShared: number;
  #sharesLeft = 0;

  constructor(group: string, table: BindingTable, claims: Claims, processNumber: number) {
    this.#group = group;
    this.#table = table;
    this.#claims = claims;
    this.#start = (FIRST_START + processNumber) % RANGES;
    this.#nextShared = this.#start * RANGE_PORTS;
  }

  /**
   * Takes a port for a socket that is only to connect. Where none is left it is one that another connection has as
   * well: what names a connection are its sockets, and it must not fail for want of a number.
   */
  takeOrShare(): number {
    if (this.#sharesLeft > 0) this.#sharesLeft -= 1;
    else {
      try {
        return this.take();
      } catch (error) {
        if (!(error instanceof StpError && error.code === 'EADDRNOTAVAIL')) throw error;
        // To look for a free one reads the tables of all others.
        this.#sharesLeft = LOOK_AGAIN_AFTER;
      }
    }
    this.#nextShared = (this.#nextShared + 1) % EPHEMERAL_PORTS;
    const port = EPHEMERAL_FIRST + this.#nextShared;
    this.#shared.set(port, (this.#shared.get(port) ?? 0) + 1);
    return port;
  }

  /** Takes a port that no other connection has; EADDRNOTAVAIL where no range is left. */
  take(): number {
    for (const range of this.#ranges.values()) {
      const port = takeFrom(range);
      if (port !== 0) return port;
    }
    let held: ReadonlySet<number> | undefined;
    for (let i = 0; i < RANGES; i += 1) {
      const first = EPHEMERAL_FIRST + ((this.#start + i) % RANGES) * RANGE_PORTS;
      const range = held?.has(first) === true ? undefined : this.#claim(first);
      const port = range === undefined ? 0 : takeFrom(range);
      if (port !== 0) return port;
      // The first place is mostly free, and to look for others reads the tables of all processes.
      held ??= this.#claims.rangesOfOthers(this.#group);
    }
    throw new StpError('EADDRNOTAVAIL', `no port of group ${this.#group} is free`);
  }

  /** Gives a taken port back. Others are ignored: a socket that moved here brought the port of another process. */
  giveBack(port: number): void {
    const shares = this.#shared.get(port) ?? 0;
    if (shares > 0) {
      if (shares === 1) this.#shared.delete(port);
      else this.#shared.set(port, shares - 1);
      return;
    }
    this.#sharesLeft = 0;
    const range = this.#rangeOf(port);
    if (range?.used[port - range.first] !== 1) return;
    range.used[port - range.first] = 0;
    range.given -= 1;
    if (range.given === 0) this.#trim(range);
  }

  /** A port that was bound by number: it is not given out while it is. */
  reserve(port: number): boolean {
    const range = this.#rangeOf(port);
    if (range === undefined || range.used[port - range.first] === GIVEN) return false;
    if (range.used[port - range.first] === BOUND) range.bound -= 1;
    range.used[port - range.first] = GIVEN;
    range.given += 1;
    return true;
  }

  /** A port that was bound by number when its range was claimed is free again. */
  unmark(port: number): void {
    const range = this.#rangeOf(port);
    if (range?.used[port - range.first] !== BOUND) return;
    range.used[port - range.first] = FREE;
    range.bound -= 1;
  }

  #rangeOf(port: number): Range | undefined {
    return this.#ranges.get(port - (port % RANGE_PORTS));
  }

  #claim(first: number): Range | undefined {
    if (this.#ranges.has(first)) return undefined;
    const slot = this.#claims.claim({
      port: first,
      count: RANGE_PORTS,
      group: this.#group,
      socket: 0,
      state: BindingState.range,
      shared: false,
      reach: '',
    });
    if (slot < 0) return undefined;
    const range: Range = { first, slot, used: new Uint8Array(RANGE_PORTS), given: 0, bound: 0, next: 0 };
    for (const port of this.#boundIn(first)) {
      range.used[port - first] = BOUND;
      range.bound += 1;
    }
    this.#ranges.set(first, range);
    return range;
  }

  /** Ports of a range that any process, this one included, has bound by number. */
  #boundIn(first: number): Set<number> {
    const bound = this.#claims.boundByOthers(this.#group, first, RANGE_PORTS);
    for (const entry of this.#table.entriesIn({ first, last: first + RANGE_PORTS - 1 })) {
      const isPort = entry.state === BindingState.bound || entry.state === BindingState.listening;
      if (isPort && entry.group === this.#group) bound.add(entry.port);
    }
    return bound;
  }

  #trim(range: Range): void {
    let spare = 0;
    for (const other of this.#ranges.values()) if (other.given === 0 && other.bound < RANGE_PORTS) spare += 1;
    if (spare <= SPARE_RANGES) return;
    this.#table.set(range.slot, undefined);
    this.#ranges.delete(range.first);
  }
}

/** The next free port of a range, 0 where there is none. */
function takeFrom(range: Range): number {
  if (range.given + range.bound === RANGE_PORTS) return 0;
  for (let i = 0; i < RANGE_PORTS; i += 1) {
    const at = (range.next + i) % RANGE_PORTS;
    if (range.used[at] !== FREE) continue;
    range.used[at] = GIVEN;
    range.given += 1;
    range.next = (at + 1) % RANGE_PORTS;
    return range.first + at;
  }
  return 0;
}
