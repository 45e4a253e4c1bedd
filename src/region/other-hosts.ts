/**
 * The view of the host that serves a directory to others: a local file system to it, in which no process beats and no
 * process of another host notifies it. So it looks now and then whether a process of another host has come.
 *
 * A look costs one stat while no process comes or goes, and keeps nothing open: a program of one host pays two
 * microseconds for it.
 */
import { PROCESS_BLOCKS, REGION_PATHS } from '../layout';
import { type BlockReader, type Storage } from '../storage';
import { decodeIdentity, processPath } from './process-info';
import { listNumbers } from './process-numbers';
import { isDamage } from './processes';
import { dateMs } from '../host';

/**
 * A change within this time of the last one may leave the directory's time as it was (coarse file times), milliseconds.
 */
const TIME_GRAIN_MS = 100;

export class OtherHostWatch {
  readonly #storage: Storage;
  readonly #bootId: string;
  #modifiedAtMs = -1;
  /** Processes up to this number are known to be of this host, or dead. */
  #lookedTo: number;

  constructor(storage: Storage, bootId: string, lookedTo: number) {
    this.#storage = storage;
    this.#bootId = bootId;
    this.#lookedTo = lookedTo;
  }

  /**
   * The number of a process that came since the last look, and is not of our kernel. Throws what the storage throws.
   */
  look(): number | undefined {
    const modifiedAtMs = this.#storage.info(REGION_PATHS.processes)?.modifiedAtMs ?? -1;
    if (modifiedAtMs === this.#modifiedAtMs && modifiedAtMs !== -1) return undefined;
    // Before the list: a change in between makes the next look list again.
    this.#modifiedAtMs = dateMs() - modifiedAtMs > TIME_GRAIN_MS ? modifiedAtMs : -1;
    const fresh = listNumbers(this.#storage)
      .filter((number) => number > this.#lookedTo)
      .sort((a, b) => a - b);
    let found: number | undefined;
    let settled = true;
    for (const number of fresh) {
      const host = this.#hostOf(number);
      if (host === 'other') found ??= number;
      // It will tell of itself without a change of the directory's time.
      if (host === 'untold') settled = false;
      if (settled) this.#lookedTo = number;
    }
    if (!settled) this.#modifiedAtMs = -1;
    return found;
  }

  #hostOf(number: number): 'ours' | 'other' | 'untold' {
    let reader: BlockReader | undefined;
    try {
      reader = this.#storage.openBlocks(processPath(number));
      const block = reader?.read(PROCESS_BLOCKS.identity);
      if (block === undefined) return 'untold';
      return decodeIdentity(block.payload, number).bootId === this.#bootId ? 'ours' : 'other';
    } catch (error) {
      // A damaged file is of no process that could call us.
      if (isDamage(error)) return 'ours';
      throw error;
    } finally {
      reader?.close();
    }
  }
}
