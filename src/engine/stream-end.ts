/** A stream that ends because the process of its other end did, in good order or as TCP would show it. */
import { errnoOf } from '../errors';
import { SocketState } from '../layout';
import { type Engine } from './engine';
import { handPeerGone } from './hand-over';
import { pump } from './send';
import { type EngineSocket } from './socket';

/** The stream ends here, and no process is left to write to. `errno` stays to be asked for. */
export function endAsTcp(engine: Engine, socket: EngineSocket, errno: number): void {
  const known = socket.finReceived;
  if (!known) socket.deathErrno = errno;
  socket.finReceived = true;
  socket.state = socket.finSent ? SocketState.closing : SocketState.closeWait;
  endWhole(engine, socket, !known && socket.received.lengthBytes === 0);
}

/** `tellEnd`: the owner does not know yet that there is no more to read. */
export function endWhole(engine: Engine, socket: EngineSocket, tellEnd: boolean): void {
  engine.answerClaim(socket);
  socket.frozen = false;
  socket.peerGone = true;
  engine.part(socket);
  engine.failUnsent(socket, errnoOf('EPIPE'));
  engine.ports.changed(socket, false);
  if (socket.hand !== null) {
    handPeerGone(engine, socket, socket.hand);
    return;
  }
  try {
    if (tellEnd && engine.tellable(socket)) socket.owner?.readable(0);
  } finally {
    if (engine.sockets[socket.index] === socket) pump(engine, socket);
  }
}
