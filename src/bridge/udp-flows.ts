/**
 * The flows of UDP of a bridge, of all its forwards together: how many there may be, and which have been silent for so
 * long that they are given back.
 *
 * UDP has no end that could be seen, so that silence must stand for it.
 */
import { clearInterval, nowMs, setInterval } from '../host';
import { StpError } from '../errors';

export interface Flow {
  /** When a datagram last came or went. */
  readonly lastMs: number;
  /** No more datagrams. The flow leaves its place when its stream is closed. */
  end(): void;
}

/** Looks for silence in each time-out. */
const LOOKS = 4;

export class Flows {
  max: number;
  #timeoutMs: number;
  readonly #all = new Set<Flow>();
  #timer: NodeJS.Timeout | undefined;
  #isTold = false;
  #emptied: (() => void) | undefined;

  constructor(max: number, timeoutMs: number) {
    this.max = max;
    this.#timeoutMs = timeoutMs;
  }

  /** Ends all that there are, so that the next datagram of each begins a flow by the new settings. */
  configure(max: number, timeoutMs: number): void {
    this.max = max;
    this.#timeoutMs = timeoutMs;
    for (const flow of [...this.#all]) flow.end();
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = this.#watch();
  }

  /** False where there are too many; `tell` is called for the first that finds no place, until there is one again. */
  hasPlace(tell: (error: StpError) => void): boolean {
    if (this.#all.size < this.max) return true;
    if (!this.#isTold)
      tell(new StpError('EMFILE', `there are ${this.max} flows, as many as --max-flows allows`, 'UDP'));
    this.#isTold = true;
    return false;
  }

  add(flow: Flow): void {
    this.#all.add(flow);
    this.#timer ??= this.#watch();
  }

  #watch(): NodeJS.Timeout {
    return setInterval(() => {
      this.#endSilent();
    }, this.#timeoutMs / LOOKS);
  }

  delete(flow: Flow): void {
    if (!this.#all.delete(flow)) return;
    this.#isTold = false;
    if (this.#all.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#emptied?.();
  }

  #endSilent(): void {
    const sinceMs = nowMs() - this.#timeoutMs;
    for (const flow of this.#all) if (flow.lastMs <= sinceMs) flow.end();
  }

  /** Ends all; resolves when each has left its place. */
  async end(): Promise<void> {
    if (this.#all.size === 0) return;
    const emptied = new Promise<void>((resolve) => (this.#emptied = resolve));
    for (const flow of [...this.#all]) flow.end();
    await emptied;
  }
}
