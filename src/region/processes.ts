/**
 * The processes of a region, as one of them sees the others.
 *
 * Identities are read once per number and kept, with the file open: a number names one life, and all but the state in
 * its identity never changes. Files are discovered by listing the directory only, never by trying names: on a network
 * file system a name that was tried too early stays invisible for seconds. liveness-check.ts tells which
 * of them live.
 */
import { StpError } from '../errors';
import { PROCESS_BLOCKS, REGION_PATHS } from '../layout';
import { type BlockReader, type Storage } from '../storage';
import { LivenessCheck, type WatchedProcess } from './liveness-check';
import { type Liveness, type Machine } from './machine';
import { damaged, decodeIdentity, processPath, type ProcessInfo } from './process-info';
import { highest, lacksFile, listProcesses } from './process-numbers';
import { dateMs, nowMs } from '../host';

/** A process that we know, with its file held open. */
export interface KnownProcess {
  readonly info: ProcessInfo;
  readonly reader: BlockReader;
}

/**
 * On a shared storage a list is good for so long, where the caller does not need the newest: listing is a trip to a
 * file server.
 */
const LIST_GOOD_MS = 50;
/** So many files without an identity are held open: a directory may hold any number of them. */
const UNANNOUNCED_OPEN_MAX = 16;
/**
 * A change within this time of the last one may leave the directory's time as it was (coarse file times), milliseconds.
 */
const TIME_GRAIN_MS = 100;

/** True where a file is not what it should be; any other failure to read it may pass. */
export function isDamage(error: unknown): boolean {
  return !(error instanceof StpError) || error.code === 'ESTPCORRUPT';
}

export class Processes {
  readonly #storage: Storage;
  readonly #machine: Machine;
  readonly #self: ProcessInfo;
  readonly #liveness: LivenessCheck;
  readonly #entries = new Map<number, WatchedProcess>();
  /** Dead beyond doubt, while their file is there. */
  readonly #dead = new Map<number, ProcessInfo>();
  /** Damaged, not ours to read, or of another region: never looked at again. */
  readonly #unusable = new Set<number>();
  /**
   * Listed, but without an identity yet: just being opened, or its owner died in that moment. Their files are held
   * open. To open one again for each look costs a file server several trips. And an NFS client may hold up for 5 s a
   * process that opens a file which another process of its host is just closing.
   */
  readonly #unannounced = new Map<number, BlockReader | undefined>();
  /** Some file could not be read for a reason that may pass. */
  #failed = false;
  #listedModifiedAtMs = -1;
  #listedAtMs = -Infinity;

  #otherHostSeen = false;
  #onOtherHost: (() => void) | undefined;

  /** `clock`: milliseconds in which another's heartbeat could have been seen to move. */
  constructor(storage: Storage, machine: Machine, self: ProcessInfo, leaseMs: number, clock: () => number) {
    this.#storage = storage;
    this.#machine = machine;
    this.#self = self;
    this.#liveness = new LivenessCheck(storage, machine, leaseMs, clock);
  }

  /** True where a process of another host has been seen. */
  get otherHostSeen(): boolean {
    return this.#otherHostSeen;
  }

  /** The lowest number of a process that had not told of itself when we listed last. */
  get lowestUnannounced(): number | undefined {
    return this.#unannounced.size === 0 ? undefined : Math.min(...this.#unannounced.keys());
  }

  /** Called once, as soon as a process of another host is seen that may live; at once where one has been. */
  set onOtherHost(told: () => void) {
    this.#onOtherHost = told;
    if (this.#otherHostSeen) told();
  }

  /**
   * All processes that have told of themselves, this one included, but for those known to be dead; states as of now.
   */
  list(): ProcessInfo[] {
    this.#refresh(true);
    const infos: ProcessInfo[] = [this.#self];
    for (const entry of this.#entries.values()) if (this.#reread(entry)) infos.push(entry.info);
    return infos;
  }

  /** Those of list(), and the dead whose files have not been reclaimed yet; states as of the last look. */
  known(): ProcessInfo[] {
    this.#refresh(true);
    const infos: ProcessInfo[] = [this.#self];
    for (const entry of this.#entries.values()) infos.push(entry.info);
    infos.push(...this.#dead.values());
    return infos;
  }

  /**
   * The process of that number; undefined where there is none (any more), it is known to be dead, or its file is
   * damaged.
   */
  get(number: number): ProcessInfo | undefined {
    if (number === this.#self.number) return this.#self;
    if (!this.#entries.has(number)) this.#refresh(true);
    return this.#entries.get(number)?.info;
  }

  /** The process of that number as of the last list. */
  seen(number: number): ProcessInfo | undefined {
    return number === this.#self.number ? this.#self : this.#entries.get(number)?.info;
  }

  /**
   * The others that are not known to be dead. With `fresh` all that told of themselves before the call are there;
   * without it the directory is listed only if its time has changed.
   */
  others(fresh: boolean): IterableIterator<KnownProcess> {
    this.#refresh(fresh);
    return this.#entries.values();
  }

  /**
   * The name of a system as one of its processes spells it; on a shared storage one that we know is not looked up
   * again.
   */
  systemName(key: string): string | undefined {
    const known = this.#storage.shared ? this.#knownSystem(key) : undefined;
    return known ?? (this.#refresh(true), this.#knownSystem(key));
  }

  #knownSystem(key: string): string | undefined {
    for (const entry of this.#entries.values()) if (entry.info.systemKey === key) return entry.info.system;
    for (const info of this.#dead.values()) if (info.systemKey === key) return info.system;
    return undefined;
  }

  /** True where others(false) may miss a process that came a moment ago. */
  get mayMiss(): boolean {
    return this.#storage.shared;
  }

  /** 'dead' only where that is certain. What is dead stays dead. */
  isAlive(info: ProcessInfo): Liveness {
    const { number } = info;
    if (number === this.#self.number) return info.epoch === this.#self.epoch ? 'alive' : 'dead';
    if (info.state === 'left' || this.#dead.has(number)) return 'dead';
    const told = this.#liveness.askFifo(info);
    if (told === 'alive') return 'alive';
    const looked = this.#entries.get(number);
    if (told === 'unknown' && looked !== undefined && this.#liveness.justSeenAlive(looked)) return 'alive';
    if (told === 'unknown' || !this.#entries.has(number)) this.#refresh(true);
    const entry = this.#entries.get(number);
    if (entry === undefined) return this.#withoutEntry(number, told);
    const liveness = this.#reread(entry) ? this.#liveness.look(entry, told) : told;
    if (liveness === 'dead') this.#reap(entry);
    return liveness;
  }

  /** True where process `number` is dead beyond doubt and its file is still there. */
  isDead(number: number): boolean {
    return this.#dead.has(number);
  }

  /** True where process `number`, which has been in the region, is dead beyond doubt or its file is removed. */
  isGone(number: number): boolean {
    if (number === this.#self.number) return false;
    if (this.#dead.has(number)) return true;
    const { numbers } = listProcesses(this.#storage);
    // A list that shows no younger one may be old: the highest file is never removed.
    return number < highest([...numbers]) && lacksFile(this.#storage, numbers, number);
  }

  /**
   * True where we have been taken for dead: another kernel did not see our heartbeat for a lease. Whatever we hold in
   * the region may belong to another process by now.
   */
  takenForDead(): boolean {
    const { number } = this.#self;
    const { numbers, marked } = listProcesses(this.#storage);
    return marked.has(number) || lacksFile(this.#storage, numbers, number);
  }

  /** True where process `number` had a file without an identity when we last listed. */
  isUnannounced(number: number): boolean {
    return this.#unannounced.has(number);
  }

  /** The table of a process turned out damaged: that process is dropped, and no other. */
  disown(number: number): void {
    const entry = this.#entries.get(number);
    if (entry !== undefined) this.#drop(entry);
    this.#unusable.add(number);
  }

  /** Closes all files. */
  close(): void {
    for (const entry of this.#entries.values()) entry.reader.close();
    this.#entries.clear();
    for (const reader of this.#unannounced.values()) reader?.close();
    this.#unannounced.clear();
  }

  /** Brings the entries in line with the directory. */
  #refresh(fresh: boolean): void {
    const now = nowMs();
    if (!fresh && this.#storage.shared && !this.#failed && now - this.#listedAtMs < LIST_GOOD_MS) return;
    const modifiedAtMs = this.#storage.shared ? 0 : (this.#storage.info(REGION_PATHS.processes)?.modifiedAtMs ?? 0);
    const settled = !this.#storage.shared && !this.#failed && this.#unannounced.size === 0;
    if (!fresh && settled && modifiedAtMs === this.#listedModifiedAtMs) return;
    // What lies in the place of a region that was removed says nothing of the processes in it.
    if (this.#storage.isRemoved()) return;
    // The time was read before the list: a change in between makes the next call list again.
    this.#listedModifiedAtMs = dateMs() - modifiedAtMs > TIME_GRAIN_MS ? modifiedAtMs : -1;
    this.#listedAtMs = now;
    const { numbers, marked } = listProcesses(this.#storage);
    this.#liveness.marked = marked;
    for (const entry of this.#entries.values())
      if (lacksFile(this.#storage, numbers, entry.info.number)) this.#drop(entry);
    for (const number of this.#dead.keys()) if (!numbers.has(number)) this.#dead.delete(number);
    for (const number of this.#unusable) if (!numbers.has(number)) this.#unusable.delete(number);
    for (const number of this.#unannounced.keys()) if (!numbers.has(number)) this.#forgetUnannounced(number);
    this.#failed = false;
    for (const number of numbers) this.#admit(number);
  }

  #admit(number: number): void {
    if (
      number === this.#self.number ||
      this.#entries.has(number) ||
      this.#dead.has(number) ||
      this.#unusable.has(number)
    )
      return;
    let reader = this.#unannounced.get(number);
    let keep = false;
    try {
      reader ??= this.#storage.openBlocks(processPath(number));
      const block = reader?.read(PROCESS_BLOCKS.identity);
      if (reader === undefined) return;
      if (block === undefined) {
        keep = this.#unannounced.get(number) !== undefined || this.#unannounced.size < UNANNOUNCED_OPEN_MAX;
        this.#unannounced.set(number, keep ? reader : undefined);
        return;
      }
      this.#unannounced.delete(number);
      keep = this.#take({
        info: decodeIdentity(block.payload, number),
        reader,
        lease: undefined,
        lookedAtMs: -Infinity,
        verdict: 'unknown',
      });
    } catch (error) {
      this.#unannounced.delete(number);
      const code = error instanceof StpError ? error.code : 'EIO';
      if (code === 'EMFILE') throw error;
      // We drop a process for a damaged or foreign file, and no other with it; other failures may pass.
      if (isDamage(error) || code === 'EACCES') this.#unusable.add(number);
      else this.#failed = true;
    } finally {
      if (!keep) reader?.close();
    }
  }

  #forgetUnannounced(number: number): void {
    this.#unannounced.get(number)?.close();
    this.#unannounced.delete(number);
  }

  /**
   * Takes in a process that told of itself; false where it is dead already: the dead are not worth a descriptor each.
   */
  #take(entry: WatchedProcess): boolean {
    const { info } = entry;
    if (this.#liveness.look(entry, this.#liveness.askFifo(info)) === 'dead') {
      this.#dead.set(info.number, info);
      return false;
    }
    if (info.regionId !== this.#self.regionId) throw damaged(processPath(info.number), 'regionId');
    this.#entries.set(info.number, entry);
    if (info.bootId !== this.#machine.bootId && !this.#otherHostSeen) {
      this.#otherHostSeen = true;
      this.#onOtherHost?.();
    }
    return true;
  }

  #drop(entry: WatchedProcess): void {
    entry.reader.close();
    this.#entries.delete(entry.info.number);
  }

  #reap(entry: WatchedProcess): void {
    this.#drop(entry);
    this.#dead.set(entry.info.number, entry.info);
  }

  /** Reads the state again; false where the file turned out damaged. */
  #reread(entry: WatchedProcess): boolean {
    if (entry.info.state === 'left') return true;
    try {
      const block = entry.reader.read(PROCESS_BLOCKS.identity);
      if (block !== undefined) entry.info.state = decodeIdentity(block.payload, entry.info.number).state;
      return true;
    } catch (error) {
      // A disk that fails now says nothing about the process: its state is what it was.
      if (!isDamage(error)) return true;
      this.disown(entry.info.number);
      return false;
    }
  }

  /**
   * A process without a usable file. A file is removed by its owner when it leaves, or by a process that knows that the
   * owner is dead.
   */
  #withoutEntry(number: number, told: Liveness): Liveness {
    if (this.#dead.has(number)) return 'dead';
    return this.#unusable.has(number) || this.#failed ? told : 'dead';
  }

  /**
   * True where a process is seen to have the rights with which it joined: alive, of our pid namespace, and its user the
   * same. It can make files in the region then, as soon as it has time.
   */
  hasItsRights(info: ProcessInfo): boolean {
    const { bootId, pid, startTicks, pidNamespace, uid } = info;
    if (bootId !== this.#machine.bootId) return false;
    return this.#machine.pidLiveness(pid, startTicks, pidNamespace) === 'alive' && this.#machine.userOf(pid) === uid;
  }
}
