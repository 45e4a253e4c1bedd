/**
 * The ports of this process, and those of the others in the region. Which process listens at an address finds
 * listener-search.ts.
 *
 * (system, group, port) is the key: systems compare without case, groups exactly. A port bound by number may lie in the
 * range that another process holds for its unbound sockets; only two that bind the same number for a common address are
 * in each other's way, unless both share it.
 */
import { crashPoint } from '../crash-points';
import { StpError } from '../errors';
import { BindingState } from '../layout';
import { readBindings } from './binding-reader';
import { type BindingEntry, BindingTable, PORT_MAX } from './binding-table';
import { type BlockWriter } from '../storage';
import { Claims } from './claims';
import { type FoundListener, type ListenerQuery, ListenerSearch } from './listener-search';
import { isGroupName, systemKey } from './names';
import { type OwnPort, OwnPorts } from './own-ports';
import { EPHEMERAL_FIRST, PortRanges } from './port-ranges';
import { type ProcessInfo } from './process-info';
import { isDamage, type Processes } from './processes';

export interface BindOptions {
  /** Other processes may bind the port as well, if all of them share it. */
  readonly shared?: boolean;
  /** The addresses whose port it is, see src/layout/reach.ts; '', the default: all of them. */
  readonly reach?: string;
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
  readonly reach: string;
}

interface WantedPort {
  readonly group: string;
  readonly socket: number;
  readonly shared: boolean;
  readonly reach: string;
}

const STATE_NAMES = Object.fromEntries(Object.entries(BindingState).map(([name, value]) => [value, name])) as Record<
  number,
  keyof typeof BindingState
>;

export class Bindings {
  readonly #table: BindingTable;
  readonly #claims: Claims;
  readonly #processes: Processes;
  readonly #self: ProcessInfo;
  readonly #own = new OwnPorts();
  readonly #ranges = new Map<string, PortRanges>();
  readonly #search: ListenerSearch;

  constructor(file: BlockWriter, processes: Processes, self: ProcessInfo) {
    this.#table = new BindingTable(file);
    this.#claims = new Claims(this.#table, processes, self);
    this.#processes = processes;
    this.#self = self;
    this.#search = new ListenerSearch(this.#own, processes, self);
    this.#table.begin();
  }

  /** Told after each change that other processes can see, with how many there have been. */
  set onChange(told: (changes: number) => void) {
    this.#table.onChange = told;
  }

  /**
   * Binds a port of this system for socket `socket`; 0 chooses one. Returns the port. EADDRINUSE: a live socket of this
   * system and group has it for an address that this one covers too; EADDRNOTAVAIL: none is left to choose; EINVAL;
   * what the storage throws. Clients go to those that share a port, and are as close to what was called, in turn.
   */
  bind(port: number, group: string, socket: number, options: BindOptions = {}): number {
    checkPort(port, 0);
    checkGroup(group);
    const wanted = { group, socket, shared: options.shared ?? false, reach: options.reach ?? '' };
    if (port === 0) return this.#bindChosen(wanted);
    if (this.#tryBind(port, wanted)) return port;
    throw new StpError(
      'EADDRINUSE',
      `stp://${this.#self.system}:${port}/${group}${wanted.reach === '' ? '' : ` ${wanted.reach}`}`,
    );
  }

  /**
   * Makes a bound port a listening one: from now on clients find it. EINVAL where it is not bound here. `backlog`:
   * requests that may wait.
   */
  listen(port: number, group: string, reach = '', backlog = 0): void {
    const own = this.#bound(port, group, reach);
    if (own.listening && own.backlog === backlog) return;
    this.#update(own, { listening: true, backlog });
    crashPoint('bind.listening');
  }

  /**
   * Shares a port that is bound or listening here already: from now on others may bind it too. EINVAL where it is not
   * bound here.
   */
  share(port: number, group: string, reach = ''): void {
    const own = this.#bound(port, group, reach);
    if (!own.shared) this.#update(own, { shared: true });
  }

  #update(own: OwnPort, change: Partial<Pick<OwnPort, 'listening' | 'shared' | 'backlog'>>): void {
    const { port, group, reach, slot, socket, shared, listening, backlog = 0 } = { ...own, ...change };
    this.#table.set(slot, {
      port,
      count: 1,
      group,
      socket,
      state: listening ? BindingState.listening : BindingState.bound,
      shared,
      reach,
      backlog,
    });
    Object.assign(own, change);
  }

  /** Frees a bound or listening port, chosen or not. EINVAL where it is not bound here. */
  unbind(port: number, group: string, reach = ''): void {
    const own = this.#bound(port, group, reach);
    this.#table.set(own.slot, undefined);
    crashPoint('bind.freed');
    this.#own.delete(own);
    const [other] = this.#own.at(group, port);
    const ranges = this.#ranges.get(group);
    // The number stays out of the range while a socket of another address has it.
    if (other !== undefined) other.reserved ||= own.reserved;
    else if (own.reserved) ranges?.giveBack(port);
    else ranges?.unmark(port);
  }

  /** Takes every port of ours out of the table, so that no process finds a listener here. Throws what it throws. */
  withdraw(): void {
    for (const { slot } of this.#own.all()) this.#table.set(slot, undefined);
  }

  /**
   * A port for a socket that was not bound. Cheap, and not visible to other processes. Where none is left, the port is
   * another connection's as well.
   */
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

  /** See {@link ListenerSearch.next}. */
  findListener(system: string, group: string, port: number, query?: ListenerQuery): FoundListener | undefined {
    return this.#search.next(system, group, port, query);
  }

  /** See {@link ListenerSearch.first}. */
  seeListener(system: string, group: string, port: number, query?: ListenerQuery): FoundListener | undefined {
    return this.#search.first(system, group, port, query);
  }

  /** See {@link ListenerSearch.inNetwork}. */
  inNetwork(process: ProcessInfo): boolean {
    return this.#search.inNetwork(process);
  }

  /** All ports and ranges in the region, or those of one system and group; of processes not known to be dead. */
  ports(system?: string, group?: string): PortInfo[] {
    const found: PortInfo[] = [];
    const add = (process: ProcessInfo, entry: BindingEntry): boolean => {
      if (group === undefined || entry.group === group)
        found.push({
          process,
          group: entry.group,
          port: entry.port,
          count: entry.count,
          socket: entry.socket,
          state: STATE_NAMES[entry.state] ?? 'free',
          reach: entry.reach,
        });
      return false;
    };
    const wanted = system === undefined ? undefined : systemKey(system);
    if (wanted === undefined || wanted === this.#self.systemKey)
      for (const entry of this.#table.entries()) add(this.#self, entry);
    const others = [...this.#processes.others(true)].filter(
      ({ info }) => wanted === undefined || info.systemKey === wanted,
    );
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

  #bindChosen(wanted: WantedPort): number {
    try {
      return this.#bindInRange(wanted);
    } catch (error) {
      if (!(error instanceof StpError && error.code === 'EADDRNOTAVAIL')) throw error;
      // Other processes hold all ranges, for sockets that only connect: those do not keep us from binding.
      return this.#bindAnywhere(wanted, error);
    }
  }

  #bindAnywhere(wanted: WantedPort, failure: StpError): number {
    const bound = this.#claims.boundByOthers(wanted.group, EPHEMERAL_FIRST, PORT_MAX - EPHEMERAL_FIRST + 1);
    for (let port = EPHEMERAL_FIRST; port <= PORT_MAX; port += 1) {
      if (!bound.has(port) && this.#tryBind(port, wanted)) return port;
    }
    throw failure;
  }

  #bindInRange(wanted: WantedPort): number {
    const { group } = wanted;
    const refused: number[] = [];
    let bound = 0;
    try {
      while (bound === 0) {
        const chosen = this.#rangesOf(group).take();
        refused.push(chosen);
        if (this.#tryBind(chosen, wanted, true)) bound = chosen;
      }
      return bound;
    } finally {
      for (const port of refused) if (port !== bound) this.releaseEphemeral(port, group);
    }
  }

  #tryBind(port: number, wanted: WantedPort, chosen = false): boolean {
    const { group, socket, shared, reach } = wanted;
    if (this.#own.hasRival(group, port, reach, shared)) return false;
    const slot = this.#claims.claim({ port, count: 1, group, socket, state: BindingState.bound, shared, reach });
    if (slot < 0) return false;
    const reserved = chosen || this.#ranges.get(group)?.reserve(port) === true;
    this.#own.add({ port, ...wanted, slot, listening: false, reserved });
    return true;
  }

  #bound(port: number, group: string, reach: string): OwnPort {
    const own = this.#own.find(group, port, reach);
    if (own === undefined) throw new StpError('EINVAL', `port ${port} of group ${group} is not bound by this process`);
    return own;
  }
}

function checkPort(port: number, least: number): void {
  if (!Number.isInteger(port) || port < least || port > PORT_MAX)
    throw new StpError('EINVAL', `port must be an integer from ${least} to ${PORT_MAX}`);
}

function checkGroup(group: string): void {
  if (typeof group !== 'string' || !isGroupName(group))
    throw new StpError('EINVAL', 'group must be 1 to 15 letters, digits, ".", "_" or "-"');
}
