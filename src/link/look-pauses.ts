/** How long a process that sleeps waits before it looks again, where no bell wakes it. */

/**
 * Against wake-ups that got lost, which only a damaged region should do: how long published records may lie unread
 * before their reader is rung again. Idle, that look is made once and not again.
 */
export const RING_WATCH_MS = 1000;

/**
 * Looks by the clock: so long after the last event, one after each twentieth of that time. A message waits by so much
 * longer than the pause before it.
 */
const FRACTION = 1 / 20;
const FIRST_MS = 1;
const MAX_MS = 50;
/** Where each look is a trip to a file server, an idle pair of processes makes less than 20 in a second. */
const REMOTE_MAX_MS = 200;

/** After `calmMs` without an event. */
export function lookPauseMs(calmMs: number, remote: boolean): number {
  return Math.min(remote ? REMOTE_MAX_MS : MAX_MS, Math.max(FIRST_MS, calmMs * FRACTION));
}
