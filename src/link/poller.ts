/**
 * The poller: looks for records in all links of this process, spins a little when there are none, then sleeps until a
 * bell rings.
 *
 * A turn is one immediate. Awake, a turn follows a turn by setImmediate, several of them in one go of the event loop
 * while records wait for them. While nothing comes it spins for a moment (spin.ts). Asleep, nothing runs at all: each
 * link says so in its asleep word, everything is looked at once more, and then the bells wake us. Links without a bell
 * (another kernel, no FIFOs) are polled by a timer that backs off.
 *
 * Order that matters in falling asleep: publish the asleep word, then look again. A sender publishes, then looks at the
 * word. So one of the two sees the other.
 */
import { AsyncResource } from 'node:async_hooks';
import { ASLEEP } from '../layout';
import { type BellReader } from './bell';
import { type Link, type LinkOwner, type LinkSink } from './link';
import { type Publisher } from './publisher';
import { Spin } from './spin';
import { clearInterval, clearTimeout, nextTick, nowMs, setImmediate, setInterval, setTimeout } from '../host';

/**
 * Turns in one go of the event loop while records wait for the next turn: a go costs a system call, and libuv reads a
 * busy socket 32 times in one.
 */
const TURNS_PER_GO = 4;
/** So many records are a burst, and a quick one where each takes less than this: a wake costs two processes as much. */
const BURST_RECORDS = 4;
const QUICK_RECORD_US = 250;
/** After records that took longer so many bursts are not trusted: answers would wait behind the next slow one. */
const SLOW_BURSTS = 16;
/** Sockets that turns are counted for at first. */
const TURNS_FIRST = 1024;
/** How long published records may lie unread before their reader is rung again. */
const WATCH_MS = 1000;
/**
 * Looks by the clock: so long after the last event, one after each twentieth of that time. A message waits by so much
 * longer than the pause before it.
 */
const POLL_FRACTION = 1 / 20;
const POLL_FIRST_MS = 1;
const POLL_MAX_MS = 50;
/** Where each look is a trip to a file server, an idle pair of processes makes less than 20 in a second. */
const POLL_REMOTE_MAX_MS = 200;
/** Longest time without a sleep in which answers of remote peers are waited for. */
const REMOTE_WAIT_MS = 20;
/**
 * How often duties of the clock are looked after while records keep us awake; and the clock is read once in so many
 * turns.
 */
const HOUSEKEEPING_MS = 50;
const HOUSEKEEPING_TURNS = 8;
/** The count of sleeps begins anew after this. */
const SLEEPS_MAX = 0xffff_ffff >>> ASLEEP.countShift;

export interface PollerEvents {
  /** A link failed or its peer is gone, and all it sent has been delivered. */
  linkOver(link: Link): void;
  /**
   * Called while there are links that have no bell or are not fully open: complete them, look for new ones, check which
   * peers live.
   */
  housekeep(): void;
}

export class Poller implements LinkOwner {
  readonly sink: LinkSink;
  turn = 0;
  records = 0;
  moreAtHand = false;
  quick = false;
  lastTurns = new Int32Array(TURNS_FIRST);
  readonly links = new Set<Link>();
  /** True while no look is due by itself: something must wake us. */
  asleep = true;
  /** Links or duties that no bell announces: poll by the clock. */
  needsClock = false;
  /** Peers may be on other hosts, and each look at them a trip to a file server. */
  remote = false;
  readonly spin: Spin;

  readonly #events: PollerEvents;
  readonly #root = new AsyncResource('STPPOLLER');
  readonly #dirty: Publisher[] = [];
  /** By which the last record came. */
  #lastLink: Link | null = null;
  /** Turns that are still to run in this go of the event loop. */
  #turnsDue = 0;
  #behind = false;
  /** The last turn had several records. */
  #burst = false;
  /** Bursts for which a peer that sleeps is rung for each answer, as there was a slow one. */
  #slowBursts = 0;
  #sleeps = 0;
  #flushQueued = false;
  #polling = false;
  #referenced = false;
  #clock: NodeJS.Timeout | null = null;
  #watch: NodeJS.Timeout | null = null;
  /** When we woke last, or went to sleep. */
  #calmSinceMs = 0;
  #housekeptMs = 0;
  #housekeepingTurns = 0;
  #loopHandle: BellReader | NodeJS.Timeout | null = null;
  #closed = false;

  constructor(sink: LinkSink, events: PollerEvents, yieldProcessor: (() => void) | undefined) {
    this.sink = sink;
    this.#events = events;
    this.spin = new Spin(yieldProcessor);
  }

  /** The handle that keeps the event loop alive while sockets do; a timer where there is no bell. */
  set loopHandle(bell: BellReader | null) {
    this.#loopHandle = bell;
    if (bell !== null || !this.#referenced) return;
    this.#referenced = false;
    this.setReferenced(true);
  }

  /** Whether open sockets keep the process alive. */
  setReferenced(referenced: boolean): void {
    if (this.#referenced === referenced) return;
    this.#referenced = referenced;
    if (referenced) {
      this.#loopHandle ??= setInterval(() => undefined, 0x7fff_ffff);
      this.#loopHandle.ref();
      this.#clock?.ref();
    } else {
      this.#loopHandle?.unref();
      this.#clock?.unref();
    }
    this.wake();
  }

  /** A socket with this index has begun: from now on its records are told one in a turn. */
  count(index: number): void {
    if (index < this.lastTurns.length) return;
    const more = new Int32Array(Math.max(index + 1, this.lastTurns.length * 2));
    more.set(this.lastTurns);
    this.lastTurns = more;
  }

  publishLater(publisher: Publisher): void {
    if (!this.#dirty.includes(publisher)) this.#dirty.push(publisher);
    if (this.asleep) this.wake();
    if (this.#flushQueued || this.#polling) return;
    this.#flushQueued = true;
    // After the program's own ticks and microtasks of this turn, so that what they send is still joined.
    nextTick(flushOf, this);
  }

  /** Publishes what was appended in this turn; what may wait for the next one only where `all` is to go. */
  flush(all = false): void {
    this.#flushQueued = false;
    let waiting = 0;
    // While we publish, links may fail and be added: the list is read by index until it ends.
    for (let i = 0; i < this.#dirty.length; i++) {
      const link = this.#dirty[i];
      // While we sleep, no later turn would publish it.
      if (!all && !this.asleep && link?.mayWait() === true) this.#dirty[waiting++] = link;
      else link?.publish();
    }
    this.#dirty.length = waiting;
    if (!this.#polling) this.turn = (this.turn + 1) | 0;
  }

  /**
   * What the program sends in answer to what it was just given goes out with our own, in one trip to the file server.
   */
  #flushAfterProgram(): void {
    if (this.#dirty.length === 0 || this.#flushQueued) return;
    this.#flushQueued = true;
    this.#root.runInAsyncScope(setImmediate, undefined, flushOf, this);
  }

  /** Begins to look for records, if it does not already. */
  wake(): void {
    this.#calmSinceMs = nowMs();
    if (!this.asleep || this.#closed) return;
    this.asleep = false;
    if (this.#clock !== null) {
      clearTimeout(this.#clock);
      this.#clock = null;
    }
    for (const link of this.links) link.setAsleep(false, this.#sleeps);
    this.spin.begin();
    this.#turnsDue = 1;
    this.#root.runInAsyncScope(setImmediate, undefined, this.#runTurn);
  }

  readonly #runTurn = (): void => {
    if (this.#closed || this.asleep) return;
    this.#turnsDue -= 1;
    const last = this.#turnsDue === 0;
    let any: boolean;
    let waited = false;
    try {
      any = this.#look();
      // What a spin finds is taken in at once: the program's ticks have run since the look before it.
      if (!any && last) {
        waited = this.#wait();
        if (waited && this.#isReady()) any = this.#look();
      }
    } catch (error) {
      // What the program throws goes up as from any callback, and where that is survived the looking must go on.
      if (last) this.#nextGo(1);
      throw error;
    }
    if (any) this.spin.found();
    if (!last) return;
    if (this.needsClock) this.#housekeepAwake();
    if (any || waited) this.#nextGo(this.#behind ? TURNS_PER_GO : 1);
    else this.#sleep();
  };

  /** Each turn is an immediate of its own: the program's ticks and microtasks run between them. */
  #nextGo(turns: number): void {
    this.#turnsDue = turns;
    for (let i = 0; i < turns; i++) setImmediate(this.#runTurn);
  }

  readonly #isReady = (): boolean => {
    for (const link of this.links) if (link.ready() || link.hasSpace()) return true;
    return false;
  };

  /** One turn over all links; true where anything came or went. */
  #look(): boolean {
    this.turn = (this.turn + 1) | 0;
    this.#polling = true;
    // The rest of a frame is in memory, but to look for another of the other links is a trip each: they come with the
    // next frame.
    const restOnly = this.remote && this.#behind;
    this.#behind = false;
    let any = false;
    const before = this.records;
    const beganMs = this.#burst ? nowMs() : 0;
    try {
      for (const link of this.links) {
        if (restOnly && !link.behind && link.failure === null && !link.peerGone) continue;
        const came = link.poll();
        if (came) this.#lastLink = link;
        if (link.behind) this.#behind = true;
        if (came || (link.needsRoom && link.checkRoom())) any = true;
        if (link.failure !== null || (link.peerGone && !came)) this.#over(link);
      }
    } finally {
      this.#polling = false;
      if (this.remote) this.#flushAfterProgram();
      else this.flush();
    }
    this.#countBurst(this.records - before, beganMs);
    return any;
  }

  #over(link: Link): void {
    if (this.#lastLink === link) this.#lastLink = null;
    this.#events.linkOver(link);
  }

  /** How quick the records of a turn were, where there were several, and several in the turn before. */
  #countBurst(records: number, beganMs: number): void {
    const burst = records >= BURST_RECORDS;
    this.quick = false;
    if (burst && this.#burst) {
      if ((nowMs() - beganMs) * 1000 >= records * QUICK_RECORD_US) this.#slowBursts = SLOW_BURSTS;
      else if (this.#slowBursts > 0) this.#slowBursts -= 1;
      else this.quick = true;
    }
    this.#burst = burst;
  }

  /** Waits a moment for records. False: it is time to sleep. */
  #wait(): boolean {
    this.spin.countIdle();
    if (!this.#referenced) return false;
    // The look of each turn sleeps in the file system until its answer is there: that needs no spin.
    if (this.remote && this.links.size > 0 && this.spin.idleMs() < REMOTE_WAIT_MS) return true;
    return this.spin.wait(this.#isReady, this.#lastLink);
  }

  /** Records that keep coming must not hold up processes that want to meet us, nor hide that a peer is dead. */
  #housekeepAwake(): void {
    this.#housekeepingTurns = (this.#housekeepingTurns + 1) % HOUSEKEEPING_TURNS;
    if (this.#housekeepingTurns !== 0) return;
    const now = nowMs();
    if (now - this.#housekeptMs < HOUSEKEEPING_MS) return;
    this.#housekeptMs = now;
    this.#events.housekeep();
  }

  /** A bell rang. */
  rung(): void {
    if (this.asleep) this.spin.rung();
    this.wake();
  }

  #sleep(): void {
    this.spin.end();
    this.#sleeps = (this.#sleeps + 1) & SLEEPS_MAX;
    this.asleep = true;
    this.#calmSinceMs = nowMs();
    for (const link of this.links) link.setAsleep(true, this.#sleeps);
    for (const link of this.links) {
      if (!link.ready() && link.failure === null && !link.peerGone && !(link.needsRoom && link.checkRoom())) continue;
      this.wake();
      return;
    }
    if (this.needsClock || this.#anyLate()) this.#startClock();
    if (this.#watch === null) for (const link of this.links) if (link.unwatched || link.needsRoom) this.#startWatch();
  }

  /**
   * Against wake-ups that got lost, which only a damaged region should do. Idle, it runs out once and is not started
   * again.
   */
  #startWatch(): void {
    this.#watch ??= this.#root.runInAsyncScope<undefined, NodeJS.Timeout>(
      setTimeout,
      undefined,
      () => {
        this.#watch = null;
        if (!this.asleep || this.#closed) return;
        let waits = false;
        for (const link of this.links) {
          if (link.unwatched) link.ringAgain();
          waits ||= link.needsRoom;
        }
        if (waits) this.wake();
      },
      WATCH_MS,
    );
    this.#watch.unref();
  }

  #startClock(): void {
    this.#clock ??= this.#root.runInAsyncScope<undefined, NodeJS.Timeout>(
      setTimeout,
      undefined,
      () => {
        this.#clock = null;
        this.#housekeptMs = nowMs();
        this.#events.housekeep();
        this.#wakeIfReady();
      },
      this.#paceMs(),
    );
    if (!this.#referenced) this.#clock.unref();
  }

  #paceMs(): number {
    const paceMs = (nowMs() - this.#calmSinceMs) * POLL_FRACTION;
    return Math.min(this.remote ? POLL_REMOTE_MAX_MS : POLL_MAX_MS, Math.max(POLL_FIRST_MS, paceMs));
  }

  /** After a tick of the clock: looks, and goes back to sleep without a spin where nothing came. */
  #wakeIfReady(): void {
    for (const link of this.links) {
      if (!link.ready() && link.failure === null && !link.needsRoom) continue;
      this.wake();
      return;
    }
    if (this.asleep && !this.#closed && (this.needsClock || this.#anyLate())) this.#startClock();
  }

  #anyLate(): boolean {
    let late = false;
    for (const link of this.links) late = link.late() || late;
    return late;
  }

  /** A duty for the clock came up while we may be asleep. */
  setNeedsClock(needs: boolean): void {
    this.needsClock = needs;
    if (needs && this.asleep && !this.#closed) this.#startClock();
  }

  close(): void {
    this.#closed = true;
    this.asleep = true;
    if (this.#clock !== null) clearTimeout(this.#clock);
    if (this.#watch !== null) clearTimeout(this.#watch);
    if (this.#loopHandle !== null && 'hasRef' in this.#loopHandle) clearInterval(this.#loopHandle);
    this.links.clear();
    this.#lastLink = null;
  }
}

function flushOf(poller: Poller): void {
  poller.flush();
}
