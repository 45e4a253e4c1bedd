/**
 * Bytes that a client sends before it is accepted, at a port that several share: kept until ACCEPT, as they go to the
 * next listener where the first one refused.
 */
import { crashPoint } from '../crash-points';
import { RecordType } from '../layout';
import { type Engine } from './engine';
import { freezePayload } from './hand-over-state';
import { moved } from './moved';
import { type EngineSocket } from './socket';

const KEPT_FIRST_BYTES = 4096;

/** Takes in bytes, to be sent to whichever listener there will be. Returns the number taken. */
export function keepEarly(engine: Engine, socket: EngineSocket, bytes: Uint8Array, from: number, to: number): number {
  const { early } = socket;
  if (early === null || early.accepted) return 0;
  const n = Math.min(to - from, early.limitBytes - socket.bytesSent);
  if (n <= 0) return 0;
  const needed = socket.bytesSent + n;
  if (early.kept === null || early.kept.length < needed) {
    const grown = Buffer.allocUnsafe(Math.min(early.limitBytes, Math.max(KEPT_FIRST_BYTES, needed * 2)));
    early.kept?.copy(grown, 0, 0, socket.bytesSent);
    early.kept = grown;
  }
  early.kept.set(bytes.subarray(from, from + n), socket.bytesSent);
  socket.bytesSent = needed;
  if (socket.countsFetched) moved(engine, socket);
  flushEarly(socket);
  return n;
}

/** Puts kept bytes into the log. True where none is left behind. */
export function flushEarly(socket: EngineSocket): boolean {
  const { early, peer } = socket;
  if (early === null) return true;
  if (!early.sent || peer === null) return false;
  if (early.kept === null) return true;
  let any = false;
  while (early.pushedBytes < socket.bytesSent) {
    const taken = peer.data(RecordType.data, socket, early.kept, early.pushedBytes, socket.bytesSent);
    if (taken <= 0) {
      peer.block(socket);
      break;
    }
    any = true;
    early.pushedBytes += taken;
  }
  if (any) {
    crashPoint('connect.early');
    peer.port.publishNow();
  }
  if (early.pushedBytes < socket.bytesSent) return false;
  answerFreeze(socket);
  return true;
}

/** FROZEN says how many bytes are under way, so it follows the last of those that were kept. */
export function answerFreeze(socket: EngineSocket): void {
  if (!socket.frozenAnswerDue) return;
  socket.frozenAnswerDue = false;
  const payload = freezePayload(socket.frozenRound, socket.bytesSent);
  socket.peer?.control(RecordType.frozen, socket.index, socket.remoteSocket, socket.remoteGeneration, payload);
}
