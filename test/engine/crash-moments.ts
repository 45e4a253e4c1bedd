/**
 * Tells of the moments at which a process may die (src/crash-points.ts) within a simulated turn.
 *
 * To be imported before anything of src: what is called at a crash point is looked up once, when that file is loaded.
 */
import type * as points from '../../src/crash-points';

type Watch = (name: points.CrashPoint) => void;

const CRASH_HOOK: typeof points.CRASH_HOOK = Symbol.for('stp-net.crash-hook') as typeof points.CRASH_HOOK;
let current: Watch | null = null;

(globalThis as { [CRASH_HOOK]?: Watch })[CRASH_HOOK] = (name) => {
  current?.(name);
};

/** Runs something, and tells `watch` of each crash point that it passes. */
export function watchCrashPoints(watch: Watch, run: () => void): void {
  current = watch;
  try {
    run();
  } finally {
    current = null;
  }
}
