/**
 * Which process listens at an address: in our own table, and in those of the other processes of the system.
 *
 * One that does not share its port is alone and ends the search. Of those that share it the closest to the address that
 * was called are found, and calls go to them in turn. A process that is known to be dead is never found. A table that
 * is damaged drops its process and no other; where one can't be read for a reason that may pass, the search throws that
 * rather than to say that no process listens.
 */
import { StpError } from '../errors';
import { closeness, ipBytes } from '../layout';
import { findListening, groupBytes, type ListeningEntry, type WantedListener } from './binding-reader';
import { isGroupName, systemKey } from './names';
import { type OwnPorts } from './own-ports';
import { type ProcessInfo } from './process-info';
import { isDamage, type KnownProcess, type Processes } from './processes';

export interface FoundListener {
  readonly process: ProcessInfo;
  /** Index of the listening socket there. */
  readonly socket: number;
  /** Others may listen there too, see BindOptions.shared. */
  readonly shared: boolean;
  /** How close it is to the address that was called, see src/layout/reach.ts. */
  readonly closeness: number;
  /** Requests that may wait there to be accepted. */
  readonly backlog: number;
}

export interface ListenerQuery {
  /** The address that is called: only a listener that covers it. '', the default: any listener. */
  readonly ip?: string;
  /** Of the processes of this host only those in our network namespace. */
  readonly sameNetwork?: boolean;
  /** Of a process: only those where it is least are taken, and none where it is Infinity. */
  readonly cost?: (process: number) => number;
}

/** Divides by every small number of processes, so that turns go round evenly. */
const TURN_MAX = 720_720;

export class ListenerSearch {
  readonly #own: OwnPorts;
  readonly #processes: Processes;
  readonly #self: ProcessInfo;
  /** Groups as the search compares them. */
  readonly #groupBytes = new Map<string, Uint8Array>();
  /** Why a table could not be read in the last search, where that may pass. */
  #unread: StpError | undefined;
  /**
   * Which is next among those that share a port. Begins anywhere, so that many clients with one connection each spread
   * as well.
   */
  #turn = Math.floor(Math.random() * TURN_MAX);

  constructor(own: OwnPorts, processes: Processes, self: ProcessInfo) {
    this.#own = own;
    this.#processes = processes;
    this.#self = self;
  }

  /**
   * The process that listens at an address; it is not known to be dead. Where several share the port and are as close
   * to the address, each call takes the next. Costs one small read per process of the system.
   */
  next(system: string, group: string, port: number, query: ListenerQuery = {}): FoundListener | undefined {
    const listeners = this.#listeners(system, group, port, query);
    return this.#inTurn(query.cost === undefined ? listeners : least(listeners, query.cost));
  }

  /** One of the processes that listen at an address. Does not change which is next. */
  first(system: string, group: string, port: number, query: ListenerQuery = {}): FoundListener | undefined {
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
  #inTurn(sharing: readonly FoundListener[]): FoundListener | undefined {
    if (sharing.length < 2) return sharing[0];
    const inOrder = [...sharing].sort((a, b) => a.process.number - b.process.number);
    this.#turn = (this.#turn + 1) % TURN_MAX;
    return inOrder[this.#turn % inOrder.length];
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
