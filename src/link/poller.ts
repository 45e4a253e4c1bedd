/**
 * The poller: looks for records in all links of this process, spins a little when there are none, then sleeps until a
 * bell rings.
 *
 * A turn is one immediate, or the callback of the bell that wakes us. Awake, a turn follows a turn by setImmediate,
 * several of them in one go of the event loop while records wait for them. While nothing comes it spins for a moment
 * (spin.ts). Asleep, nothing runs at all: each link says so in its asleep word, everything is looked at once more, and
 * then the bells wake us. Where no spin is worth it, the bell's callback takes in what came by its link, and that link
 * alone gets a new asleep word: a sleep costs the same, however many links there are. Links without a bell (another
 * kernel, no FIFOs) are polled by a timer that backs off.
 *
 * Order that matters in falling asleep: publish the asleep word, then look again. A sender publishes, then looks at the
 * word. So one of the two sees the other.
 */
import { AsyncResource } from 'node:async_hooks';
import { ASLEEP } from '../layout';
import { type BellReader } from './bell';
import { Bursts } from './bursts';
import { type Link, type LinkOwner, type LinkSink } from './link';
import { lookPauseMs, RING_WATCH_MS } from './look-pauses';
import { LookTimer } from './look-timer';
import { type Publisher } from './publisher';
import { Spin } from './spin';
import { clearInterval, nextTick, nowMs, setImmediate, setInterval } from '../host';

/**
 * Turns in one go of the event loop while records wait for the next turn: a go costs a system call, and libuv reads a
 * busy socket 32 times in one.
 */
const TURNS_PER_GO = 4;
/** Sockets that turns are counted for at first. */
const TURNS_FIRST = 1024;
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
  polling = false;
  lastTurns = new Int32Array(TURNS_FIRST);
  readonly links = new Set<Link>();
  /** True while no look is due by itself: something must wake us. */
  asleep = true;
  /** Links or duties that no bell announces: poll by the clock. */
  needsClock = false;
  /** Peers may be on other hosts, and each look at them a trip to a file server. */
  remote = false;
  readonly spin: Spin;

  readonly #bursts = new Bursts();
  readonly #events: PollerEvents;
  readonly #root = new AsyncResource('STPPOLLER');
  readonly #clock = new LookTimer(this.#root, () => {
    this.#tick();
  });
  readonly #watch = new LookTimer(this.#root, () => {
    this.#ringAgain();
  });
  readonly #dirty: Publisher[] = [];
  /** By which the last record came. */
  #lastLink: Link | null = null;
  /** Turns that are still to run in this go of the event loop. */
  #turnsDue = 0;
  #behind = false;
  #sleeps = 0;
  #flushQueued = false;
  #referenced = false;
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
    this.#clock.setReferenced(referenced);
    if (referenced) {
      this.#loopHandle ??= setInterval(() => undefined, 0x7fff_ffff);
      this.#loopHandle.ref();
    } else {
      this.#loopHandle?.unref();
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
    if (this.asleep && this.#mustLook(publisher)) this.wake();
    if (this.#flushQueued || this.polling) return;
    if (this.asleep) this.spin.expect();
    this.#flushQueued = true;
    // After the program's own ticks and microtasks of this turn, so that what they send is still joined.
    nextTick(flushOf, this);
  }

  /**
   * Whether we must wake for what was appended: no bell will tell of the answer, or it is likely to come while we spin
   * for it, or we wait for room, which the next asleep word must say.
   */
  #mustLook({ needsRoom, failure, ringPeer }: Publisher): boolean {
    if (this.needsClock || needsRoom || failure !== null || ringPeer === null) return true;
    return this.#referenced && this.spin.isWorth();
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
    if (this.asleep) this.#watch.start(RING_WATCH_MS, false);
    if (!this.polling) this.turn = (this.turn + 1) | 0;
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
    this.#clock.stop();
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
      any = this.#look(null);
      // What a spin finds is taken in at once: the program's ticks have run since the look before it.
      if (!any && last) {
        waited = this.#wait();
        if (waited && this.#isReady()) any = this.#look(null);
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

  /** One turn over all links, or over `only` one; true where anything came or went. */
  #look(only: Link | null): boolean {
    this.turn = (this.turn + 1) | 0;
    this.polling = true;
    // The rest of a frame is in memory, but to look for another of the other links is a trip each: they come with the
    // next frame.
    const restOnly = this.remote && this.#behind;
    this.#behind = false;
    let any = false;
    const before = this.records;
    this.#bursts.beginTurn();
    try {
      if (only !== null) any = this.#lookAt(only);
      else
        for (const link of this.links) {
          if (restOnly && !link.behind && link.failure === null && !link.peerGone) continue;
          if (this.#lookAt(link)) any = true;
        }
    } finally {
      this.polling = false;
      if (this.remote) this.#flushAfterProgram();
      else this.flush();
    }
    this.quick = this.#bursts.endTurn(this.records - before);
    return any;
  }

  #lookAt(link: Link): boolean {
    const came = link.poll();
    if (came) this.#lastLink = link;
    if (link.behind) this.#behind = true;
    const any = came || (link.needsRoom && link.checkRoom());
    if (link.failure !== null || (link.peerGone && !came)) this.#over(link);
    return any;
  }

  #over(link: Link): void {
    if (this.#lastLink === link) this.#lastLink = null;
    this.#events.linkOver(link);
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

  /** Makes a handle whose callbacks are to run in no context of the program's. */
  inOwnContext<T>(make: () => T): T {
    return this.#root.runInAsyncScope(make);
  }

  /** The bell of a link rang, in our own context. */
  rung(link: Link): void {
    if (!this.asleep || this.#closed) return;
    this.spin.rung();
    if (this.needsClock || !this.links.has(link) || this.#takeRung(link)) this.wake();
    else if (this.#isAsleep()) this.#sleepOn(link);
  }

  /** Takes in what a bell rang for. True where more is at hand, or likely to come soon. */
  #takeRung(link: Link): boolean {
    try {
      this.#look(link);
    } catch (error) {
      this.wake();
      throw error;
    }
    return this.#behind || (this.#referenced && this.spin.isWorth());
  }

  /** The program that a look ran may have woken us, or ended all. */
  #isAsleep(): boolean {
    return this.asleep && !this.#closed;
  }

  /** The peer rings once for each asleep word: this is a new one. */
  #sleepOn(link: Link): void {
    this.#calmSinceMs = this.spin.expect();
    this.#sleeps = (this.#sleeps + 1) & SLEEPS_MAX;
    link.setAsleep(true, this.#sleeps);
    if (this.#hasWork(link)) this.wake();
    else if (link.late()) this.#startClock();
  }

  #sleep(): void {
    this.#calmSinceMs = this.spin.end();
    this.#sleeps = (this.#sleeps + 1) & SLEEPS_MAX;
    this.asleep = true;
    for (const link of this.links) link.setAsleep(true, this.#sleeps);
    for (const link of this.links) {
      if (!this.#hasWork(link)) continue;
      this.wake();
      return;
    }
    if (this.needsClock || this.#anyLate()) this.#startClock();
    if (this.#watch.isDue) return;
    for (const link of this.links) if (link.unwatched || link.needsRoom) this.#watch.start(RING_WATCH_MS, false);
  }

  #hasWork(link: Link): boolean {
    return link.ready() || link.failure !== null || link.peerGone || (link.needsRoom && link.checkRoom());
  }

  #ringAgain(): void {
    if (!this.#isAsleep()) return;
    let waits = false;
    for (const link of this.links) {
      if (link.unwatched) link.ringAgain();
      waits ||= link.needsRoom;
    }
    if (waits) this.wake();
  }

  #startClock(): void {
    this.#clock.start(lookPauseMs(nowMs() - this.#calmSinceMs, this.remote), this.#referenced);
  }

  #tick(): void {
    this.#housekeptMs = nowMs();
    this.#events.housekeep();
    this.#wakeIfReady();
  }

  /** After a tick of the clock: looks, and goes back to sleep without a spin where nothing came. */
  #wakeIfReady(): void {
    for (const link of this.links) {
      if (!link.ready() && link.failure === null && !link.needsRoom) continue;
      this.wake();
      return;
    }
    if (this.#isAsleep() && (this.needsClock || this.#anyLate())) this.#startClock();
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
    this.#clock.stop();
    this.#watch.stop();
    if (this.#loopHandle !== null && 'hasRef' in this.#loopHandle) clearInterval(this.#loopHandle);
    this.links.clear();
    this.#lastLink = null;
  }
}

function flushOf(poller: Poller): void {
  poller.flush();
}
