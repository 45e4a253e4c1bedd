/**
 * Does something for each item, also where the owner of one throws, then `after`; then what was thrown goes up, as one
 * error where there is one.
 */
export function forEach<T>(items: Iterable<T>, run: (item: T) => void, after?: () => void): void {
  const errors: unknown[] = [];
  for (const item of items)
    attempt(() => {
      run(item);
    }, errors);
  if (after !== undefined) attempt(after, errors);
  if (errors.length === 0) return;
  throw errors.length === 1 ? errors[0] : new AggregateError(errors, 'several owners of sockets failed');
}

function attempt(run: () => void, errors: unknown[]): void {
  try {
    run();
  } catch (error) {
    errors.push(error);
  }
}
