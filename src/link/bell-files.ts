/**
 * The FIFOs behind the bells of this process, and the liveness FIFOs of others: made, opened, rung and removed by name.
 *
 * The process that comes first makes both bells of a pair; each is read by one process and rung by the other. They keep
 * their names, and stay where a link is given up and begun again between two that live.
 */
import path from 'node:path';
import { StpError } from '../errors';
import { REGION_PATHS } from '../layout';
import { encodeNotification, livenessFifoPathOf, type Region } from '../region';
import { closeQuietly, makeFifo, openFifoReader, openFifoWriter } from '../storage';
import { ring } from './bell';

export class BellFiles {
  readonly #region: Region;

  constructor(region: Region) {
    this.#region = region;
  }

  /**
   * Makes both bells between us and `peer`, which both have liveness FIFOs, unless they are there. Where there are
   * those there are FIFOs: what refuses one now is a failure (EIO). A peer that finds the bells made, and us not
   * listening, would take us for dead.
   */
  make(peer: number): void {
    for (const name of this.names(peer)) {
      const absolute = this.#absolute(name);
      if (!makeFifo(absolute, this.#region.storage.access))
        throw new StpError('EIO', `${absolute} could not be made, though liveness FIFOs could`, 'mkfifo');
    }
  }

  /** The end of the peer's bell that we listen to; undefined where there is no such bell. */
  openReader(peer: number): number | undefined {
    return openFifoReader(this.#absolute(this.names(peer)[1]), this.#region.storage.access);
  }

  /** The end of our bell that the peer listens to; undefined where it does not listen. */
  openWriter(peer: number): number | undefined {
    return openFifoWriter(this.#absolute(this.names(peer)[0]), this.#region.storage.access);
  }

  /** Tells a process over its liveness FIFO that we have made a link with it; false where that process is gone. */
  notify(number: number): boolean {
    const fd = openFifoWriter(this.#absolute(livenessFifoPathOf(number)), this.#region.storage.access);
    if (fd === undefined) return false;
    const heard = ring(fd, encodeNotification(this.#region.self.number));
    closeQuietly(fd);
    return heard;
  }

  /** Names of the bells between us and `peer`: ours, then the peer's. */
  names(peer: number): readonly [string, string] {
    const self = this.#region.self.number;
    return [`${REGION_PATHS.bells}/${self}-${peer}`, `${REGION_PATHS.bells}/${peer}-${self}`];
  }

  #absolute(relative: string): string {
    return path.join(this.#region.storage.root, relative);
  }
}
