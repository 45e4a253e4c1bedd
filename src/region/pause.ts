/** Waiting inside a synchronous call: for rivals that are a few writes away from done, never for peers in general. */

const cell = new Int32Array(new SharedArrayBuffer(4));

/** Stops this thread for `ms` milliseconds without using the processor. */
export function pause(ms: number): void {
  Atomics.wait(cell, 0, 0, ms);
}
