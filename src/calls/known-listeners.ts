/**
 * Listeners that were found a moment ago, so that a client that calls the same one again and again does not look into
 * the region for each connection.
 *
 * What was found holds while the process lives, and its port table is the one that was looked at: both are seen
 * without a trip to the storage where we have a link with the process (LinkTable.portChangesOf). Order that matters:
 * the changes are read before the table. So a listener is looked up twice, and known from then on. One that shares its
 * port is never known: others may join it, and each has its turn.
 */
import { type EngineAddress } from '../engine';
import { type FoundListener } from '../region';

/** How often the port table of a process has changed, see LinkTable.portChangesOf. */
type PortChanges = (process: number, epoch: number) => number | undefined;

interface Known {
  readonly address: EngineAddress;
  readonly found: FoundListener;
  /** Undefined: the table may have changed since it was looked at. */
  readonly changes: number | undefined;
}

/** More ports than this are not called in turn. */
const KNOWN_MAX = 256;

export class KnownListeners {
  /** By port: of several addresses of one port, the one that was called last. */
  readonly #known = new Map<number, Known>();

  /** The listener at an address: as it is known, else by `look`. */
  find(
    address: EngineAddress,
    portChanges: PortChanges,
    look: () => FoundListener | undefined,
  ): FoundListener | undefined {
    const known = this.#known.get(address.port);
    if (known === undefined || !isSame(known.address, address)) return this.#learn(address, look(), undefined);
    const { process } = known.found;
    const changes = portChanges(process.number, process.epoch);
    if (changes !== undefined && changes === known.changes) return known.found;
    const found = look();
    const again = found?.process.number === process.number;
    // One that does not tell of changes, as this process itself, is not learned again for each call.
    return again && changes === undefined && !found.shared
      ? found
      : this.#learn(address, found, again ? changes : undefined);
  }

  /** Another region, or links that are others. */
  clear(): void {
    this.#known.clear();
  }

  #learn(
    address: EngineAddress,
    found: FoundListener | undefined,
    changes: number | undefined,
  ): FoundListener | undefined {
    if (found === undefined || found.shared) this.#known.delete(address.port);
    else {
      if (this.#known.size >= KNOWN_MAX) this.#known.clear();
      this.#known.set(address.port, { address: { ...address }, found, changes });
    }
    return found;
  }
}

function isSame(a: EngineAddress, b: EngineAddress): boolean {
  return a.ip === b.ip && a.system === b.system && a.group === b.group;
}
