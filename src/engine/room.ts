/** Sockets that wait for room in a log go on in their order. */
import { tellUntold } from './early';
import { type Engine } from './engine';
import { forEach } from './for-each';
import { moveOn } from './hand-over-giver';
import { handPump } from './hand-over-sending';
import { type Peer } from './peer';
import { pump } from './send';
import { type EngineSocket } from './socket';

/** The log to `peer` has room again: the sockets that wait for it are served in turn until it is full. */
export function roomMade(engine: Engine, peer: Peer): void {
  peer.full = false;
  if (!peer.drainControl()) return;
  tellUntold(engine, peer);
  forEach(inLine(engine, peer), (socket) => {
    const before = progress(socket);
    try {
      if (socket.hand !== null) {
        handPump(socket);
        moveOn(engine, socket);
      }
      if (engine.sockets[socket.index] === socket) pump(engine, socket);
    } finally {
      if (peer.full && engine.sockets[socket.index] === socket && progress(socket) === before)
        peer.blocked.putFirst(socket);
    }
  });
}

/** The sockets that wait, each once, as long as there is room. */
function* inLine(engine: Engine, peer: Peer): Iterable<EngineSocket> {
  for (let left = peer.blocked.size; left > 0 && !peer.full; left--) {
    const socket = peer.blocked.takeFirst();
    if (socket !== undefined && engine.sockets[socket.index] === socket) yield socket;
  }
}

/** A number that grows when a socket sends. */
function progress(socket: EngineSocket): number {
  const { hand } = socket;
  return socket.bytesSent + (hand?.role === 'giver' ? hand.receivedAt + hand.unsentAt : 0);
}
