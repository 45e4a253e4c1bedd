/** Processes with which links have failed while they live, and what that says of the next link. */
import { type Link } from './link';

/** Links with one process that may turn out damaged before we have no more to do with it. */
const DAMAGED_MAX = 8;

export class FailedPeers {
  readonly #damaged = new Map<number, number>();
  readonly #unanswered = new Set<number>();

  /** A link is over. */
  count({ process, peerGone, failure, attached }: Link): void {
    if (peerGone) {
      this.#damaged.delete(process);
      this.#unanswered.delete(process);
      return;
    }
    if (!attached) this.#unanswered.add(process);
    if (failure?.code === 'ESTPCORRUPT') this.#damaged.set(process, (this.#damaged.get(process) ?? 0) + 1);
  }

  /** A process has its end of a link. */
  answered(process: number): void {
    this.#unanswered.delete(process);
  }

  /** True where a process left the last link that we made with it without its end: it could not make it. */
  hasNotAnswered(process: number): boolean {
    return this.#unanswered.has(process);
  }

  isBanned(process: number): boolean {
    return (this.#damaged.get(process) ?? 0) >= DAMAGED_MAX;
  }
}
