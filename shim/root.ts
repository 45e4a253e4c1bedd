/**
 * The async context that accepted sockets belong to: that of the moment when the hook was loaded, before the program ran. Node's accepted
 * sockets are in no context of the program either; those of STP must not be in that of whoever happens to be polling.
 */
import { AsyncResource } from 'node:async_hooks';

const root = new AsyncResource('STPROOT');

/** A resource for a socket that nobody in this program asked for. */
export function rootedResource(type: string): AsyncResource {
  return root.runInAsyncScope(() => new AsyncResource(type, { requireManualDestroy: true }));
}
