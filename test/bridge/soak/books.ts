/**
 * The books of a soak of bridges: a connection may be cut only where a process that carried it was killed, or was not
 * there. On the route of the processes that live on there is no such excuse.
 */
import { type Cut, type Report, type Route } from './messages';

/** So long after its start a process may still be taken for the one that was killed, on a machine that is busy. */
const NOTICE_MS = 1000;
const SAID_MAX = 20;

interface Gap {
  readonly name: string;
  readonly fromMs: number;
  toMs: number;
}

export class Books {
  readonly #routes: readonly Route[];
  /** Times at which a process was not there: from its death, or the beginning, until it was ready. */
  readonly #gaps: Gap[] = [];
  readonly #cuts: { readonly cut: Cut; readonly by: string }[] = [];
  readonly failures: string[] = [];
  readonly noticesMs: number[] = [];
  whole = 0;
  bytes = 0;
  left = 0;
  cut = 0;
  #stoppedMs = Infinity;

  constructor(routes: readonly Route[]) {
    this.#routes = routes;
  }

  /** Said at once: what happens then is often worth a look. */
  fail(failure: string): void {
    this.failures.push(failure);
    if (this.failures.length <= SAID_MAX) console.log(`FAILED ${failure}`);
  }

  gone(name: string): void {
    this.#gaps.push({ name, fromMs: Date.now(), toMs: Infinity });
  }

  ready(name: string): void {
    for (const gap of this.#gaps) if (gap.name === name) gap.toMs = Math.min(gap.toMs, Date.now());
  }

  stop(): void {
    this.#stoppedMs = Date.now();
  }

  enter(by: string, report: Report): void {
    this.whole += report.whole;
    this.bytes += report.bytes;
    this.left += report.left;
    for (const failure of report.failures) this.fail(failure);
    for (const cut of report.cuts) this.#cuts.push({ cut, by });
  }

  /** Each cut needs a death. */
  judge(): void {
    for (const { cut, by } of this.#cuts) {
      this.cut += 1;
      const excuse = this.#excuse(cut, by);
      if (excuse === undefined) this.fail(this.#story(cut, by));
      else if (excuse.fromMs > cut.beganMs) this.noticesMs.push(cut.atMs - excuse.fromMs);
    }
  }

  /** The last death of a process on its way. */
  #excuse({ route, client, beganMs, atMs }: Cut, by: string): Gap | undefined {
    const found = route === undefined ? undefined : this.#routes[route];
    const way =
      found === undefined ? undefined : [found.near, found.far, found.server, ...(client ? [client.name] : [])];
    return this.#gaps.findLast(
      (gap) =>
        gap.name !== by &&
        (way === undefined || way.includes(gap.name)) &&
        gap.fromMs <= atMs &&
        gap.toMs + NOTICE_MS >= beganMs,
    );
  }

  #story({ route, client, code, beganMs, atMs }: Cut, by: string): string {
    const found = route === undefined ? undefined : this.#routes[route];
    const way = found === undefined ? 'an unknown way' : `${found.near}, ${found.far}, ${found.server} (${found.kind})`;
    const deaths = this.#gaps
      .filter((gap) => gap.fromMs <= atMs)
      .slice(-4)
      .map(({ name, fromMs, toMs }) => `${name} ${fromMs - atMs} to ${toMs - atMs} ms`);
    const late = atMs >= this.#stoppedMs ? ', after the stop' : '';
    return (
      `${by}: ${code} without a death on its way: ${way}, client ${client?.name ?? 'unknown'}, ` +
      `begun ${beganMs - atMs} ms before${late}; away were ${deaths.join(', ')}`
    );
  }
}
