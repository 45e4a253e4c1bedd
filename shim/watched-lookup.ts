/**
 * In `auto`, a name that only DNS knows is Node's to resolve and to connect to, unless its first address turns out to be this
 * system's (an alias in the hosts file, a `lookup` of the program's own) and a live STP listener is there. Then the socket is taken over
 * between the lookup and the connect: it has a handle by then, but nothing has been done with it.
 */
import dns from 'node:dns';
import { StpError } from '../src/index';
import { type Attempt } from './connect-attempt';
import { type Lookup } from './connect-options';
import { decideForAddress } from './decision';
import { firstValid, resolvedList, type Resolved } from './lookup';

/** A `lookup` for Node to call in place of the one it would have called. */
export function watchedLookup(attempt: Attempt): Lookup {
  return (host, question, callback) => {
    const lookup = attempt.options.lookup ?? dns.lookup;
    lookup(host, question, (error, address, family) => {
      if (error || !takeOver(attempt, resolvedList(address, family))) callback(error, address, family);
    });
  };
}

/** True where the socket goes by STP from here on, and Node's callback must not be called. */
function takeOver(attempt: Attempt, found: readonly Resolved[]): boolean {
  const { socket, options, settings } = attempt;
  const ip = firstValid(found);
  // Nothing to connect to, destroyed meanwhile, or connected elsewhere: Node notices that itself.
  if (ip === undefined || !socket.connecting || socket._handle === null) return false;
  try {
    const decision = decideForAddress(settings, options.host, options.port, ip);
    if (decision.way !== 'stp') return false;
    attempt.tellLookup(found);
    if (!attempt.stillConnecting) return true;
    socket._handle.close();
    socket._handle = null;
    attempt.begin(decision, false, ip);
    return true;
  } catch (error) {
    // The region can't be used: TCP.
    if (error instanceof StpError) return false;
    throw error;
  }
}
