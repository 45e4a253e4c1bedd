/** A process that ends in good order. */
import { errnoOf } from '../errors';
import { RecordType, SocketState } from '../layout';
import { type Engine } from './engine';
import { connectAtExit, sendCancel, stopListening } from './handshake';
import { reason } from './reason';
import { pump } from './send';
import { type EngineSocket } from './socket';

/**
 * What the peer has not been told yet, it is told now if there is room. `unread`: bytes for the socket have come that
 * were never looked at.
 */
export function endAtExit(engine: Engine, socket: EngineSocket, unread = false): void {
  if (socket.listener !== null) stopListening(engine, socket);
  if (socket.state === SocketState.connecting) sendCancel(engine, socket);
  if (!socket.connected || socket.finSent) return;
  connectAtExit(engine, socket);
  if (unread || socket.received.lengthBytes > 0 || socket.unsentBytes > 0)
    engine.tell(socket, RecordType.reset, reason(errnoOf('ECONNRESET')));
  else {
    socket.finWanted = true;
    pump(engine, socket, true);
  }
}
