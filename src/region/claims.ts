/**
 * Claiming a port or a range of ports against all other processes of the system, without a lock.
 *
 * We publish the claim, then read the tables of all other processes. A process that claims the same does so too, so of
 * two rivals at least one sees the other. What is held already wins. Of two claims the lower process number wins: the
 * higher withdraws, waits for the outcome and tries again; the lower waits until the higher has withdrawn or, having
 * looked before we published, holds it. All waits are bounded, and a dead process is no rival.
 */
import { crashPoint } from '../crash-points';
import { BindingState, reachesMeet } from '../layout';
import { readBindings } from './binding-reader';
import { type BindingEntry, type BindingTable, type PortSpan } from './binding-table';
import { pause } from './pause';
import { type ProcessInfo } from './process-info';
import { type KnownProcess, type Processes } from './processes';
import { dateMs } from '../host';

/** Longest time to wait for rivals; a living rival needs a few writes. */
const RIVALS_WAIT_MS = 2000;
const PAUSE_MS = 1;
/** Looks before the first pause. */
const SPIN_LOOKS = 3;

interface Rivals {
  /** Held by another process already. */
  held: boolean;
  lower: KnownProcess | undefined;
  higher: boolean;
}

export class Claims {
  readonly #table: BindingTable;
  readonly #processes: Processes;
  readonly #self: ProcessInfo;
  readonly #waitMs: number;

  /** `waitMs`: longest time to wait for rivals that don't move, milliseconds. */
  constructor(table: BindingTable, processes: Processes, self: ProcessInfo, waitMs = RIVALS_WAIT_MS) {
    this.#waitMs = waitMs;
    this.#table = table;
    this.#processes = processes;
    this.#self = self;
  }

  /**
   * Claims what `entry` names and holds it in `entry.state` (bound or range). Returns the slot, or -1 where another
   * process of this system holds it. Throws what the storage throws; nothing is held then.
   */
  claim(entry: BindingEntry): number {
    const claiming: BindingEntry = { ...entry, state: claimingOf(entry.state) };
    const deadlineMs = dateMs() + this.#waitMs;
    let slot = this.#table.add(claiming);
    crashPoint('claim.published');
    try {
      for (let looks = 0; ; looks += 1) {
        const rivals = this.#rivals(claiming);
        if (!rivals.held && rivals.lower === undefined && !rivals.higher) {
          crashPoint('claim.looked');
          this.#table.set(slot, entry);
          crashPoint('claim.held');
          return slot;
        }
        const late = dateMs() > deadlineMs;
        if (rivals.held || late) return this.#withdraw(slot);
        if (rivals.lower === undefined) {
          if (looks >= SPIN_LOOKS) pause(PAUSE_MS);
          continue;
        }
        this.#withdraw(slot);
        this.#awaitOutcome(rivals.lower, claiming, deadlineMs);
        slot = this.#table.add(claiming);
      }
    } catch (error) {
      this.#tryWithdraw(slot, claiming);
      throw error;
    }
  }

  /** Ports that others of this system have bound in `from`..`from + count - 1` of a group: to be passed over. */
  boundByOthers(group: string, from: number, count: number): Set<number> {
    const wanted: BindingEntry = {
      port: from,
      count,
      group,
      socket: 0,
      state: BindingState.claiming,
      shared: false,
      reach: '',
    };
    const bound = new Set<number>();
    for (const process of this.#others()) {
      for (const entry of entriesOf(
        process,
        (found) => PORT_HOLDERS.has(found.state) && overlaps(found, wanted),
        spanOf(wanted),
      ))
        bound.add(entry.port);
    }
    return bound;
  }

  /** First ports of the ranges of a group that others of this system hold. */
  rangesOfOthers(group: string): Set<number> {
    const held = new Set<number>();
    for (const process of this.#others()) {
      const found = entriesOf(process, (entry) => entry.group === group && entry.state === BindingState.range);
      if (found.length === 0 || this.#processes.isAlive(process.info) === 'dead') continue;
      for (const entry of found) held.add(entry.port);
    }
    return held;
  }

  #withdraw(slot: number): -1 {
    this.#table.set(slot, undefined);
    return -1;
  }

  #tryWithdraw(slot: number, claiming: BindingEntry): void {
    if (this.#table.get(slot) !== claiming) return;
    try {
      this.#table.set(slot, undefined);
    } catch {
      // The first failure is the one to tell. The slot stays taken, as others see it.
    }
  }

  #awaitOutcome(rival: KnownProcess, claiming: BindingEntry, deadlineMs: number): void {
    while (this.#claimsSame(rival, claiming) && dateMs() <= deadlineMs) pause(PAUSE_MS);
  }

  #claimsSame(rival: KnownProcess, claiming: BindingEntry): boolean {
    const same = entriesOf(
      rival,
      (entry) => entry.state === claiming.state && contends(entry, claiming),
      spanOf(claiming),
    );
    return same.length > 0 && this.#processes.isAlive(rival.info) !== 'dead';
  }

  #rivals(claiming: BindingEntry): Rivals {
    const rivals: Rivals = { held: false, lower: undefined, higher: false };
    const holders = claiming.state === BindingState.claimingRange ? RANGE_HOLDERS : PORT_HOLDERS;
    for (const process of this.#others()) {
      const stands = (entry: BindingEntry): boolean => entry.state === claiming.state || holders.has(entry.state);
      const found = entriesOf(process, (entry) => stands(entry) && contends(entry, claiming), spanOf(claiming));
      // Only now: a process that turns out dead has its file closed.
      if (found.length === 0 || this.#processes.isAlive(process.info) === 'dead') continue;
      if (found.some((entry) => entry.state !== claiming.state)) rivals.held = true;
      else if (process.info.number > this.#self.number) rivals.higher = true;
      else rivals.lower ??= process;
      if (rivals.held) break;
    }
    return rivals;
  }

  *#others(): Generator<KnownProcess> {
    for (const process of this.#processes.others(true)) {
      if (process.info.systemKey === this.#self.systemKey && process.info.state !== 'left') yield process;
    }
  }
}

const PORT_HOLDERS: ReadonlySet<number> = new Set([BindingState.bound, BindingState.listening]);
const RANGE_HOLDERS: ReadonlySet<number> = new Set([BindingState.range]);

/**
 * The entries of another process that pass `filter`. A damaged table holds nothing: it must not keep all others from
 * binding.
 */
function entriesOf(process: KnownProcess, filter: (entry: BindingEntry) => boolean, span?: PortSpan): BindingEntry[] {
  const found: BindingEntry[] = [];
  try {
    readBindings(
      process.reader,
      process.info.number,
      (entry) => {
        if (filter(entry)) found.push(entry);
        return false;
      },
      span,
    );
  } catch {
    return [];
  }
  return found;
}

/** Where the entries lie that an entry may contend with: of ranges all have the same size, and begin where one does. */
function spanOf({ port, count }: BindingEntry): PortSpan {
  return { first: port, last: port + count - 1 };
}

function claimingOf(state: number): number {
  return state === BindingState.range ? BindingState.claimingRange : BindingState.claiming;
}

/** Two entries that share a port do not contend, nor do entries of different addresses. */
function contends(a: BindingEntry, b: BindingEntry): boolean {
  return overlaps(a, b) && reachesMeet(a.reach, b.reach) && !(a.shared && b.shared);
}

function overlaps(a: BindingEntry, b: BindingEntry): boolean {
  return a.group === b.group && a.port < b.port + b.count && b.port < a.port + a.count;
}
