/**
 * Regions that were removed under this process while connections went on. Memory and FIFOs of a link stay where both
 * ends hold them, so a connection outlives the names. A link ends here when its last connection does, and with the last
 * link the region is let go.
 */
import { type Engine, Peer } from '../engine';
import { type Link, type LinkTable } from '../link';
import { type Region } from '../region';

interface RemovedRegion {
  readonly region: Region;
  readonly links: LinkTable;
}

export class RemovedRegions {
  #removed: RemovedRegion[] = [];

  get size(): number {
    return this.#removed.length;
  }

  /** From now on the engine knows the peers of this region only by their links: numbers are those of another region. */
  add(engine: Engine, region: Region, links: LinkTable): void {
    for (const link of links.poller.links) link.tag = peerOf(engine, link);
    engine.peers.clear();
    links.abandon();
    region.withdraw();
    this.#removed.push({ region, links });
  }

  setReferenced(referenced: boolean): void {
    for (const { links } of this.#removed) links.poller.setReferenced(referenced);
  }

  count(index: number): void {
    for (const { links } of this.#removed) links.poller.count(index);
  }

  takeUnseen(): Set<number> {
    return new Set(this.#removed.flatMap(({ links }) => [...links.takeUnseen()]));
  }

  /** Lets go of those over which no connection goes any more. */
  closeUnused(): void {
    const unused = this.#removed.filter(({ links }) => ![...links.poller.links].some(isUsed));
    if (unused.length === 0) return;
    this.#removed = this.#removed.filter((removed) => !unused.includes(removed));
    unused.forEach(close);
  }

  close(): void {
    this.#removed.forEach(close);
    this.#removed = [];
  }
}

function close({ region, links }: RemovedRegion): void {
  links.close();
  region.close();
}

function peerOf(engine: Engine, link: Link): Peer {
  return link.tag instanceof Peer ? link.tag : engine.attachPeer(link);
}

function isUsed({ tag }: Link): boolean {
  return !(tag instanceof Peer) || tag.sockets.size > 0 || tag.hands.size > 0 || tag.requests.size > 0;
}
