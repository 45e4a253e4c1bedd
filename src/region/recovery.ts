/**
 * Clearing up after processes that died: their files, and the links and bells between two that are both gone.
 *
 * Any number of processes may do this at once, and any may die doing it: each step removes one file by name, numbers
 * are never used twice, and a process file goes only after what its number names. Rules:
 *   - only what is dead beyond doubt is touched, and never the highest-numbered process file nor that one's liveness
 *     FIFO
 *   - a link or pair bell stays while one of its ends may live: that end still reads it, and removes it itself
 *     (dropPair). Where they had not met it does not know of it: a notification tells it
 *   - names are listed before the process files are: a process that opens meanwhile has a number above all we judge
 */
import { crashPoint } from '../crash-points';
import { REGION_PATHS } from '../layout';
import { type Storage, TEMPORARY_PREFIX } from '../storage';
import { livenessFifoPathOf, processPath } from './process-info';
import { highest, lacksFile, listProcesses, markPath, numberOfName } from './process-numbers';
import { notifyProcess } from './liveness-fifo';
import { type Processes } from './processes';
import { dateMs } from '../host';

export interface RecoverySummary {
  /** Process files removed. */
  readonly processes: number;
  /** Links and bells removed. */
  readonly files: number;
  /** False where the time was up before all was looked at; the next one goes on. */
  readonly complete: boolean;
}

/**
 * A process file without an identity is one that is just being opened, or whose owner died in that moment. Its owner
 * looks whether the file is still there before it goes live, so one this old may go, milliseconds. Other hosts may see
 * late what it looks for, and have other clocks.
 */
const ABANDONED_MS = 30_000;
const ABANDONED_SHARED_MS = 600_000;
/** A link or pair bell, or the ring of a link that no process has opened. */
const PAIR = /^([0-9]+)-([0-9]+)(?:\.[0-9]+)?$/u;

/**
 * Removes what the dead left behind, for at most about `budgetMs` milliseconds. Never throws: what fails is left to the
 * next one.
 */
export function recover(storage: Storage, processes: Processes, budgetMs: number): RecoverySummary {
  const sweep = new Sweep(storage, processes, budgetMs);
  try {
    sweep.run();
  } catch {
    sweep.complete = false;
  }
  return { processes: sweep.processes, files: sweep.files, complete: sweep.complete };
}

/**
 * Removes the links and pair bells between a live process and one that is gone. The caller has closed its ends and
 * knows that `gone` is dead.
 */
export function dropPair(storage: Storage, self: number, gone: number): void {
  for (const pair of [`${self}-${gone}`, `${gone}-${self}`]) {
    storage.removeLog(`${REGION_PATHS.links}/${pair}`);
    storage.remove(`${REGION_PATHS.bells}/${pair}`);
  }
}

/** The two numbers of a name `A-B` or `A-B.N`. */
export function pairOfName(name: string): readonly [number, number] | undefined {
  const match = PAIR.exec(name);
  const from = numberOfName(match?.[1] ?? '');
  const to = numberOfName(match?.[2] ?? '');
  return from === 0 || to === 0 ? undefined : [from, to];
}

class Sweep implements RecoverySummary {
  processes = 0;
  files = 0;
  complete = true;
  readonly #storage: Storage;
  readonly #known: Processes;
  readonly #deadlineMs: number;
  /** Verdicts of this sweep: true for gone. */
  readonly #gone = new Map<number, boolean>();
  /** Living processes with a link or bell that joins them with a dead one. */
  readonly #survivors = new Set<number>();
  #listed = new Set<number>();
  #top = 0;

  constructor(storage: Storage, processes: Processes, budgetMs: number) {
    this.#storage = storage;
    this.#known = processes;
    this.#deadlineMs = dateMs() + budgetMs;
  }

  run(): void {
    const links = this.#storage.list(REGION_PATHS.links);
    const bells = this.#storage.list(REGION_PATHS.bells);
    const listed = listProcesses(this.#storage);
    const numbers = [...listed.numbers].sort((a, b) => a - b);
    this.#listed = listed.numbers;
    this.#top = highest(numbers);
    this.#known.others(true);
    crashPoint('recovery.listed');
    for (const name of links) this.#removePair(REGION_PATHS.links, name);
    for (const name of bells) this.#removePair(REGION_PATHS.bells, name);
    for (const number of this.#survivors) notifyProcess(this.#storage, number);
    // With pairs left over the process files stay: they are what tells that those ends are dead.
    if (!this.complete) return;
    crashPoint('recovery.pairs');
    for (const number of numbers) this.#removeProcess(number);
    for (const name of bells) this.#removeLivenessFifo(numberOfName(name));
    for (const number of listed.marked) this.#removeMark(number);
    for (const name of this.#storage.list('')) this.#removeTemporary(name);
  }

  #removePair(directory: string, name: string): void {
    const pair = pairOfName(name);
    if (pair === undefined || this.#late()) return;
    const gone = pair.filter((number) => this.#isGone(number)).length;
    if (gone === 1) this.#survivors.add(this.#isGone(pair[0]) ? pair[1] : pair[0]);
    if (gone < 2 || !this.#storage.remove(`${directory}/${name}`)) return;
    this.files += 1;
    crashPoint('recovery.pair');
  }

  #removeProcess(number: number): void {
    if (number >= this.#top || this.#late() || !this.#isGone(number)) return;
    if (this.#storage.remove(processPath(number))) this.processes += 1;
    crashPoint('recovery.process');
    // After the file: a process without a liveness FIFO is not known to be dead.
    if (this.#storage.remove(livenessFifoPathOf(number))) this.files += 1;
    crashPoint('recovery.liveness-fifo');
    this.#listed.delete(number);
  }

  /** Liveness FIFOs whose process file is gone: of a process that left, or whose remover died. */
  #removeLivenessFifo(number: number): void {
    if (number === 0 || number >= this.#top || this.#late() || !lacksFile(this.#storage, this.#listed, number)) return;
    if (this.#storage.remove(livenessFifoPathOf(number))) this.files += 1;
  }

  /** The mark of a process whose file is gone: that tells the same. */
  #removeMark(number: number): void {
    if (number >= this.#top || this.#late() || !lacksFile(this.#storage, this.#listed, number)) return;
    if (this.#storage.remove(markPath(number))) this.files += 1;
  }

  /** A file that was never put in place, because its maker died. */
  #removeTemporary(name: string): void {
    if (!name.startsWith(TEMPORARY_PREFIX) || this.#late() || !this.#isOld(name)) return;
    if (this.#storage.remove(name)) this.files += 1;
  }

  #isOld(file: string): boolean {
    const info = this.#storage.info(file);
    return (
      info !== undefined && dateMs() - info.modifiedAtMs > (this.#storage.shared ? ABANDONED_SHARED_MS : ABANDONED_MS)
    );
  }

  #isGone(number: number): boolean {
    let gone = this.#gone.get(number);
    if (gone === undefined) this.#gone.set(number, (gone = this.#judge(number)));
    return gone;
  }

  #judge(number: number): boolean {
    if (number > this.#top) return false;
    if (lacksFile(this.#storage, this.#listed, number)) return true;
    // Each look that lists again is a trip to a file server, and there may be hundreds of dead processes: only those
    // that may live are looked at.
    if (this.#known.isDead(number)) return true;
    const info = this.#known.seen(number);
    if (info !== undefined) return this.#known.isAlive(info) === 'dead';
    return this.#known.isUnannounced(number) && this.#isOld(processPath(number));
  }

  #late(): boolean {
    if (dateMs() > this.#deadlineMs) this.complete = false;
    return !this.complete;
  }
}
