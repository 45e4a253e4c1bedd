/**
 * The measuring side of the benches: an ordinary program that knows nothing of how its bytes travel.
 *
 * Forked; its parent sends { name, targets, scale } and gets { values } or { error } back, until it disconnects.
 */
import { BENCHES, type BenchName, type BenchValues } from './measures';
import { type BenchTargets } from './server';

export interface BenchRequest {
  readonly name: BenchName;
  readonly targets: BenchTargets;
  /** 1 for a full measurement; a fraction of it for a try that only shows that it works. */
  readonly scale: number;
}

export interface BenchAnswer {
  readonly values?: BenchValues;
  readonly error?: string;
}

const COUNT_MIN = 50;

function main(): void {
  process.on('message', (request: BenchRequest) => {
    const count = (full: number): number => Math.max(COUNT_MIN, Math.round(full * request.scale));
    BENCHES[request.name](request.targets, count).then(
      (values) => process.send?.({ values } satisfies BenchAnswer),
      (error: unknown) =>
        process.send?.({
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        } satisfies BenchAnswer),
    );
  });
  process.once('disconnect', () => process.exit());
}

if (require.main === module) main();
