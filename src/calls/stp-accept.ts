import { StpError } from '../errors';
import { SocketState } from '../layout';
import { flags as checkFlags } from './check';
import { MSG_DONTWAIT } from './constants';
import { failed } from './failure';
import { runtime } from './runtime';

const CALL = 'STPaccept';

/**
 * Takes the request on top of the queue of a listening socket and gives it a socket of its own. Waits for one, unless
 * MSG_DONTWAIT.
 *
 * Source: "STPaccept(s, addr, len)": the client on top of the queue; returns a new descriptor.
 * @param s - a listening descriptor
 * @param flags - 0 or MSG_DONTWAIT
 * @returns a promise of the new descriptor; with MSG_DONTWAIT the descriptor, or -1 where none waits
 * @throws EBADF, EINVAL (not listening), ECONNABORTED (closed meanwhile); EMFILE, ENOSPC: no socket can be made for the
 * request, which is refused (the watcher's `dropped` names the client, whose connect fails with ECONNRESET); call again
 * for the next one
 */
export function STPaccept(s: number, flags?: 0): Promise<number>;
export function STPaccept(s: number, flags: number): number | Promise<number>;
export function STPaccept(s: number, flags: unknown = 0): number | Promise<number> {
  try {
    return acceptNow(s, flags);
  } catch (error) {
    return failed(CALL, error, s, flags);
  }
}

function acceptNow(s: number, flags: unknown): number | Promise<number> {
  const bits = checkFlags(CALL, flags, MSG_DONTWAIT);
  const endpoint = runtime().endpoint(CALL, s);
  if (endpoint.socket.state !== SocketState.listening)
    throw new StpError('EINVAL', 'the socket is not listening', CALL);
  const accepted = endpoint.acceptsWait ? -1 : endpoint.acceptOne();
  if ((bits & MSG_DONTWAIT) !== 0) return accepted;
  if (accepted >= 0) return Promise.resolve(accepted);
  return new Promise<number>((resolve, reject) => {
    endpoint.waitAccept({ resolve, reject });
  });
}
