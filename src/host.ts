/**
 * Timers and clocks as they were when the hook was loaded: test libraries replace those of the program, and sockets
 * must go on.
 *
 * Loaded with the hook, before the program's first line. All of src and shim takes them from here; a test holds that.
 */
import path from 'node:path';
import { performance as clock } from 'node:perf_hooks';
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';

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

export type Environment = Readonly<Record<string, string | undefined>>;

/** Under which the threads of a process find its configuration. */
const KEY = 'stp-net.environment';

let fixed: Environment | undefined;

/**
 * Fixes the configuration of the process: the variables that begin with STP_, as they are now, with the region's path
 * absolute. Threads that it starts have the same, also those with an environment of their own.
 */
export function fixEnvironment(): Environment {
  const inherited = isMainThread ? undefined : (getEnvironmentData(KEY) as Environment | undefined);
  fixed ??= inherited ?? readEnvironment();
  if (isMainThread) setEnvironmentData(KEY, { ...fixed });
  return fixed;
}

function readEnvironment(): Environment {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env))
    if (name.startsWith('STP_') && value !== undefined) found[name] = value;
  const region = found['STP_REGION'];
  if (region !== undefined && region !== '') found['STP_REGION'] = path.resolve(region);
  return found;
}

/** The configuration: fixed where there is a hook, else what the environment says now. */
export function environment(): Environment {
  return fixed ?? process.env;
}
