/**
 * Counts the file calls of this process that go to the region, by operation. To be imported before the library.
 *
 * The counters of /proc/self/io are no use for this: V8 collects garbage in an idle process, and wakes its own event
 * loop some hundred times for it, by reads.
 */
const counts = new Map<string, number>();

type Call = (...args: unknown[]) => unknown;

Object.assign(globalThis, {
  [Symbol.for('stp-net.file-hook')]:
    (operation: string, call: Call): Call =>
    (...args) => {
      counts.set(operation, (counts.get(operation) ?? 0) + 1);
      return call(...args);
    },
});

/** Calls so far. */
export function callsOf(operation: 'read' | 'readdir' | 'write'): number {
  return counts.get(operation) ?? 0;
}
