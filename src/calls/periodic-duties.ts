/**
 * What a process owes its region by the clock: heartbeats, where others can't see its life otherwise, and a look for
 * processes of other hosts, where it is the host that serves the directory.
 *
 * None of it runs where all processes are of one kernel and the directory is in memory.
 */
import { type AsyncResource } from 'node:async_hooks';
import { clearInterval, nowMs, setInterval } from '../host';
import { StpError } from '../errors';
import { type LinkTable } from '../link';
import { type Region } from '../region';

/** Every so many beats we look whether another process took us for dead. */
const BEATS_PER_LOOK = 5;
/** How often a process to which the directory is local looks for those of other hosts, milliseconds. */
const LOOK_OUT_MS = 1000;

/** What the duties are for. */
export interface DutiesOwner {
  readonly region: Region;
  readonly links: LinkTable;
  /** The place in the region is lost, and no new one was to be had yet. */
  readonly detached: boolean;
  /** Comes back as a new process of the region. Throws what opening the region throws. */
  rejoin(): void;
}

export class PeriodicDuties {
  readonly #owner: DutiesOwner;
  /** Outside of whatever the program is just doing. */
  readonly #root: AsyncResource;
  #beatTimer: NodeJS.Timeout | null = null;
  #lookOutTimer: NodeJS.Timeout | null = null;
  #beats = 0;
  #beatAtMs = 0;
  #closed = false;

  constructor(owner: DutiesOwner, root: AsyncResource) {
    this.#owner = owner;
    this.#root = root;
  }

  /** The region is open. */
  begin(): void {
    const { region } = this.#owner;
    if (region.storage.shared) this.#startBeating(region);
    if (region.mayBeServed) this.#startLookingOut();
  }

  /**
   * May be called while the region is opened. Also where the storage is our own: this may be the host that serves it to
   * others.
   */
  meetOtherHost(region: Region): void {
    this.#root.runInAsyncScope(() => {
      this.#startBeating(region);
      region.heartbeat.startThread();
    });
  }

  close(): void {
    this.#closed = true;
    for (const timer of [this.#beatTimer, this.#lookOutTimer]) if (timer !== null) clearInterval(timer);
  }

  #startBeating(region: Region): void {
    if (this.#beatTimer !== null || this.#closed) return;
    this.#beatAtMs = nowMs();
    this.#beatTimer = setInterval(() => {
      this.#beat();
    }, region.heartbeat.beatMs);
    this.#beatTimer.unref();
  }

  #beat(): void {
    const { region, detached } = this.#owner;
    const stoodStill = nowMs() - this.#beatAtMs >= region.limits.leaseMs;
    this.#beats += 1;
    try {
      // Where we stood still it is the first question, else one now and then: the clock of another host may have run
      // faster than ours.
      const lost =
        detached || region.outOfReach || ((stoodStill || this.#beats % BEATS_PER_LOOK === 0) && region.takenForDead);
      if (lost) this.#owner.rejoin();
      this.#owner.region.beat();
      this.#beatAtMs = nowMs();
    } catch (error) {
      // The next beat tries again; a lease that runs out meanwhile is what the others must see. What the program throws
      // is not ours to keep.
      if (!(error instanceof StpError)) throw error;
    }
  }

  /**
   * The host that serves the directory hears no notification from elsewhere: it looks which processes of other hosts
   * are there, and once there are any, which links they have made.
   */
  #startLookingOut(): void {
    this.#lookOutTimer = this.#root.runInAsyncScope<undefined, NodeJS.Timeout>(
      setInterval,
      undefined,
      () => {
        this.#lookOut();
      },
      LOOK_OUT_MS,
    );
    this.#lookOutTimer.unref();
  }

  #lookOut(): void {
    const { region, links, detached } = this.#owner;
    if (detached) return;
    try {
      region.lookForOtherHosts();
    } catch (error) {
      // The next look tries again.
      if (!(error instanceof StpError)) throw error;
    }
    if (region.otherHostSeen) links.poller.setNeedsClock(true);
  }
}
