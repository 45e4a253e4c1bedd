/**
 * The giver's side of a hand-over: offer, freeze the peer, send state and bytes, commit or roll back. See hand-over.ts.
 */
import { timingSafeEqual } from 'node:crypto';
import { crashPoint } from '../crash-points';
import { errnoOf } from '../errors';
import { FreezePayload, MovePayload, RecordType, SocketState, TakePayload } from '../layout';
import { type Engine } from './engine';
import { freeze, startSending } from './hand-over-sending';
import { EMPTY, freezePayload, type Giver, SECRET_BYTES, socketAt, stateOf } from './hand-over-state';
import { type IncomingRecord, payloadOf } from './incoming-record';
import { type Peer } from './peer';
import { reason } from './reason';
import { pump } from './send';
import { type EngineSocket } from './socket';

/** Offers a connected socket; returns the secret of the token. `client` 0: any process that has the token. */
export function give(engine: Engine, socket: EngineSocket, client: number, timeoutMs: number): Uint8Array {
  const secret = engine.ports.secret(SECRET_BYTES);
  const hand: Giver = {
    role: 'giver',
    phase: 'offered',
    secret,
    client,
    taker: null,
    takerSocket: 0,
    takerGeneration: 0,
    round: 0,
    received: EMPTY,
    receivedAt: 0,
    unsent: EMPTY,
    unsentAt: 0,
    stateSent: false,
  };
  socket.hand = hand;
  socket.timer = engine.timer(timeoutMs, () => {
    socket.timer = null;
    if (socket.hand !== hand || hand.phase !== 'offered') return;
    socket.hand = null;
    engine.abort(socket, errnoOf('ETIMEDOUT'), true);
  });
  engine.setState(socket, SocketState.given);
  crashPoint('give.offered');
  return secret;
}

/** The owner closes a socket it has given. True: released at once. */
export function closeGiven(engine: Engine, socket: EngineSocket): boolean {
  const { hand, early } = socket;
  if (hand?.role === 'giver' && hand.phase === 'waiting' && early !== null) {
    hand.taker?.control(
      RecordType.takeRefuse,
      0,
      hand.takerSocket,
      hand.takerGeneration,
      reason(errnoOf('ECONNRESET')),
    );
    hand.taker?.hands.delete(socket);
  } else if (hand?.role === 'giver' && hand.phase !== 'offered') {
    // Under way: it is the taker's if it succeeds; `abort` resets the connection if not.
    socket.orphaned = true;
    return false;
  }
  socket.hand = null;
  engine.tell(socket, RecordType.reset, reason(errnoOf('ECONNRESET')));
  socket.peer?.port.publishNow();
  engine.release(socket);
  return true;
}

export function onTake(engine: Engine, peer: Peer, record: IncomingRecord): void {
  const payload = payloadOf(record);
  if (payload.length < TakePayload.sizeBytes) return;
  const ask = TakePayload.decode(payload);
  const refuse = (errno: number): void => {
    peer.control(RecordType.takeRefuse, 0, ask.socket, ask.generation, reason(errno));
  };
  const socket = socketAt(engine, record);
  const hand = socket?.hand;
  if (socket === undefined || hand?.role !== 'giver' || hand.phase !== 'offered') {
    refuse(errnoOf('EBADF'));
    return;
  }
  if (!timingSafeEqual(hand.secret, ask.secret)) {
    refuse(errnoOf('EBADF'));
    return;
  }
  if (hand.client !== 0 && hand.client !== peer.process) {
    refuse(errnoOf('EACCES'));
    return;
  }
  hand.taker = peer;
  hand.takerSocket = ask.socket;
  hand.takerGeneration = ask.generation;
  peer.hands.add(socket);
  freeze(engine, socket, hand);
}

export function onFrozen(engine: Engine, peer: Peer, record: IncomingRecord): void {
  const payload = payloadOf(record);
  const socket = engine.lookup(peer, record.socket, record.generation);
  const hand = socket?.hand;
  if (
    socket === undefined ||
    hand?.role !== 'giver' ||
    hand.phase !== 'freezing' ||
    payload.length < FreezePayload.sizeBytes
  )
    return;
  const answer = FreezePayload.decode(payload);
  if (answer.round !== hand.round) return;
  if (answer.bytesSent !== socket.bytesReceived) engine.abort(socket, errnoOf('ESTPCORRUPT'), true);
  else startSending(socket, hand);
}

/** FREEZE found that the other end has closed for good: there is no end to move, only bytes to hand over. */
export function otherEndGone(engine: Engine, socket: EngineSocket): void {
  const hand = socket.hand;
  if (hand?.role !== 'giver' || hand.phase !== 'freezing') return;
  socket.peerGone = true;
  if (socket.unsentBytes > 0) engine.abort(socket, errnoOf('ECONNRESET'), false);
  else startSending(socket, hand);
}

export function onReady(engine: Engine, peer: Peer, record: IncomingRecord): void {
  const { source } = record;
  const payload = payloadOf(record);
  if (payload.length < FreezePayload.sizeBytes) return;
  const takerGeneration = FreezePayload.decode(payload).round;
  const socket = socketAt(engine, record);
  const hand = socket?.hand;
  const matches =
    hand?.role === 'giver' &&
    hand.phase === 'sent' &&
    hand.taker === peer &&
    hand.takerSocket === source &&
    hand.takerGeneration === takerGeneration;
  if (socket === undefined || !matches) {
    peer.control(RecordType.takeRefuse, 0, source, takerGeneration, reason(errnoOf('ECONNRESET')));
    return;
  }
  commit(engine, socket, hand, peer);
}

/**
 * The owner may end its process as soon as it is told, so MOVE must be in the log by then: where that is full, all
 * waits.
 */
function commit(engine: Engine, socket: EngineSocket, hand: Giver, taker: Peer): void {
  if (!socket.peerGone && !sendMove(socket, hand, taker)) {
    hand.phase = 'moving';
    socket.peer?.block(socket);
    return;
  }
  const { owner, orphaned } = socket;
  taker.hands.delete(socket);
  socket.hand = null;
  socket.portForeign = true;
  const { unsent } = socket;
  socket.unsent = null;
  for (const send of unsent ?? []) send.done(0);
  engine.release(socket);
  crashPoint('take.moved');
  if (orphaned) owner?.closed(0);
  else owner?.taken(true);
}

function sendMove(socket: EngineSocket, hand: Giver, taker: Peer): boolean {
  const move = new Uint8Array(MovePayload.sizeBytes);
  MovePayload.encode(
    { process: taker.process, socket: hand.takerSocket, generation: hand.takerGeneration, epoch: taker.port.epoch },
    move,
  );
  if (socket.peer?.controlNow(RecordType.move, socket, move) === false) return false;
  crashPoint('take.moving');
  socket.peer?.port.publishNow();
  return true;
}

/** The log to the other end has room again, or no process reads it any more. */
export function moveOn(engine: Engine, socket: EngineSocket): void {
  const hand = socket.hand;
  if (hand?.role === 'giver' && hand.phase === 'moving' && hand.taker !== null)
    commit(engine, socket, hand, hand.taker);
}

/**
 * The taker, which is ready, says that the other end is gone: no end is left to be moved. True where the taker has the
 * socket now.
 */
export function letGo(engine: Engine, socket: EngineSocket, hand: Giver): boolean {
  if (hand.phase !== 'moving') return false;
  socket.peerGone = true;
  moveOn(engine, socket);
  return true;
}

/** The peer of a hand-over that came to nothing goes on with us. */
export function thawPeer(engine: Engine, socket: EngineSocket, hand: Giver): void {
  if (hand.phase === 'offered' || hand.phase === 'waiting' || socket.peerGone) return;
  engine.tell(socket, RecordType.thaw, freezePayload(hand.round, 0));
  crashPoint('take.thawing');
  socket.peer?.port.publishSoon();
}

/** The hand-over came to nothing before the commit: the giver has its socket back. */
export function rollBack(engine: Engine, socket: EngineSocket, hand: Giver): void {
  if (hand.taker !== null) hand.taker.hands.delete(socket);
  socket.hand = null;
  thawPeer(engine, socket, hand);
  engine.timers.clear(socket.timer);
  socket.timer = null;
  if (socket.orphaned) {
    engine.abort(socket, errnoOf('ECONNRESET'), true);
    return;
  }
  engine.setState(socket, stateOf(socket));
  try {
    socket.owner?.taken(false);
  } finally {
    tellReadable(engine, socket);
  }
}

/**
 * The owner has not been told of what arrived during the hand-over; it may have given or closed the socket again
 * meanwhile.
 */
function tellReadable(engine: Engine, socket: EngineSocket): void {
  try {
    if (engine.tellable(socket) && socket.receivable) socket.owner?.readable(socket.received.lengthBytes);
  } finally {
    if (engine.sockets[socket.index] === socket) pump(engine, socket);
  }
}
