/** What two processes cost that have a connection between them and nothing to say. */
import { type HostActor } from './host-actor';

/**
 * So long after the last message the clock is at its slowest pace, and V8 has collected what the traffic left: it
 * begins 8 s after the last allocations, and takes up to 100 ms of processor, which is no cost of silence.
 */
const BEFORE_MS = 25_000;
const DURING_MS = 10_000;

export interface Silence {
  /** Reads of files, a second and for both together. */
  readonly readsPerS: number;
  /** Lists of directories. */
  readonly listsPerS: number;
  /** Share of one processor, of both together. */
  readonly cpuPercent: number;
}

export async function measureSilence(actors: readonly HostActor[]): Promise<Silence> {
  const each = await Promise.all(
    actors.map((actor) =>
      actor.run(
        async (kit, before, during) => {
          await new Promise((resolve) => setTimeout(resolve, before));
          const [reads, lists, cpu, began] = [kit.readCalls(), kit.listCalls(), kit.cpuMs(), kit.nowMs()];
          await new Promise((resolve) => setTimeout(resolve, during));
          const seconds = (kit.nowMs() - began) / 1000;
          return [
            (kit.readCalls() - reads) / seconds,
            (kit.listCalls() - lists) / seconds,
            (kit.cpuMs() - cpu) / seconds / 10,
          ] as const;
        },
        BEFORE_MS,
        DURING_MS,
      ),
    ),
  );
  const sum = (column: 0 | 1 | 2): number => each.reduce((all, one) => all + one[column], 0);
  return { readsPerS: sum(0), listsPerS: sum(1), cpuPercent: sum(2) };
}

export function silenceText({ readsPerS, listsPerS, cpuPercent }: Silence): string {
  return (
    `${readsPerS.toFixed(1)} reads of files and ${listsPerS.toFixed(1)} lists of directories a second ` +
    `for the pair, ${cpuPercent.toFixed(1)} % of a processor for both`
  );
}
