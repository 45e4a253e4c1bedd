/**
 * When the close of a handle is complete: at the end of this turn of the event loop, before the timers of the next one.
 *
 * @note Node 20 to 26: only a handle of the system is told in that phase, so one of TCP is made and closed, which opens
 * nothing. One does for all that close in a turn.
 */
import { makeTcpHandle } from './handles';

const closing: (() => void)[] = [];

/** Runs `done` when all that this turn still has to do is done. */
export function whenClosed(done: () => void): void {
  if (closing.push(done) === 1) makeTcpHandle().close(closeAll);
}

function closeAll(): void {
  const all = closing.splice(0);
  try {
    for (let done = all.shift(); done !== undefined; done = all.shift()) done();
  } finally {
    // A listener of the program threw.
    for (const done of all) whenClosed(done);
  }
}
