import { StpError } from '../errors';
import { SocketState } from '../layout';
import { send, sendLater } from '../engine';
import { flags as checkFlags, messageLength } from './check';
import { MSG_DONTWAIT, MSG_MORE } from './constants';
import { codeOfErrno, type Endpoint } from './endpoint';
import { failed, remember } from './failure';
import { runtime } from './runtime';

const CALL = 'STPsend';
const ALLOWED = MSG_DONTWAIT | MSG_MORE;

/**
 * Sends bytes to the peer. Waits until all are in the log between the two processes (the message must not be changed
 * before), where the peer can read them whatever becomes of this process; with MSG_DONTWAIT takes what fits at once,
 * and the peer can read it at the latest at the end of this turn of the event loop.
 *
 * Source: "STPsend(s, message, length, flags)".
 * @param s - a connected descriptor
 * @param message - the bytes
 * @param length - how many of them to send (default: all)
 * @param flags - MSG_DONTWAIT, MSG_MORE
 * @returns a promise of `length`; with MSG_DONTWAIT the number of bytes taken, or -1 where none could be
 * @throws EBADF, EFAULT, EINVAL, ENOTCONN, EPIPE (shut down for sending), ECONNRESET, ESTPGIVEN, ECONNABORTED (closed
 * meanwhile)
 */
export function STPsend(s: number, message: Uint8Array, length?: number, flags?: 0): Promise<number>;
export function STPsend(
  s: number,
  message: Uint8Array,
  length: number | undefined,
  flags: number,
): number | Promise<number>;
export function STPsend(s: number, message: Uint8Array, length?: number, flags: unknown = 0): number | Promise<number> {
  try {
    return sendNow(s, message, length, flags);
  } catch (error) {
    return failed(CALL, error, s, flags);
  }
}

function sendNow(s: number, message: Uint8Array, length: number | undefined, flags: unknown): number | Promise<number> {
  const endpoint = runtime().endpoint(CALL, s);
  const { socket, runtime: own } = endpoint;
  const end = messageLength(CALL, message, length);
  const bits = typeof flags === 'number' && flags === (flags & ALLOWED) ? flags : checkFlags(CALL, flags, ALLOWED);
  if (!socket.connected || socket.finWanted || socket.peerGone) throw sendProblem(endpoint);
  if (end === 0) return (bits & MSG_DONTWAIT) !== 0 ? 0 : Promise.resolve(0);
  const sent = send(own.engine, socket, message, end, (bits & MSG_MORE) !== 0);
  if ((bits & MSG_DONTWAIT) !== 0) return sent;
  if (sent === end) return acknowledge(endpoint, end);
  socket.wantsWrite = false;
  return new Promise<number>((resolve, reject) => {
    sendLater(own.engine, socket, {
      bytes: message,
      at: Math.max(0, sent),
      end,
      done: (errno) => {
        if (errno === 0) resolve(acknowledge(endpoint, end));
        else reject(remember(new StpError(codeOfErrno(errno), undefined, CALL), s));
      },
    });
  });
}

/** A send is complete when its bytes outlive this process. */
function acknowledge(endpoint: Endpoint, bytes: number): Promise<number> {
  const later = endpoint.runtime.settle(endpoint.socket);
  if (later === undefined) return Promise.resolve(bytes);
  return later.then((failure) => {
    if (failure === null) return bytes;
    throw remember(new StpError(failure.code, failure.detail, CALL), endpoint.socket.index);
  });
}

function sendProblem(endpoint: Endpoint): StpError {
  const { socket } = endpoint;
  if (socket.resetErrno !== 0) return new StpError(codeOfErrno(socket.resetErrno), undefined, CALL);
  if (socket.state === SocketState.given) return new StpError('ESTPGIVEN', undefined, CALL);
  if (socket.finWanted || socket.peerGone) return new StpError('EPIPE', undefined, CALL);
  return new StpError('ENOTCONN', undefined, CALL);
}
