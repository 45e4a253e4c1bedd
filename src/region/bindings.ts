/**
 * The ports of this process, and which process listens where in the region.
 *
 * (system, group, port) is the key: systems compare without case, groups exactly. A port bound by number may lie in the
 * range that another process holds for its unbound sockets; only two that bind the same number for a common address are
 * in each other's way, unless both share it.
 */
import { crashPoint } from '../crash-points';
import { StpError } from '../errors';
import { BindingState, closeness, ipBytes } from '../layout';
import { findListening, groupBytes, type ListeningEntry, readBindings, type WantedListener } from './binding-reader';
import { type BindingEntry, BindingTable, PORT_MAX } from './binding-table';
import { type BlockWriter } from '../storage';
import { Claims } from './claims';
import { isGroupName, systemKey } from './names';
import { type OwnPort, OwnPorts } from './own-ports';
import { EPHEMERAL_FIRST, PortRanges } from './port-ranges';
import { type ProcessInfo } from './process-info';
import { isDamage, type KnownProcess, type Processes } from './processes';

export interface FoundListener {
  readonly process: ProcessInfo;
  /** Index of the listening socket there. */
  readonly socket: number;
  /** Others may listen there too, see {@link Bindings.bind}. */
  readonly shared: boolean;
  /** How close it is to the address that was called, see src/layout/reach.ts. */
  readonly closeness: number;
  /** Requests that may wait there to be accepted. */
  readonly backlog: number;
}

export interface BindOptions {
  /** Other processes may bind the port as well, if all of them share it. */
  readonly shared?: boolean;
  /** The addresses whose port it is, see src/layout/reach.ts; '', the default: all of them. */
  readonly reach?: string;
}

export interface ListenerQuery {
  /** The address that is called: only a listener that covers it. '', the default: any listener. */
  readonly ip?: string;
  /** Of the processes of this host only those in our network namespace. */
  readonly sameNetwork?: boolean;
  /** Of a process: only those where it is least are taken, and none where it is Infinity. */
  readonly cost?: (process: number) => number;
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

/** Divides by every small number of processes, so that turns go round evenly. */
const TURN_MAX = 720_720;
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
  /** Groups as the search compares them. */
  readonly #groupBytes = new Map<string, Uint8Array>();
  /** Why a table could not be read in the last search, where that may pass. */
  #unread: StpError | undefined;
  /**
   * Which is next among those that share a port. Begins anywhere, so that many clients with one connection each spread
   * as well.
   */
  #turn = Math.floor(Math.random() * TURN_MAX);

  constructor(file: BlockWriter, processes: Processes, self: ProcessInfo) {
    this.#table = new BindingTable(file);
    this.#claims = new Claims(this.#table, processes, self);
    this.#processes = processes;
    this.#self = self;
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

  /**
   * The process that listens at an address; it is not known to be dead. Where several share the port and are as close
   * to the address, each call takes the next. Costs one small read per process of the system.
   */
  findListener(system: string, group: string, port: number, query: ListenerQuery = {}): FoundListener | undefined {
    const listeners = this.#listeners(system, group, port, query);
    return this.#next(query.cost === undefined ? listeners : least(listeners, query.cost));
  }

  /** One of the processes that listen at an address. Does not change which is next. */
  seeListener(system: string, group: string, port: number, query: ListenerQuery = {}): FoundListener | undefined {
    return this.#listeners(system, group, port, query)[0];
  }

  /** One that has the port for itself, or all that share it and are closest. */
  #listeners(system: string, group: string, port: number, query: ListenerQuery): readonly FoundListener[] {
    const bytes = this.#bytesOf(group);
    if (bytes === undefined) return [];
    const key = systemKey(system);
    const { ip = '' } = query;
    const here = key === this.#self.systemKey ? this.#listeningHere(port, group, ip) : [];
    const alone = here.find(({ shared }) => !shared);
    if (alone !== undefined) return [alone];
    const wanted: WantedListener = { group: bytes, port, ip: ipBytes(ip) };
    const mayBe = (info: ProcessInfo): boolean =>
      info.systemKey === key && info.state !== 'left' && (query.sameNetwork !== true || this.inNetwork(info));
    const found = this.#search(wanted, mayBe, here, false);
    return found.length === 0 && this.#processes.mayMiss ? this.#search(wanted, mayBe, here, true) : found;
  }

  #listeningHere(port: number, group: string, ip: string): FoundListener[] {
    const found: FoundListener[] = [];
    for (const { listening, reach, socket, shared, backlog = 0 } of this.#own.at(group, port)) {
      const close = listening ? closeness(reach, ip) : 0;
      if (close > 0) found.push({ process: this.#self, socket, shared, closeness: close, backlog });
    }
    return found;
  }

  /** Whether a process is in our network namespace. One of another host can't be told apart so: it has its own. */
  inNetwork({ bootId, networkNamespace }: ProcessInfo): boolean {
    return bootId !== this.#self.bootId || networkNamespace === this.#self.networkNamespace;
  }

  #search(
    wanted: WantedListener,
    mayBe: (info: ProcessInfo) => boolean,
    here: readonly FoundListener[],
    fresh: boolean,
  ): readonly FoundListener[] {
    const sharing = [...here];
    this.#unread = undefined;
    for (const process of this.#processes.others(fresh)) {
      const { info } = process;
      if (!mayBe(info)) continue;
      const found = this.#listening(process, wanted);
      if (found === undefined || this.#processes.isAlive(info) === 'dead') continue;
      const listener = { process: info, ...found };
      if (!found.shared) return [listener];
      sharing.push(listener);
    }
    if (sharing.length === 0) this.#checkUnread();
    return closest(sharing);
  }

  /**
   * No listener was found, but there may be one in a file that can't be read now: that is not the same as no listener.
   */
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

  #bytesOf(group: string): Uint8Array | undefined {
    let bytes = this.#groupBytes.get(group);
    if (bytes === undefined && isGroupName(group)) this.#groupBytes.set(group, (bytes = groupBytes(group)));
    return bytes;
  }

  #listening({ info, reader }: KnownProcess, wanted: WantedListener): ListeningEntry | undefined {
    try {
      return findListening(reader, info.number, wanted);
    } catch (error) {
      if (isDamage(error)) this.#processes.disown(info.number);
      else if (error instanceof StpError) this.#unread = error;
      return undefined;
    }
  }
}

/** Those that are closest to the address that was called. */
function closest(listeners: readonly FoundListener[]): readonly FoundListener[] {
  if (listeners.length < 2) return listeners;
  const best = Math.max(...listeners.map((listener) => listener.closeness));
  return listeners.filter((listener) => listener.closeness === best);
}

/** Those that cost least to call. */
function least(listeners: readonly FoundListener[], cost: (process: number) => number): readonly FoundListener[] {
  let best = Infinity;
  let found: FoundListener[] = [];
  for (const listener of listeners) {
    const value = cost(listener.process.number);
    if (value < best) found = [];
    best = Math.min(best, value);
    if (value === best && value !== Infinity) found.push(listener);
  }
  return found;
}

function checkPort(port: number, least: number): void {
  if (!Number.isInteger(port) || port < least || port > PORT_MAX)
    throw new StpError('EINVAL', `port must be an integer from ${least} to ${PORT_MAX}`);
}

function checkGroup(group: string): void {
  if (typeof group !== 'string' || !isGroupName(group))
    throw new StpError('EINVAL', 'group must be 1 to 15 letters, digits, ".", "_" or "-"');
}
