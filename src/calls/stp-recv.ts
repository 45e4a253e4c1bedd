import { StpError } from '../errors';
import { SocketState } from '../layout';
import { flags as checkFlags, messageLength } from './check';
import { MSG_DONTWAIT, MSG_PEEK } from './constants';
import { type Endpoint } from './endpoint';
import { failed, remember } from './failure';
import { runtime } from './runtime';

const CALL = 'STPrecv';
const ALLOWED = MSG_DONTWAIT | MSG_PEEK;

/**
 * Receives bytes: as many as are there, at most `length`. Waits for the first one, unless MSG_DONTWAIT. MSG_PEEK leaves
 * them to be received again. What the peer sent before it reset the connection is received first, then the error.
 *
 * Source: "STPrecv(s, message, length, flags)"; "MSG_PEEK" lets the same data be read again.
 * @param s - a connected descriptor
 * @param message - where the bytes go
 * @param length - how many at most (default: all of `message`)
 * @param flags - MSG_DONTWAIT, MSG_PEEK
 * @returns a promise of the number of bytes, 0 at the end of the stream; with MSG_DONTWAIT the number, or -1 where it
 * would have to wait
 * @throws EBADF, EFAULT, EINVAL, ENOTCONN, ECONNRESET, ESTPGIVEN, ECONNABORTED (closed meanwhile)
 */
export function STPrecv(s: number, message: Uint8Array, length?: number, flags?: 0): Promise<number>;
export function STPrecv(
  s: number,
  message: Uint8Array,
  length: number | undefined,
  flags: number,
): number | Promise<number>;
export function STPrecv(s: number, message: Uint8Array, length?: number, flags: unknown = 0): number | Promise<number> {
  try {
    return receiveNow(s, message, length, flags);
  } catch (error) {
    return failed(CALL, error, s, flags);
  }
}

function receiveNow(
  s: number,
  message: Uint8Array,
  length: number | undefined,
  flags: unknown,
): number | Promise<number> {
  const endpoint = runtime().endpoint(CALL, s);
  const { socket } = endpoint;
  const end = messageLength(CALL, message, length);
  const bits = typeof flags === 'number' && flags === (flags & ALLOWED) ? flags : checkFlags(CALL, flags, ALLOWED);
  const peek = (bits & MSG_PEEK) !== 0;
  const dontWait = (bits & MSG_DONTWAIT) !== 0;
  const n = endpoint.receivesWait || socket.hand !== null ? 0 : endpoint.take(message, end, peek);
  if (n > 0) return dontWait ? n : Promise.resolve(n);
  if (!endpoint.receivesWait && socket.receivable && socket.hand === null) {
    const error = endpoint.receiveError(CALL);
    if (error !== undefined) throw error;
    return dontWait ? 0 : Promise.resolve(0);
  }
  checkState(endpoint);
  if (end === 0) return dontWait ? 0 : Promise.resolve(0);
  if (dontWait) return -1;
  return new Promise<number>((resolve, reject) => {
    endpoint.waitReceive({
      into: message,
      length: end,
      peek,
      resolve,
      reject: (error) => {
        reject(remember(error, s));
      },
    });
  });
}

function checkState(endpoint: Endpoint): void {
  const { socket } = endpoint;
  if (socket.state === SocketState.given) throw new StpError('ESTPGIVEN', undefined, CALL);
  if (!socket.connected) throw new StpError('ENOTCONN', undefined, CALL);
}
