/** The end of a close: all that was sent is acknowledged. */
import { crashPoint } from '../crash-points';
import { RecordType } from '../layout';
import { type Engine } from './engine';
import { tellDiscarded } from './send';
import { type EngineSocket } from './socket';
import { totalPayload } from './totals';

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

/** The peer may still send. The answer tells it that no socket is here any more, so it must be able to send. */
function leaveOpenEnd(engine: Engine, socket: EngineSocket): void {
  if (socket.discarded) {
    tellDiscarded(engine, socket);
    return;
  }
  if (socket.bytesReceived < socket.receiveLimitBytes) return;
  engine.tell(socket, RecordType.credit, totalPayload(socket.bytesReceived + socket.windowBytes));
}

export function finish(engine: Engine, socket: EngineSocket, quiet = false): void {
  if (!socket.finReceived) leaveOpenEnd(engine, socket);
  const owner = socket.owner;
  engine.release(socket);
  crashPoint('close.released');
  if (!quiet) owner?.closed(0);
}
