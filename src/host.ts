/**
 * Timers and clocks as they were when the hook was loaded: test libraries replace those of the program, and sockets must go on.
 *
 * Loaded with the hook, before the program's first line. All of src and shim takes them from here; a test holds that.
 */
import { performance as clock } from 'node:perf_hooks';

export const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate } = globalThis;

const readClock = clock.now.bind(clock);
const readDate = Date.now;
const tick = process.nextTick.bind(process);

/** Time that only moves forward, milliseconds. */
export function nowMs(): number {
  return readClock();
}

/** Time of day, milliseconds since 1970. */
export function dateMs(): number {
  return readDate();
}

/** Runs `fn` after what runs now, before the event loop goes on. */
export function nextTick<A extends unknown[]>(fn: (...args: A) => void, ...args: A): void {
  tick(fn, ...args);
}
