/** What a socket receives: bytes, credit and FIN. */
import { crashPoint } from '../crash-points';
import { errnoOf } from '../errors';
import { RecordType, SocketState, Total } from '../layout';
import { type Engine } from './engine';
import { type IncomingRecord } from './incoming-record';
import { moved } from './moved';
import { creditLater, pump, tellDiscarded } from './send';
import { type EngineSocket } from './socket';
import { totalIn } from './totals';

/** Copies received bytes out. 0: nothing there (see `receivable` for why). */
export function receive(socket: EngineSocket, into: Uint8Array, from: number, to: number, peek: boolean): number {
  const n = socket.received.read(into, from, to, peek);
  if (n > 0 && !peek && socket.resetErrno === 0) creditLater(socket);
  return n;
}

/**
 * Takes the bytes that the owner is being told of, where they are all there are: memory of the log, good during that
 * call. Null: they must be copied out.
 */
export function receiveLent(socket: EngineSocket): Uint8Array | null {
  const bytes = socket.received.takeLent();
  if (bytes !== null && socket.resetErrno === 0) creditLater(socket);
  return bytes;
}

export function onData(engine: Engine, socket: EngineSocket, record: IncomingRecord): void {
  const { bytes, at, lengthBytes } = record;
  if (lengthBytes > socket.receiveLimitBytes - socket.bytesReceived || socket.finReceived) {
    engine.abort(socket, errnoOf('ESTPCORRUPT'), true);
    return;
  }
  socket.bytesReceived += lengthBytes;
  if (socket.countsFetched) moved(engine, socket);
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

export function onCredit(engine: Engine, socket: EngineSocket, record: IncomingRecord): void {
  if (record.lengthBytes < Total.sizeBytes) return;
  const limit = totalIn(record.bytes, record.at);
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
