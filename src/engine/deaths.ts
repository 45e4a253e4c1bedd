/**
 * What the end of a process means to the sockets that were connected with it. All that it had published has been
 * received.
 */
import { offerAll } from './asking';
import { type Engine } from './engine';
import { forEach } from './for-each';
import { attachLost, handProcessGone } from './hand-over';
import { listenerLost } from './handshake';
import { type Peer } from './peer';
import { type EngineSocket } from './socket';
import { endAsTcp, endWhole } from './stream-end';

/** What a process of this kernel has left behind, from which to tell what it had read. */
export interface Remains {
  /** True where bytes that `socket` had sent were not read by the program that died. */
  hasUnread(socket: EngineSocket): boolean;
}

/** A process died or left. Without `remains` it can't be told what it had read. */
export function peerGone(engine: Engine, peer: Peer, errno: number, remains?: Remains): void {
  if (peer.gone) return;
  peer.gone = true;
  if (engine.peers.get(peer.process) === peer) engine.peers.delete(peer.process);
  engine.queued.lost(peer);
  for (const listener of engine.listeners.values()) {
    const queue = listener.listener?.queue ?? [];
    for (let i = queue.length - 1; i >= 0; i--) {
      const request = queue[i];
      if (request?.peer !== peer) continue;
      if (request.isEarly) request.lostErrno = errno;
      else queue.splice(i, 1);
    }
    listener.listener?.asks.delete(peer);
    offerAll(listener);
  }
  forEach(
    [...peer.hands],
    (socket) => {
      handProcessGone(engine, socket, peer);
    },
    () => {
      forEach(
        [...peer.sockets],
        (socket) => {
          lost(engine, socket, peer, errno, remains);
        },
        () => {
          peer.clear();
        },
      );
    },
  );
}

/**
 * The process of the other end is gone. A stream that it had ended in good order stays whole; anything else is reset,
 * or ends as TCP would show it.
 */
function lost(engine: Engine, socket: EngineSocket, peer: Peer, errno: number, remains: Remains | undefined): void {
  if (listenerLost(engine, socket, peer, errno)) return;
  // A socket closed by its owner, all of it acknowledged, would be released already: the rest is lost.
  const closed = socket.orphaned && socket.hand === null;
  const { attachedBy } = socket;
  if (closed || socket.resetWhenThawedErrno !== 0) engine.abort(socket, errno, false);
  else if (socket.finReceived) endWhole(engine, socket, false);
  else if (remains !== undefined && endsAsTcp(socket) && !remains.hasUnread(socket)) endAsTcp(engine, socket, errno);
  else engine.abort(socket, errno, false);
  if (attachedBy !== null) attachLost(engine, attachedBy);
}

/**
 * True where the end of the stream may stand for the death of the other end: its kernel had closed a socket of which
 * all was read.
 */
function endsAsTcp(socket: EngineSocket): boolean {
  return (
    socket.deathAsTcp &&
    socket.connected &&
    socket.early === null &&
    socket.hand === null &&
    !socket.frozen &&
    socket.unsentBytes === 0
  );
}
