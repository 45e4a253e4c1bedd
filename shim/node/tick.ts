/**
 * Ends a callback into the program as Node does: ticks and promise reactions run before the next callback begins.
 *
 * @note Node 20 to 26: `process._tickCallback` is what Node's own timers and immediates call between two callbacks. It
 * is taken when the hook loads. Where it is missing, callbacks of one turn are not told apart.
 */
import { setImmediate } from '../../src/host';

const run = (process as unknown as { _tickCallback?: () => void })._tickCallback;

const runTicks: () => void = typeof run === 'function' ? run.bind(process) : (): void => undefined;

/** What was completed within a callback, and is to be told when it has ended, in order. */
const completed: (() => void)[] = [];
let telling = false;

/** Ends a callback: its ticks and promises, then what it has completed, each as a callback of its own. */
export function endCallback(): void {
  runTicks();
  if (completed.length > 0) tellCompleted();
}

/** `tell` runs when the callback that runs now has ended, or else in the next turn of the event loop. */
export function whenEnded(tell: () => void): void {
  if (completed.length === 0) setImmediate(tellCompleted);
  completed.push(tell);
}

function tellCompleted(): void {
  if (telling) return;
  telling = true;
  try {
    for (let tell = completed.shift(); tell !== undefined; tell = completed.shift()) {
      tell();
      runTicks();
    }
  } finally {
    telling = false;
    // A listener of the program threw.
    if (completed.length > 0) setImmediate(tellCompleted);
  }
}
