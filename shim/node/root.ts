/**
 * The async context that accepted sockets belong to: that of the moment when the hook was loaded, before the program
 * ran. Node's accepted sockets are in no context of the program either; those of STP must not be in that of the
 * callback that is just running.
 */
import { AsyncResource } from 'node:async_hooks';

const root = new AsyncResource('STPROOT');

/** Runs `make` in the context of the hook. */
export function inRoot<T>(make: () => T): T {
  return root.runInAsyncScope(make);
}
