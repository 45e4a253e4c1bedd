/**
 * The forwards of a running bridge: opened, closed and led elsewhere while it runs. One that can't listen, or has lost
 * its port, tries again with growing pauses until it listens or is removed.
 *
 * Invariant: a forward that is removed opens nothing any more, also where an attempt was under way.
 */
import { clearTimeout, setTimeout } from '../host';
import { type Bridge, type OpenForward } from './bridge';
import { type Forward } from './forward';
import { Traffic, type TrafficCounts } from './traffic';

export interface ForwardSetEvents {
  /** It listens: with the real port. */
  listening(forward: Forward): void;
  /** It does not listen any more, and tries again. */
  lost(forward: Forward): void;
}

/** A forward as it stands. */
export interface ForwardStatus {
  /** With the real port, where it listens or did. */
  readonly forward: Forward;
  readonly state: 'listening' | 'waiting';
  /** Why it waits. */
  readonly error: Error | undefined;
  readonly traffic: TrafficCounts;
}

const PAUSE_FIRST_MS = 100;
const PAUSE_MAX_MS = 5000;

/** One forward of the set. */
export class HeldForward {
  /** As it was asked for. */
  wanted: Forward;
  /** With the real port. */
  forward: Forward;
  open: OpenForward | undefined;
  error: Error | undefined;
  removed = false;
  pauseMs = PAUSE_FIRST_MS;
  timer: NodeJS.Timeout | undefined;
  readonly traffic = new Traffic();

  constructor(wanted: Forward) {
    this.wanted = wanted;
    this.forward = wanted;
  }

  get status(): ForwardStatus {
    return {
      forward: this.forward,
      state: this.open === undefined ? 'waiting' : 'listening',
      error: this.open === undefined ? this.error : undefined,
      traffic: this.traffic.counts,
    };
  }
}

export class ForwardSet {
  readonly #bridge: Bridge;
  readonly #events: ForwardSetEvents;
  readonly #held = new Set<HeldForward>();

  constructor(bridge: Bridge, events: ForwardSetEvents) {
    this.#bridge = bridge;
    this.#events = events;
  }

  get all(): readonly HeldForward[] {
    return [...this.#held];
  }

  /** Rejects where it can't listen; then it is not in the set. `fd`: a socket that has its address and listens. */
  async open(wanted: Forward, fd?: number): Promise<HeldForward> {
    const held = new HeldForward(wanted);
    await this.#listen(held, fd);
    this.#held.add(held);
    return held;
  }

  /** Stays in the set where it can't listen, and tries again. `status.error` says why it waits. */
  async openInTime(wanted: Forward): Promise<HeldForward> {
    const held = new HeldForward(wanted);
    this.#held.add(held);
    await this.#try(held);
    return held;
  }

  remove(held: HeldForward): void {
    held.removed = true;
    clearTimeout(held.timer);
    this.#held.delete(held);
    held.open?.close();
    held.open = undefined;
  }

  /** New connections go to another target; it listens on without a break. Both must have {@link sameListener}. */
  retarget(held: HeldForward, wanted: Forward): void {
    held.wanted = wanted;
    held.open?.retarget(wanted);
    held.forward = held.open?.forward ?? wanted;
  }

  /** No forward listens any more, and none tries to. */
  close(): void {
    for (const held of this.#held) this.remove(held);
  }

  async #listen(held: HeldForward, fd?: number): Promise<void> {
    const open = await this.#bridge.open(held.forward, {
      fd,
      traffic: held.traffic,
      lost: () => {
        this.#lost(held);
      },
    });
    if (held.removed) {
      open.close();
      return;
    }
    // What was wanted may have changed meanwhile.
    open.retarget(held.wanted);
    held.open = open;
    held.forward = open.forward;
    held.pauseMs = PAUSE_FIRST_MS;
    this.#events.listening(open.forward);
  }

  #lost(held: HeldForward): void {
    held.open = undefined;
    if (held.removed) return;
    this.#events.lost(held.forward);
    this.#tryLater(held);
  }

  #tryLater(held: HeldForward): void {
    held.timer = setTimeout(() => void this.#try(held), held.pauseMs);
    held.pauseMs = Math.min(PAUSE_MAX_MS, held.pauseMs * 2);
  }

  async #try(held: HeldForward): Promise<void> {
    try {
      await this.#listen(held);
    } catch (error) {
      held.error = error as Error;
      if (!held.removed) this.#tryLater(held);
    }
  }
}
