/**
 * Data both ways, credit, half-close, close and reset.
 *
 * A sender never passes the credit it was given, so a reader that stops costs its peer nothing but its own window, and
 * no socket holds up the log for others. FIN carries the number of bytes sent and FIN ACK confirms them: that is what
 * STPclose waits for.
 */
import { crashPoint } from '../crash-points';
import { errnoOf } from '../errors';
import { RecordType, SocketState, Total } from '../layout';
import { type Engine } from './engine';
import { closeGiven } from './hand-over-giver';
import { flushEarly, keepEarly } from './early';
import { acceptedEarly, sendCancel, stopListening } from './handshake';
import { type EngineSocket, type PendingSend } from './socket';

const total = Buffer.alloc(Total.sizeBytes);
/** Credit is given when so much of the window is free again that the sender has not been told of. */
const CREDIT_SHARE = 1 / 4;
/**
 * The same where each credit is a write to a file server, which the next data wait behind: for nearly half of the
 * window, but no more than nearly two of the longest frames, so that the writer of bulk data always has room for the
 * next ones.
 */
const REMOTE_CREDIT_SHARE = 7 / 16;
const REMOTE_CREDIT_BYTES = 512_000;
const U32 = 0x1_0000_0000;

/** True while a hand-over holds back what this end would send. */
function held(socket: EngineSocket): boolean {
  return socket.frozen || (socket.hand !== null && (socket.hand.role === 'taker' || socket.hand.phase !== 'offered'));
}

/** Puts bytes into the log: the number taken, -1 for none now. The caller has checked that the socket may send. */
export function send(
  engine: Engine,
  socket: EngineSocket,
  bytes: Uint8Array,
  from: number,
  to: number,
  more: boolean,
): number {
  const sent = socket.unsentBytes > 0 ? 0 : push(engine, socket, bytes, from, to);
  if (sent > 0) {
    if (more) socket.peer?.port.publishSoon();
    else socket.peer?.port.publishNow();
  }
  if (sent < to - from) socket.wantsWrite = true;
  return sent > 0 ? sent : -1;
}

function push(engine: Engine, socket: EngineSocket, bytes: Uint8Array, from: number, to: number): number {
  const { peer, early } = socket;
  if (early !== null && (socket.anyListener || early.accepted))
    return keepEarly(engine, socket, early, bytes, from, to);
  if (peer === null || held(socket)) return 0;
  const end = Math.min(to, from + socket.sendLimitBytes - socket.bytesSent);
  let at = from;
  while (at < end) {
    const taken = peer.data(
      RecordType.data,
      socket.index,
      socket.remoteSocket,
      socket.remoteGeneration,
      bytes,
      at,
      end,
    );
    if (taken <= 0) {
      peer.block(socket);
      break;
    }
    at += taken;
  }
  if (at > from) {
    crashPoint('data.appended');
    socket.bytesSent += at - from;
    engine.ports.counted(socket);
  }
  return at - from;
}

/** A send that waits: goes out in order as credit and room allow. */
export function sendLater(engine: Engine, socket: EngineSocket, pending: PendingSend): void {
  socket.unsent.push(pending);
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
  while (socket.unsent.length > 0) {
    const first = socket.unsent[0];
    if (first === undefined) break;
    const sent = push(engine, socket, first.bytes, first.at, first.end);
    sentAny ||= sent > 0;
    first.at += sent;
    socket.unsentBytes -= sent;
    if (first.at < first.end) break;
    socket.unsent.shift();
    first.done(0);
  }
  if (sentAny) socket.peer.port.publishNow();
  if (socket.unsentBytes === 0 && socket.finWanted && !socket.finSent) sendFin(engine, socket);
  if (socket.owesCredit) giveCredit(socket);
  const free = socket.unsentBytes === 0 && !socket.peer.blocked.has(socket) && socket.sendLimitBytes > socket.bytesSent;
  if (free && !quiet) tellWritable(engine, socket);
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
function tellDiscarded(engine: Engine, socket: EngineSocket): void {
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
  writeTotal(limit);
  const { index, remoteSocket, remoteGeneration, peer } = socket;
  if (peer.data(RecordType.credit, index, remoteSocket, remoteGeneration, total, 0, total.length) < 0) {
    socket.owesCredit = true;
    peer.block(socket);
    return;
  }
  socket.receiveLimitBytes = limit;
  crashPoint('credit.given');
  peer.port.publishSoon();
}

function writeTotal(bytes: number): void {
  total.writeUInt32LE(bytes % U32, 0);
  total.writeUInt32LE(Math.floor(bytes / U32), 4);
}

function creditLater(socket: EngineSocket): void {
  const limit = socket.bytesReceived - socket.received.lengthBytes + socket.windowBytes;
  const least =
    socket.peer?.port.remote === true
      ? Math.min(socket.windowBytes * REMOTE_CREDIT_SHARE, REMOTE_CREDIT_BYTES)
      : socket.windowBytes * CREDIT_SHARE;
  if (limit - socket.receiveLimitBytes >= least) giveCredit(socket);
}

/** Copies received bytes out. 0: nothing there (see `receivable` for why). */
export function receive(socket: EngineSocket, into: Uint8Array, from: number, to: number, peek: boolean): number {
  const n = socket.received.read(into, from, to, peek);
  if (n > 0 && !peek && socket.resetErrno === 0) creditLater(socket);
  return n;
}

export function onData(engine: Engine, socket: EngineSocket, bytes: Buffer, at: number, lengthBytes: number): void {
  if (lengthBytes > socket.receiveLimitBytes - socket.bytesReceived || socket.finReceived) {
    engine.abort(socket, errnoOf('ESTPCORRUPT'), true);
    return;
  }
  socket.bytesReceived += lengthBytes;
  engine.ports.counted(socket);
  if (socket.orphaned && socket.hand === null) {
    socket.discarded = true;
    // It must come to its end, for it may wait for that before it takes in ours.
    creditLater(socket);
    return;
  }
  if (socket.receiveShut) {
    creditLater(socket);
    return;
  }
  const queue = socket.received;
  const owner = socket.owner;
  // With something in the queue the owner has been told; during a hand-over it must not be.
  if (queue.lengthBytes > 0 || owner === null || socket.hand !== null) {
    queue.push(bytes, at, at + lengthBytes);
    if (!socket.unreadShown) engine.ports.unreadChanged(socket);
    return;
  }
  queue.lend(bytes, at, at + lengthBytes);
  try {
    owner.readable(lengthBytes);
  } finally {
    queue.keep();
    if (queue.lengthBytes > 0 && !socket.unreadShown) engine.ports.unreadChanged(socket);
  }
}

export function onCredit(engine: Engine, socket: EngineSocket, bytes: Buffer, at: number, lengthBytes: number): void {
  if (lengthBytes < Total.sizeBytes) return;
  const limit = bytes.readUInt32LE(at) + (bytes.readUInt32LE(at + 4) & 0x1f_ffff) * U32;
  if (limit <= socket.sendLimitBytes) return;
  socket.sendLimitBytes = limit;
  crashPoint('credit.taken');
  pump(engine, socket);
}

export function onFin(engine: Engine, socket: EngineSocket, payload: Buffer): void {
  if (payload.length < Total.sizeBytes || Total.decode(payload).bytes !== socket.bytesReceived) {
    engine.abort(socket, errnoOf('ESTPCORRUPT'), true);
    return;
  }
  if (socket.finReceived) return;
  socket.finReceived = true;
  crashPoint('fin.received');
  if (!socket.discarded) engine.tell(socket, RecordType.finAck, null);
  else if (socket.finSent) tellDiscarded(engine, socket);
  if (socket.hand !== null || socket.orphaned) return;
  engine.setState(socket, socket.finSent ? SocketState.closing : SocketState.closeWait);
  if (socket.received.lengthBytes === 0) socket.owner?.readable(0);
}

export function onFinAck(engine: Engine, socket: EngineSocket): void {
  if (!socket.finSent) return;
  socket.finAcked = true;
  crashPoint('fin.acknowledged');
  finishIfDone(engine, socket);
}

/**
 * Completes a close once all is delivered. While the other end is handed over the socket stays: it must tell the taker
 * where it is.
 */
export function finishIfDone(engine: Engine, socket: EngineSocket): void {
  if (socket.finSent && socket.finAcked && socket.orphaned && socket.hand === null && !socket.frozen)
    finish(engine, socket);
}

/** shutdown(2): `receiving` drops what arrives from now on, `sending` sends FIN after all that waits. */
export function shutdown(engine: Engine, socket: EngineSocket, receiving: boolean, sending: boolean): void {
  if (receiving && !socket.receiveShut) {
    socket.receiveShut = true;
    socket.received.clear();
    creditLater(socket);
  }
  if (sending) {
    socket.finWanted = true;
    pump(engine, socket, true);
  }
}

/**
 * The owner lets go. True: complete and released. False: `closed` will tell.
 * `lingerMs` -1 waits for delivery without end, 0 resets, n > 0 resets after n ms.
 */
export function close(engine: Engine, socket: EngineSocket, lingerMs: number): boolean {
  if (socket.listener !== null) stopListening(engine, socket);
  if (socket.state === SocketState.connecting) sendCancel(engine, socket);
  if (socket.hand !== null) return closeGiven(engine, socket);
  if (!socket.connected || (socket.peer === null && socket.early === null)) {
    if (socket.resetWhenThawedErrno !== 0) engine.tell(socket, RecordType.reset, null);
    engine.release(socket);
    return true;
  }
  // As TCP: unread bytes mean that the peer must learn that not all it sent was taken.
  const hard = lingerMs === 0 || socket.received.lengthBytes > 0;
  if (hard && !socket.frozen) {
    engine.tell(socket, RecordType.reset, null);
    socket.peer?.port.publishNow();
    engine.release(socket);
    return true;
  }
  socket.received.clear();
  socket.orphaned = true;
  socket.wantsWrite = false;
  if (hard) {
    socket.resetWhenThawedErrno = errnoOf('ECONNRESET');
    engine.setState(socket, SocketState.closing);
    return false;
  }
  socket.finWanted = true;
  if (socket.finSent && socket.finAcked && !socket.frozen) {
    finish(engine, socket, true);
    return true;
  }
  pump(engine, socket, true);
  engine.setState(socket, SocketState.closing);
  crashPoint('close.begun');
  if (lingerMs > 0) {
    socket.timer = engine.timer(lingerMs, () => {
      engine.abort(socket, errnoOf('ETIMEDOUT'), true);
    });
  }
  return false;
}

/** The peer may still send. The answer tells it that no socket is here any more, so it must be able to send. */
function leaveOpenEnd(engine: Engine, socket: EngineSocket): void {
  if (socket.discarded) {
    tellDiscarded(engine, socket);
    return;
  }
  if (socket.bytesReceived < socket.receiveLimitBytes) return;
  writeTotal(socket.bytesReceived + socket.windowBytes);
  engine.tell(socket, RecordType.credit, total);
}

function finish(engine: Engine, socket: EngineSocket, quiet = false): void {
  if (!socket.finReceived) leaveOpenEnd(engine, socket);
  const owner = socket.owner;
  engine.release(socket);
  crashPoint('close.released');
  if (!quiet) owner?.closed(0);
}
