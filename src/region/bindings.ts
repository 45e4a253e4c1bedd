/**
 * The ports of this process, and who listens where in the region.
 *
 * (system, group, port) is the key: systems compare without case, groups exactly. A port bound by number may lie in the
 * range that another process holds for its unbound sockets; only two that bind the same number are in each other's way,
 * unless both share it.
 */
import { crashPoint } from '../crash-points';
import { StpError } from '../errors';
import { BindingState } from '../layout';
import { ANY_ADDRESS } from './address-tag';
import { type BindingEntry, BindingTable, findListening, groupBytes, type ListeningEntry, readBindings } from './binding-table';
import { type BlockWriter } from '../storage';
import { Claims } from './claims';
import { isGroupName, systemKey } from './names';
import { EPHEMERAL_FIRST, PortRanges } from './port-ranges';
import { type ProcessInfo } from './process-info';
import { isDamage, type KnownProcess, type Processes } from './processes';

export interface FoundListener {
  readonly process: ProcessInfo;
  /** Index of the listening socket there. */
  readonly socket: number;
  /** Others may listen there too, see {@link Bindings.bind}. */
  readonly shared: boolean;
  readonly address: number;
}

export interface PortInfo {
  readonly process: ProcessInfo;
  readonly group: string;
  readonly port: number;
  /** 1, or the size of a range. */
  readonly count: number;
  readonly socket: number;
  /** Name of a state of BindingState. */
  readonly state: keyof typeof BindingState;
}

interface OwnPort {
  readonly slot: number;
  readonly socket: number;
  readonly shared: boolean;
  readonly address: number;
  readonly listening: boolean;
  /** Reserved in our own range of unbound ports. */
  readonly reserved: boolean;
}

const PORT_MAX = 65_535;
/** Divides by every small number of processes, so that turns go round evenly. */
const TURN_MAX = 720_720;
const STATE_NAMES = Object.fromEntries(Object.entries(BindingState).map(([name, value]) => [value, name])) as Record<number, keyof typeof BindingState>;

export class Bindings {
  readonly #table: BindingTable;
  readonly #claims: Claims;
  readonly #processes: Processes;
  readonly #self: ProcessInfo;
  readonly #ports = new Map<string, Map<number, OwnPort>>();
  readonly #ranges = new Map<string, PortRanges>();
  /** Groups as the search compares them. */
  readonly #groupBytes = new Map<string, Uint8Array>();
  /** Why a table could not be read in the last search, where that may pass. */
  #unread: StpError | undefined;
  /** Whose turn it is among those that share a port. Begins anywhere, so that many clients with one connection each spread as well. */
  #turn = Math.floor(Math.random() * TURN_MAX);

  constructor(file: BlockWriter, processes: Processes, self: ProcessInfo) {
    this.#table = new BindingTable(file);
    this.#claims = new Claims(this.#table, processes, self);
    this.#processes = processes;
    this.#self = self;
    this.#table.begin();
  }

  /**
   * Binds a port of this system for socket `socket`; 0 chooses one. Returns the port. EADDRINUSE: a live socket of this
   * system and group has it; EADDRNOTAVAIL: none is left to choose; EINVAL; what the storage throws.
   * `shared`: other processes may bind it as well, if all of them share it; clients then go to those that listen in turn.
   */
  bind(port: number, group: string, socket: number, shared = false): number {
    checkPort(port, 0);
    checkGroup(group);
    if (port !== 0) {
      if (this.#tryBind(port, group, socket, shared)) return port;
      throw new StpError('EADDRINUSE', `stp://${this.#self.system}:${port}/${group}`);
    }
    return this.#bindChosen(group, socket, shared);
  }

  /**
   * Makes a bound port a listening one: from now on clients find it. EINVAL where it is not bound here. `address`: tag of the IP address that the owner
   * listens at by TCP.
   */
  listen(port: number, group: string, address = ANY_ADDRESS): void {
    const own = this.#own(port, group);
    if (!own.listening) this.#update(port, group, { ...own, address, listening: true });
  }

  /** Shares a port that is bound or listening here already: from now on others may bind it too. EINVAL where it is not bound here. */
  share(port: number, group: string): void {
    const own = this.#own(port, group);
    if (!own.shared) this.#update(port, group, { ...own, shared: true });
  }

  #update(port: number, group: string, own: OwnPort): void {
    const { slot, socket, shared, address, listening } = own;
    this.#table.set(slot, { port, count: 1, group, socket, state: listening ? BindingState.listening : BindingState.bound, shared, address });
    this.#ports.get(group)?.set(port, own);
    if (listening) crashPoint('bind.listening');
  }

  /** Frees a bound or listening port, chosen or not. EINVAL where it is not bound here. */
  unbind(port: number, group: string): void {
    const own = this.#own(port, group);
    this.#table.set(own.slot, undefined);
    crashPoint('bind.freed');
    this.#ports.get(group)?.delete(port);
    const ranges = this.#ranges.get(group);
    if (own.reserved) ranges?.giveBack(port);
    else ranges?.unmark(port);
  }

  /** A port for a socket that was not bound; cheap, and seen by nobody. Where none is left it is another connection's as well. */
  ephemeral(group: string): number {
    return this.#rangesOf(group).takeOrShare();
  }

  #rangesOf(group: string): PortRanges {
    let ranges = this.#ranges.get(group);
    if (ranges === undefined) {
      checkGroup(group);
      ranges = new PortRanges(group, this.#table, this.#claims, this.#self.number);
      this.#ranges.set(group, ranges);
    }
    return ranges;
  }

  /** Gives back what {@link ephemeral} gave. */
  releaseEphemeral(port: number, group: string): void {
    this.#ranges.get(group)?.giveBack(port);
  }

  /**
   * Who listens at an address: a process that is not known to be dead. Of several that share the port each call takes the next.
   * Costs one small read per process of the system. `reluctance` of a process: only those where it is least are taken, and none where
   * it is Infinity.
   */
  findListener(system: string, group: string, port: number, reluctance?: (process: number) => number): FoundListener | undefined {
    const listeners = this.#listeners(system, group, port);
    return this.#next(reluctance === undefined ? listeners : least(listeners, reluctance));
  }

  /** Whether anybody listens at an address; takes nobody's turn. `addresses`: only who listens by TCP at all of them or at one of these (tags). */
  hasListener(system: string, group: string, port: number, addresses?: readonly number[]): boolean {
    return this.#listeners(system, group, port).some(({ address }) => addresses === undefined || address === ANY_ADDRESS || addresses.includes(address));
  }

  /** One that has the port for itself, or all that share it. */
  #listeners(system: string, group: string, port: number): readonly FoundListener[] {
    const found = this.#search(system, group, port, false);
    return found.length === 0 && this.#processes.mayMiss ? this.#search(system, group, port, true) : found;
  }

  #search(system: string, group: string, port: number, fresh: boolean): readonly FoundListener[] {
    const key = systemKey(system);
    const own = key === this.#self.systemKey ? this.#ports.get(group)?.get(port) : undefined;
    const here = own?.listening === true ? [{ process: this.#self, socket: own.socket, shared: own.shared, address: own.address }] : [];
    const bytes = this.#bytesOf(group);
    if (bytes === undefined || here[0]?.shared === false) return here;
    const sharing: FoundListener[] = here;
    this.#unread = undefined;
    for (const process of this.#processes.others(fresh)) {
      const { info } = process;
      if (info.systemKey !== key || info.state === 'left') continue;
      const found = this.#listening(process, bytes, port);
      if (found === undefined || this.#processes.isAlive(info) === 'dead') continue;
      const listener = { process: info, ...found };
      if (!found.shared) return [listener];
      sharing.push(listener);
    }
    if (sharing.length === 0) this.#checkUnread();
    return sharing;
  }

  /** Nobody was found, and it may be somebody whose file can't be read now: that is not the same as nobody. */
  #checkUnread(): void {
    if (this.#unread !== undefined) throw this.#unread;
  }

  /** In turn, in the order of process numbers, so that each gets its share. */
  #next(sharing: readonly FoundListener[]): FoundListener | undefined {
    if (sharing.length < 2) return sharing[0];
    const inOrder = [...sharing].sort((a, b) => a.process.number - b.process.number);
    this.#turn = (this.#turn + 1) % TURN_MAX;
    return inOrder[this.#turn % inOrder.length];
  }

  /** All ports and ranges in the region, or those of one system and group; of processes not known to be dead. */
  ports(system?: string, group?: string): PortInfo[] {
    const found: PortInfo[] = [];
    const add = (process: ProcessInfo, entry: BindingEntry): boolean => {
      if (group === undefined || entry.group === group) found.push({ process, group: entry.group, port: entry.port, count: entry.count, socket: entry.socket, state: STATE_NAMES[entry.state] ?? 'free' });
      return false;
    };
    const wanted = system === undefined ? undefined : systemKey(system);
    if (wanted === undefined || wanted === this.#self.systemKey) for (const entry of this.#table.entries()) add(this.#self, entry);
    const others = [...this.#processes.others(true)].filter(({ info }) => wanted === undefined || info.systemKey === wanted);
    for (const { info, reader } of others) {
      if (this.#processes.isAlive(info) === 'dead') continue;
      try {
        readBindings(reader, info.number, (entry) => add(info, entry));
      } catch (error) {
        if (!isDamage(error)) throw error;
        this.#processes.disown(info.number);
      }
    }
    return found;
  }

  #bindChosen(group: string, socket: number, shared: boolean): number {
    try {
      return this.#bindInRange(group, socket, shared);
    } catch (error) {
      if (!(error instanceof StpError && error.code === 'EADDRNOTAVAIL')) throw error;
      // Others hold all ranges, for sockets that only connect: those are in nobody's way.
      return this.#bindAnywhere(group, socket, shared, error);
    }
  }

  #bindAnywhere(group: string, socket: number, shared: boolean, failure: StpError): number {
    const bound = this.#claims.boundByOthers(group, EPHEMERAL_FIRST, PORT_MAX - EPHEMERAL_FIRST + 1);
    for (let port = EPHEMERAL_FIRST; port <= PORT_MAX; port += 1) {
      if (!bound.has(port) && this.#tryBind(port, group, socket, shared)) return port;
    }
    throw failure;
  }

  #bindInRange(group: string, socket: number, shared: boolean): number {
    const refused: number[] = [];
    let bound = 0;
    try {
      while (bound === 0) {
        const chosen = this.#rangesOf(group).take();
        refused.push(chosen);
        if (this.#tryBind(chosen, group, socket, shared, true)) bound = chosen;
      }
      return bound;
    } finally {
      for (const port of refused) if (port !== bound) this.releaseEphemeral(port, group);
    }
  }

  #tryBind(port: number, group: string, socket: number, shared: boolean, chosen = false): boolean {
    let ports = this.#ports.get(group);
    if (ports?.has(port) === true) return false;
    const slot = this.#claims.claim({ port, count: 1, group, socket, state: BindingState.bound, shared, address: ANY_ADDRESS });
    if (slot < 0) return false;
    if (ports === undefined) this.#ports.set(group, (ports = new Map<number, OwnPort>()));
    const reserved = chosen || this.#ranges.get(group)?.reserve(port) === true;
    ports.set(port, { slot, socket, shared, address: ANY_ADDRESS, listening: false, reserved });
    return true;
  }

  #own(port: number, group: string): OwnPort {
    const own = this.#ports.get(group)?.get(port);
    if (own === undefined) throw new StpError('EINVAL', `port ${port} of group ${group} is not bound by this process`);
    return own;
  }

  #bytesOf(group: string): Uint8Array | undefined {
    let bytes = this.#groupBytes.get(group);
    if (bytes === undefined && isGroupName(group)) this.#groupBytes.set(group, (bytes = groupBytes(group)));
    return bytes;
  }

  #listening({ info, reader }: KnownProcess, group: Uint8Array, port: number): ListeningEntry | undefined {
    try {
      return findListening(reader, info.number, group, port);
    } catch (error) {
      if (isDamage(error)) this.#processes.disown(info.number);
      else if (error instanceof StpError) this.#unread = error;
      return undefined;
    }
  }
}

/** Those that are called least reluctantly. */
function least(listeners: readonly FoundListener[], reluctance: (process: number) => number): readonly FoundListener[] {
  let best = Infinity;
  let found: FoundListener[] = [];
  for (const listener of listeners) {
    const value = reluctance(listener.process.number);
    if (value < best) found = [];
    best = Math.min(best, value);
    if (value === best && value !== Infinity) found.push(listener);
  }
  return found;
}

function checkPort(port: number, least: number): void {
  if (!Number.isInteger(port) || port < least || port > PORT_MAX) throw new StpError('EINVAL', `port must be an integer from ${least} to ${PORT_MAX}`);
}

function checkGroup(group: string): void {
  if (typeof group !== 'string' || !isGroupName(group)) throw new StpError('EINVAL', 'group must be 1 to 15 letters, digits, ".", "_" or "-"');
}
