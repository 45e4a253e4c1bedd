/** What ends a bridge: a signal, or `stp bridge ctl stop`. The time to end can be made shorter while it ends. */

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export class StopSignal {
  /** Resolves with what ends it. */
  readonly first: Promise<string>;
  /** Where the stop says how long what is connected has; undefined: as the bridge was told. */
  drainMs: number | undefined;
  #resolve: (why: string) => void = () => undefined;
  #overdue: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `others`: signals that mean something else. */
  constructor(others: readonly string[]) {
    this.first = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const name of SIGNALS)
      if (!others.includes(name))
        process.once(name, () => {
          this.stop(name);
        });
  }

  stop(why: string, drainMs?: number): void {
    this.drainMs = drainMs;
    this.#resolve(why);
    if (this.#overdue !== undefined && drainMs !== undefined) this.afterDrain(drainMs, this.#overdue);
  }

  /** Calls `overdue` after so long, or after what a later stop says. */
  afterDrain(drainMs: number, overdue: () => void): void {
    this.#overdue = overdue;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(overdue, drainMs);
  }

  close(): void {
    this.#overdue = undefined;
    clearTimeout(this.#timer);
  }
}
