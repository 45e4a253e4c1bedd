/** The owner shuts a connection down or lets go of it. */
import { crashPoint } from '../crash-points';
import { errnoOf } from '../errors';
import { RecordType, SocketState } from '../layout';
import { type Engine } from './engine';
import { finish } from './finish';
import { closeGiven } from './hand-over-giver';
import { sendCancel, stopListening } from './handshake';
import { creditLater, pump } from './send';
import { type EngineSocket } from './socket';

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
