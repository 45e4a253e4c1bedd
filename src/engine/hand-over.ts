/**
 * STPgivesocket and STPtakesocket: a live connection moves from the giver to the taker while its peer goes on.
 *
 *   taker --TAKE--> giver --FREEZE--> peer --FROZEN--> giver --STATE, bytes--> taker
 *   taker --READY--> giver --MOVE--> peer --ATTACH--> taker
 *
 * FREEZE stops the peer's sending, so that after FROZEN nothing is under way and the byte counts of both ends agree;
 * the giver's unread and unsent bytes then travel with the state. MOVE is the point of no return: before it the death
 * of the taker (or its refusal) thaws the peer and gives the socket back; after it the giver is not needed. A taker
 * whose giver dies between READY and ATTACH asks the peer (CLAIM): the peer has read all that the giver sent, so it
 * knows. Where the peer has ended its stream and is gone, only bytes are left to hand over, and a taker that is ready
 * asks the giver: else both could have them, if the taker died then.
 *
 * Both ends may be handed over at once. Then the end that connected goes first: it ignores the other's FREEZE, and the
 * other starts again, towards the new peer, when it is moved or thawed.
 */
import { crashPoint } from '../crash-points';
import { errnoOf } from '../errors';
import { FreezePayload, MovePayload, RecordType } from '../layout';
import { answerFreeze, flushEarly } from './early-bytes';
import { type Engine } from './engine';
import { finishIfDone } from './finish';
import { letGo, moveOn, onFrozen, onReady, onTake, rollBack, thawPeer } from './hand-over-giver';
import { freeze } from './hand-over-sending';
import { type Giver, type HandOver, type Move, socketAt } from './hand-over-state';
import {
  claimFromGiver,
  claimPayload,
  establish,
  failTake,
  onAttach,
  onBytes,
  onState,
  onTakeRefuse,
} from './hand-over-taker';
import { type IncomingRecord, payloadOf, type RecordName } from './incoming-record';
import { type Peer } from './peer';
import { reason } from './reason';
import { pump } from './send';
import { type EngineSocket } from './socket';

/** How soon a link to the taker is tried again, milliseconds. */
const MOVE_RETRY_MS = 100;

/** Records of the hand-over; false where `type` is none of them. */
export function onHandOver(engine: Engine, peer: Peer, record: IncomingRecord): boolean {
  switch (record.type) {
    case RecordType.take:
      onTake(engine, peer, record);
      return true;
    case RecordType.takeRefuse:
      onTakeRefuse(engine, peer, record);
      return true;
    case RecordType.freeze:
      onFreeze(engine, peer, record);
      return true;
    case RecordType.frozen:
      onFrozen(engine, peer, record);
      return true;
    case RecordType.thaw:
      onThaw(engine, peer, record);
      return true;
    case RecordType.handState:
      onState(engine, peer, record);
      return true;
    case RecordType.handReceived:
    case RecordType.handUnsent:
      onBytes(engine, peer, record);
      return true;
    case RecordType.handReady:
      onReady(engine, peer, record);
      return true;
    case RecordType.move:
      onMove(engine, peer, record);
      return true;
    case RecordType.attach:
      onAttach(engine, peer, record);
      return true;
    case RecordType.claim:
      onClaim(engine, peer, record);
      return true;
    default:
      return false;
  }
}

function onFreeze(engine: Engine, peer: Peer, record: IncomingRecord): void {
  const socket = engine.lookup(peer, record.socket, record.generation);
  if (socket === undefined) {
    engine.answerGone(peer, record);
    return;
  }
  const payload = payloadOf(record);
  if (payload.length < FreezePayload.sizeBytes) return;
  const hand = socket.hand;
  if (hand?.role === 'giver' && hand.phase !== 'offered' && hand.phase !== 'waiting') {
    if (socket.initiator) return;
    hand.phase = 'waiting';
  }
  socket.frozen = true;
  socket.frozenRound = FreezePayload.decode(payload).round;
  socket.frozenAnswerDue = true;
  if (flushEarly(socket)) answerFreeze(socket);
  crashPoint('take.frozen');
}

function onThaw(engine: Engine, peer: Peer, record: IncomingRecord): void {
  const payload = payloadOf(record);
  const socket = engine.lookup(peer, record.socket, record.generation);
  if (socket?.frozen !== true || payload.length < FreezePayload.sizeBytes) return;
  if (FreezePayload.decode(payload).round === socket.frozenRound) thawed(engine, socket);
  else engine.abort(socket, errnoOf('ESTPCORRUPT'), false);
}

function thawed(engine: Engine, socket: EngineSocket): void {
  socket.frozen = false;
  engine.answerClaim(socket);
  if (socket.resetWhenThawedErrno !== 0) {
    engine.abort(socket, socket.resetWhenThawedErrno, true);
    return;
  }
  if (socket.hand?.role === 'giver' && socket.hand.phase === 'waiting') freeze(engine, socket, socket.hand);
  pump(engine, socket);
  finishIfDone(engine, socket);
}

function onMove(engine: Engine, peer: Peer, record: IncomingRecord): void {
  const payload = payloadOf(record);
  if (payload.length < MovePayload.sizeBytes) return;
  const socket = engine.lookup(peer, record.socket, record.generation);
  moveTo(engine, socket?.frozen === true ? socket : undefined, MovePayload.decode(payload));
}

/** Joins a socket with the taker; undefined: it is no more, and the taker has to know. */
function moveTo(engine: Engine, moved: EngineSocket | undefined, move: Move): void {
  let taker: Peer | undefined;
  let isReached = engine.ports.holds(move.process);
  try {
    if (isReached) taker = engine.peer(move.process, move.epoch);
  } catch {
    isReached = false;
  }
  if (!isReached) {
    // The taker waits at its end of the next link, or no link can be made now (a full disk). It waits for us alone, and
    // the giver has let go: nothing may end that but we.
    if (moved !== undefined) engine.part(moved);
    engine.timer(MOVE_RETRY_MS, () => {
      moveTo(engine, moved, move);
    });
    return;
  }
  const socket = moved !== undefined && engine.sockets[moved.index] === moved && moved.frozen ? moved : undefined;
  if (socket === undefined)
    taker?.control(RecordType.reset, 0, move.socket, move.generation, reason(errnoOf('ECONNRESET')));
  else if (taker !== undefined) attach(engine, socket, taker, move);
  else {
    socket.frozen = false;
    engine.abort(socket, errnoOf('ECONNRESET'), false);
  }
}

/** The link to the taker was lost, ATTACH perhaps with it: a taker that still waits for that has to know. */
export function attachLost(engine: Engine, move: Move): void {
  moveTo(engine, undefined, move);
}

function attach(engine: Engine, socket: EngineSocket, taker: Peer, move: Move): void {
  socket.attachedBy = move;
  // A taker that claims it is the one that gets it now.
  socket.claimant = null;
  engine.join(socket, taker, move.socket, move.generation);
  if (socket.resetWhenThawedErrno === 0) {
    const payload = new Uint8Array(MovePayload.sizeBytes);
    MovePayload.encode(
      { process: 0, socket: socket.index, generation: socket.generation, epoch: socket.bytesSent },
      payload,
    );
    engine.tell(socket, RecordType.attach, payload);
    crashPoint('take.attached');
    taker.port.publishNow();
  }
  engine.ports.changed(socket, false);
  thawed(engine, socket);
}

function onClaim(engine: Engine, peer: Peer, record: IncomingRecord): void {
  const payload = payloadOf(record);
  if (payload.length < MovePayload.sizeBytes) return;
  const claim = MovePayload.decode(payload);
  const socket = socketAt(engine, record);
  if (socket?.peer === peer) return;
  // The answer may have to wait, and the record is another by then.
  const { type, socket: index, generation } = record;
  // Not RESET: it may have been attached and have come to its end by now, and its ATTACH still be on the way to it.
  const tell = (): void => {
    engine.answerGone(peer, { type, source: claim.socket, socket: index, generation });
  };
  if (socket?.hand?.role === 'giver' && isTaker(socket.hand, peer, claim)) {
    if (letGo(engine, socket, socket.hand)) tell();
    return;
  }
  // A MOVE may still be in the log of the giver, which we read to its end before we call it dead.
  if (socket?.frozen === true) socket.claimant = tell;
  else tell();
}

/** Not only of its process: where both ends are handed over, one that takes the other end may live there as well. */
function isTaker(hand: Giver, peer: Peer, claim: Move): boolean {
  return hand.taker === peer && hand.takerSocket === claim.socket && hand.takerGeneration === claim.generation;
}

/**
 * A taker that is ready gets the answer to its CLAIM: from the other end, which knows of no MOVE, so that the taker was
 * given nothing; or from the giver, which has let go and was the last process that could have had the socket back.
 */
export function onClaimAnswered(
  engine: Engine,
  peer: Peer,
  socket: EngineSocket,
  gone: Pick<RecordName, 'socket' | 'generation'>,
): void {
  const { hand } = socket;
  if (hand?.role !== 'taker' || hand.phase !== 'ready') return;
  if (socket.peer === null) {
    if (hand.giver === peer && hand.giverSocket === gone.socket && hand.giverGeneration === gone.generation)
      establish(engine, socket, hand);
  } else if (
    socket.peer === peer &&
    socket.remoteSocket === gone.socket &&
    socket.remoteGeneration === gone.generation
  ) {
    engine.abort(socket, errnoOf('ECONNRESET'), false);
  }
}

/** `abort` of a socket in a hand-over: true where that is all there is to do. */
export function handAborted(engine: Engine, socket: EngineSocket, errno: number): boolean {
  const hand = socket.hand;
  if (hand === null) return false;
  if (hand.role === 'taker') {
    hand.giver.control(RecordType.takeRefuse, 0, hand.giverSocket, hand.giverGeneration, reason(errno));
    failTake(engine, socket, hand, errno);
    return true;
  }
  hand.taker?.control(RecordType.takeRefuse, 0, hand.takerSocket, hand.takerGeneration, reason(errno));
  hand.taker?.hands.delete(socket);
  socket.hand = null;
  // It may have reset only its own reading, and still wait for its last bytes to be taken in.
  thawPeer(engine, socket, hand);
  return false;
}

/**
 * The process of the connection's other end, which had sent all it wanted, is gone: there is no end to move, only bytes
 * to hand over.
 */
export function handPeerGone(engine: Engine, socket: EngineSocket, hand: HandOver): void {
  if (hand.role === 'giver') {
    if (hand.phase === 'waiting' || hand.phase === 'freezing') freeze(engine, socket, hand);
    else moveOn(engine, socket);
  } else if (hand.phase === 'ready') {
    claimFromGiver(engine, socket, hand);
  }
}

/** The process at the other side of a hand-over (not of the connection) died. */
export function handProcessGone(engine: Engine, socket: EngineSocket, process: Peer): void {
  const hand = socket.hand;
  if (hand?.role === 'giver' && hand.taker === process) rollBack(engine, socket, hand);
  if (hand?.role !== 'taker' || hand.giver !== process) return;
  if (hand.phase !== 'ready') failTake(engine, socket, hand, errnoOf('ECONNRESET'));
  else if (socket.peer === null) establish(engine, socket, hand);
  else {
    engine.tell(socket, RecordType.claim, claimPayload(socket, process));
    crashPoint('take.claiming');
    socket.peer.port.publishNow();
  }
}
