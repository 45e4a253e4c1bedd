/**
 * The measuring side of the benches: an ordinary program that knows nothing of how its bytes travel.
 *
 * Forked; its parent sends { name, targets, scale } and gets { values } or { error } back, until it disconnects.
 */
import { BENCHES, type BenchName, type BenchValues, type Measure } from './measures';

export interface BenchRequest<To> {
  readonly name: BenchName;
  readonly targets: To;
  /** 1 for a full measurement; a fraction of it for a try that only shows that it works. */
  readonly scale: number;
}

export interface BenchAnswer {
  readonly values?: BenchValues;
  readonly error?: string;
}

const COUNT_MIN = 50;

/** Runs these benches for the parent of this process. */
export function answerRequests<To>(benches: Readonly<Partial<Record<BenchName, Measure<To>>>>): void {
  const run = async ({ name, targets, scale }: BenchRequest<To>): Promise<BenchValues> => {
    const measure = benches[name];
    if (measure === undefined) throw new Error('no such bench');
    return measure(targets, (full) => Math.max(COUNT_MIN, Math.round(full * scale)));
  };
  process.on('message', (request: BenchRequest<To>) => {
    run(request).then(
      (values) => process.send?.({ values } satisfies BenchAnswer),
      (error: unknown) =>
        process.send?.({
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        } satisfies BenchAnswer),
    );
  });
  process.once('disconnect', () => process.exit());
}

if (require.main === module) answerRequests(BENCHES);
