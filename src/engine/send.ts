/**
 * What a socket sends: bytes, FIN and credit.
 *
 * A sender never passes the credit it was given, so a reader that stops costs its peer nothing but its own window, and
 * no socket holds up the log for others. FIN carries the number of bytes sent and FIN ACK confirms them: that is what
 * STPclose waits for.
 */
import { byteCrashPoint, crashPoint } from '../crash-points';
import { RecordType, SocketState, Total } from '../layout';
import { flushEarly, keepEarly } from './early-bytes';
import { type Engine } from './engine';
import { freeze } from './hand-over-sending';
import { moved } from './moved';
import { type EngineSocket, type PendingSend } from './socket';
import { totalPayload } from './totals';

/** Credit is given when so much of the window is free again that the sender has not been told of. */
const CREDIT_SHARE = 1 / 4;
/**
 * The same where each credit is a write to a file server, which the next data wait behind: for nearly half of the
 * window, but no more than nearly two of the longest frames, so that the writer of bulk data always has room for the
 * next ones.
 */
const REMOTE_CREDIT_SHARE = 7 / 16;
const REMOTE_CREDIT_BYTES = 512_000;
/** The same while `Peer.earlyCredits` last. */
const EARLY_CREDIT_BYTES = 4096;

/** True while a hand-over holds back what this end would send. */
function held(socket: EngineSocket): boolean {
  return socket.frozen || (socket.hand !== null && (socket.hand.role === 'taker' || socket.hand.phase !== 'offered'));
}

/**
 * Puts the first `lengthBytes` of `bytes` into the log: the number taken, -1 for none now. `more`: others follow soon,
 * so these may wait for the end of the turn. The caller has checked that the socket may send.
 */
export function send(
  engine: Engine,
  socket: EngineSocket,
  bytes: Uint8Array,
  lengthBytes: number,
  more: boolean,
): number {
  const sent = socket.unsentBytes > 0 ? 0 : push(engine, socket, bytes, 0, lengthBytes);
  if (sent > 0) {
    if (more) socket.peer?.port.publishSoon();
    else socket.peer?.port.publishNow();
  }
  if (sent < lengthBytes) socket.wantsWrite = true;
  return sent > 0 ? sent : -1;
}

function push(engine: Engine, socket: EngineSocket, bytes: Uint8Array, from: number, to: number): number {
  const { peer, early } = socket;
  if (early !== null && (socket.anyListener || early.accepted)) return keepEarly(engine, socket, bytes, from, to);
  if (peer === null || held(socket)) return 0;
  const end = Math.min(to, from + socket.sendLimitBytes - socket.bytesSent);
  let at = from;
  while (at < end) {
    const taken = peer.data(RecordType.data, socket, bytes, at, end);
    if (taken <= 0) {
      peer.block(socket);
      break;
    }
    at += taken;
  }
  if (at > from) {
    byteCrashPoint('data.appended');
    socket.bytesSent += at - from;
    if (socket.countsFetched) moved(engine, socket);
  }
  return at - from;
}

/** A send that waits: goes out in order as credit and room allow. */
export function sendLater(engine: Engine, socket: EngineSocket, pending: PendingSend): void {
  (socket.unsent ??= []).push(pending);
  socket.unsentBytes += pending.end - pending.at;
  pump(engine, socket, true);
}

/**
 * Sends what waits, in order: unsent bytes, FIN, credit; then tells a sender that may go on, unless this is one of its
 * own calls (`quiet`): then what it waits for is still to come.
 */
export function pump(engine: Engine, socket: EngineSocket, quiet = false): void {
  if (socket.early !== null) {
    acceptedEarly(engine, socket);
    if (!flushEarly(socket)) return;
  }
  if (socket.peer === null || held(socket) || socket.resetErrno !== 0) {
    if (socket.peerGone && !quiet) tellWritable(engine, socket);
    return;
  }
  let sentAny = false;
  for (let first = socket.unsent?.[0]; first !== undefined; first = socket.unsent?.[0]) {
    const sent = push(engine, socket, first.bytes, first.at, first.end);
    sentAny ||= sent > 0;
    first.at += sent;
    socket.unsentBytes -= sent;
    if (first.at < first.end) break;
    socket.unsent?.shift();
    first.done(0);
  }
  if (sentAny) socket.peer.port.publishNow();
  if (socket.unsentBytes === 0 && socket.finWanted && !socket.finSent) sendFin(engine, socket);
  if (socket.owesCredit) giveCredit(socket);
  const free = socket.unsentBytes === 0 && !socket.peer.blocked.has(socket) && socket.sendLimitBytes > socket.bytesSent;
  if (free && !quiet) tellWritable(engine, socket);
}

/** All that was sent before the ACCEPT is in the log: from here on it is a connection like any other. */
export function acceptedEarly(engine: Engine, socket: EngineSocket): void {
  if (socket.early?.accepted !== true || !flushEarly(socket)) return;
  socket.early = null;
  if (socket.hand?.role === 'giver' && socket.hand.phase === 'waiting') freeze(engine, socket, socket.hand);
}

function tellWritable(engine: Engine, socket: EngineSocket): void {
  if (!socket.wantsWrite || !engine.tellable(socket)) return;
  socket.wantsWrite = false;
  socket.owner?.writable();
}

function sendFin(engine: Engine, socket: EngineSocket): void {
  socket.finSent = true;
  socket.wantsWrite = false;
  const payload = new Uint8Array(Total.sizeBytes);
  Total.encode({ bytes: socket.bytesSent }, payload);
  engine.tell(socket, RecordType.fin, payload);
  crashPoint('fin.sent');
  if (socket.discarded && socket.finReceived) tellDiscarded(engine, socket);
  socket.peer?.port.publishNow();
  if (socket.state === SocketState.given) return;
  engine.setState(socket, socket.finReceived || socket.orphaned ? SocketState.closing : SocketState.finWait);
}

/**
 * Bytes that came after the owner closed were thrown away: the peer must not take them for delivered. It learns that
 * after the last byte of ours, and still acknowledges that one.
 */
export function tellDiscarded(engine: Engine, socket: EngineSocket): void {
  engine.tell(socket, RecordType.reset, null);
}

/** Tells the peer how far it may send now. */
function giveCredit(socket: EngineSocket): void {
  const limit = socket.bytesReceived - socket.received.lengthBytes + socket.windowBytes;
  socket.owesCredit = false;
  if (socket.finReceived || limit <= socket.receiveLimitBytes || socket.peer === null) return;
  // It goes out with all else when the hand-over is over; that is no wait for room.
  if (held(socket)) {
    socket.owesCredit = true;
    return;
  }
  const payload = totalPayload(limit);
  if (socket.peer.data(RecordType.credit, socket, payload, 0, payload.length) < 0) {
    socket.owesCredit = true;
    socket.peer.block(socket);
    return;
  }
  socket.receiveLimitBytes = limit;
  if (socket.peer.earlyCredits > 0) socket.peer.earlyCredits -= 1;
  crashPoint('credit.given');
  socket.peer.port.publishSoon();
}

export function creditLater(socket: EngineSocket): void {
  const limit = socket.bytesReceived - socket.received.lengthBytes + socket.windowBytes;
  if (limit - socket.receiveLimitBytes >= leastCreditBytes(socket)) giveCredit(socket);
}

function leastCreditBytes({ peer, windowBytes }: EngineSocket): number {
  if (peer?.port.remote === true) return Math.min(windowBytes * REMOTE_CREDIT_SHARE, REMOTE_CREDIT_BYTES);
  const usualBytes = windowBytes * CREDIT_SHARE;
  return peer !== null && peer.earlyCredits > 0 ? Math.min(usualBytes, EARLY_CREDIT_BYTES) : usualBytes;
}
