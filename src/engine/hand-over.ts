/**
 * STPgivesocket and STPtakesocket: a live connection moves from the giver to the taker while its peer goes on.
 *
 *   taker --TAKE--> giver --FREEZE--> peer --FROZEN--> giver --STATE, bytes--> taker --READY--> giver --MOVE--> peer --ATTACH--> taker
 *
 * FREEZE stops the peer's sending, so that after FROZEN nothing is under way and the byte counts of both ends agree; the giver's
 * unread and unsent bytes then travel with the state. MOVE is the point of no return: before it the death of the taker (or its refusal)
 * thaws the peer and gives the socket back; after it the giver is not needed. A taker whose giver dies between READY and
 * ATTACH asks the peer (CLAIM): the peer has read all that the giver sent, so it knows.
 *
 * Both ends may be handed over at once. Then the end that connected goes first: it ignores the other's FREEZE, and the
 * other starts again, towards the new peer, when it is moved or thawed.
 */
import { timingSafeEqual } from 'node:crypto';
import { errnoOf } from '../errors';
import { FreezePayload, HandState, MovePayload, RecordType, SocketState, TakePayload } from '../layout';
import { type Engine, reason, reasonOf } from './engine';
import { type Giver, type Taker } from './hand-over-state';
import { type Peer } from './peer';
import { type EngineSocket } from './socket';
import { pump } from './stream';

export const SECRET_BYTES = 32;
const EMPTY = Buffer.alloc(0);
/** HandState.flags */
const FLAG = { finSent: 1, finAcked: 2, finReceived: 4, initiator: 8, receiveShut: 16, finWanted: 32, peerGone: 64 } as const;

/** The state that the flags of a connection amount to. */
function stateOf(socket: EngineSocket): number {
  if (socket.finSent) return socket.finReceived ? SocketState.closing : SocketState.finWait;
  return socket.finReceived ? SocketState.closeWait : SocketState.established;
}

/** Offers a connected socket; returns the secret of the token. `client` 0: anyone who has the token. */
export function give(engine: Engine, socket: EngineSocket, client: number, timeoutMs: number): Uint8Array {
  const secret = engine.ports.secret(SECRET_BYTES);
  const hand: Giver = {
    role: 'giver', phase: 'offered', secret, client, taker: null, takerSocket: 0, takerGeneration: 0, round: 0,
    received: EMPTY, receivedAt: 0, unsent: EMPTY, unsentAt: 0, stateSent: false,
  };
  socket.hand = hand;
  socket.timer = engine.timer(timeoutMs, () => {
    socket.timer = null;
    if (socket.hand !== hand || hand.phase !== 'offered') return;
    socket.hand = null;
    engine.abort(socket, errnoOf('ETIMEDOUT'), true);
  });
  engine.setState(socket, SocketState.given);
  return secret;
}

/** Asks the giver for a socket; `took` tells the outcome. */
export function take(engine: Engine, socket: EngineSocket, giver: Peer, giverSocket: number, giverGeneration: number, secret: Uint8Array): void {
  socket.hand = {
    role: 'taker', phase: 'asking', giver, giverSocket, giverGeneration,
    receivedLeft: 0, unsent: EMPTY, unsentLeft: 0, finWanted: false,
  };
  giver.hands.add(socket);
  engine.setState(socket, SocketState.taking);
  const payload = new Uint8Array(TakePayload.sizeBytes);
  TakePayload.encode({ socket: socket.index, generation: socket.generation, windowBytes: socket.windowBytes, secret }, payload);
  giver.control(RecordType.take, socket.index, giverSocket, giverGeneration, payload);
  giver.port.publishNow();
}

/** The owner closes a socket it has given. True: released at once. */
export function closeGiven(engine: Engine, socket: EngineSocket): boolean {
  if (socket.hand?.role === 'giver' && socket.hand.phase !== 'offered') {
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

/** Records of the hand-over; false where `type` is none of them. */
export function onHandOver(engine: Engine, peer: Peer, type: number, source: number, index: number, generation: number, payload: Buffer): boolean {
  switch (type) {
    case RecordType.take: onTake(engine, peer, index, generation, payload); return true;
    case RecordType.takeRefuse: onTakeRefuse(engine, peer, index, generation, payload); return true;
    case RecordType.freeze: onFreeze(engine, peer, source, index, generation, payload); return true;
    case RecordType.frozen: onFrozen(engine, peer, index, generation, payload); return true;
    case RecordType.thaw: onThaw(engine, peer, index, generation, payload); return true;
    case RecordType.handState: onState(engine, peer, index, generation, payload); return true;
    case RecordType.handReceived:
    case RecordType.handUnsent: onBytes(engine, peer, type, index, generation, payload); return true;
    case RecordType.handReady: onReady(engine, peer, source, index, generation, payload); return true;
    case RecordType.move: onMove(engine, peer, index, generation, payload); return true;
    case RecordType.attach: onAttach(engine, peer, source, index, generation, payload); return true;
    case RecordType.claim: onClaim(engine, peer, index, generation, payload); return true;
    default: return false;
  }
}

function socketAt(engine: Engine, index: number, generation: number): EngineSocket | undefined {
  const socket = engine.sockets[index];
  return socket?.generation === generation ? socket : undefined;
}

// --- the giver ---

function onTake(engine: Engine, peer: Peer, index: number, generation: number, payload: Buffer): void {
  if (payload.length < TakePayload.sizeBytes) return;
  const ask = TakePayload.decode(payload);
  const refuse = (errno: number): void => {
    peer.control(RecordType.takeRefuse, 0, ask.socket, ask.generation, reason(errno));
  };
  const socket = socketAt(engine, index, generation);
  const hand = socket?.hand;
  if (socket === undefined || hand?.role !== 'giver' || hand.phase !== 'offered') return refuse(errnoOf('EBADF'));
  if (!timingSafeEqual(hand.secret, ask.secret)) return refuse(errnoOf('EBADF'));
  if (hand.client !== 0 && hand.client !== peer.process) return refuse(errnoOf('EACCES'));
  hand.taker = peer;
  hand.takerSocket = ask.socket;
  hand.takerGeneration = ask.generation;
  peer.hands.add(socket);
  freeze(engine, socket, hand);
}

function freeze(engine: Engine, socket: EngineSocket, hand: Giver): void {
  hand.phase = 'waiting';
  if (socket.frozen) return;
  socket.rounds += 1;
  hand.round = socket.rounds;
  hand.phase = 'freezing';
  if (socket.peerGone || socket.peer === null) startSending(socket, hand);
  else {
    engine.tell(socket, RecordType.freeze, freezePayload(hand.round, 0));
    socket.peer.port.publishNow();
  }
}

function freezePayload(round: number, bytesSent: number): Uint8Array {
  const payload = new Uint8Array(FreezePayload.sizeBytes);
  FreezePayload.encode({ round, bytesSent }, payload);
  return payload;
}

function onFrozen(engine: Engine, peer: Peer, index: number, generation: number, payload: Buffer): void {
  const socket = engine.lookup(peer, index, generation);
  const hand = socket?.hand;
  if (socket === undefined || hand?.role !== 'giver' || hand.phase !== 'freezing' || payload.length < FreezePayload.sizeBytes) return;
  const answer = FreezePayload.decode(payload);
  if (answer.round !== hand.round) return;
  if (answer.bytesSent !== socket.bytesReceived) engine.abort(socket, errnoOf('ESTPCORRUPT'), true);
  else startSending(socket, hand);
}

/** FREEZE found that the other end has closed for good: there is nobody to move, only bytes to hand over. */
export function otherEndGone(socket: EngineSocket): void {
  const hand = socket.hand;
  if (hand?.role !== 'giver' || hand.phase !== 'freezing') return;
  socket.peerGone = true;
  startSending(socket, hand);
}

function startSending(socket: EngineSocket, hand: Giver): void {
  hand.phase = 'sending';
  hand.received = socket.received.snapshot();
  hand.unsent = Buffer.concat(socket.unsent.map((send) => send.bytes.subarray(send.at, send.end)));
  hand.receivedAt = 0;
  hand.unsentAt = 0;
  hand.stateSent = false;
  handPump(socket);
}

/** Sends the state and the bytes as the log to the taker has room. */
export function handPump(socket: EngineSocket): void {
  const hand = socket.hand;
  if (hand?.role !== 'giver' || hand.phase !== 'sending' || hand.taker === null) return;
  if (!hand.stateSent) {
    hand.stateSent = true;
    hand.taker.control(RecordType.handState, socket.index, hand.takerSocket, hand.takerGeneration, statePayload(socket, hand));
  }
  hand.receivedAt = pushBytes(socket, hand, RecordType.handReceived, hand.received, hand.receivedAt);
  if (hand.receivedAt === hand.received.length) {
    hand.unsentAt = pushBytes(socket, hand, RecordType.handUnsent, hand.unsent, hand.unsentAt);
  }
  hand.taker.port.publishNow();
  if (hand.receivedAt === hand.received.length && hand.unsentAt === hand.unsent.length) hand.phase = 'sent';
}

function pushBytes(socket: EngineSocket, hand: Giver, type: number, bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.length && hand.taker !== null) {
    const taken = hand.taker.data(type, socket.index, hand.takerSocket, hand.takerGeneration, bytes, at, bytes.length);
    if (taken <= 0) {
      hand.taker.block(socket);
      break;
    }
    at += taken;
  }
  return at;
}

function statePayload(socket: EngineSocket, hand: Giver): Uint8Array {
  const payload = new Uint8Array(HandState.sizeBytes);
  const flags =
    (socket.finSent ? FLAG.finSent : 0) | (socket.finAcked ? FLAG.finAcked : 0) | (socket.finReceived ? FLAG.finReceived : 0) |
    (socket.initiator ? FLAG.initiator : 0) | (socket.receiveShut ? FLAG.receiveShut : 0) |
    (socket.finWanted ? FLAG.finWanted : 0) | (socket.peerGone ? FLAG.peerGone : 0);
  HandState.encode(
    {
      peerProcess: socket.peer?.process ?? 0,
      peerSocket: socket.remoteSocket,
      peerGeneration: socket.remoteGeneration,
      flags,
      bytesSent: socket.bytesSent,
      sendLimitBytes: socket.sendLimitBytes,
      bytesReceived: socket.bytesReceived,
      receiveLimitBytes: socket.receiveLimitBytes,
      receivedQueuedBytes: hand.received.length,
      unsentBytes: hand.unsent.length,
      peerEpoch: socket.peer?.port.epoch ?? 0,
      localPort: socket.local.port,
      remotePort: socket.remote.port,
      localGroup: socket.local.group,
      remoteGroup: socket.remote.group,
      localSystem: socket.local.system,
      remoteSystem: socket.remote.system,
    },
    payload,
  );
  return payload;
}

function onReady(engine: Engine, peer: Peer, source: number, index: number, generation: number, payload: Buffer): void {
  if (payload.length < FreezePayload.sizeBytes) return;
  const takerGeneration = FreezePayload.decode(payload).round;
  const socket = socketAt(engine, index, generation);
  const hand = socket?.hand;
  const matches =
    hand?.role === 'giver' && hand.phase === 'sent' && hand.taker === peer && hand.takerSocket === source && hand.takerGeneration === takerGeneration;
  if (socket === undefined || !matches) {
    peer.control(RecordType.takeRefuse, 0, source, takerGeneration, reason(errnoOf('ECONNRESET')));
    return;
  }
  commit(engine, socket, hand, peer);
}

function commit(engine: Engine, socket: EngineSocket, hand: Giver, taker: Peer): void {
  if (!socket.peerGone) {
    const move = new Uint8Array(MovePayload.sizeBytes);
    MovePayload.encode({ process: taker.process, socket: hand.takerSocket, generation: hand.takerGeneration, epoch: taker.port.epoch }, move);
    engine.tell(socket, RecordType.move, move);
    socket.peer?.port.publishNow();
  }
  const { owner, orphaned } = socket;
  taker.hands.delete(socket);
  socket.hand = null;
  socket.portForeign = true;
  for (const send of socket.unsent.splice(0)) send.done(0);
  engine.release(socket);
  if (orphaned) owner?.closed(0);
  else owner?.taken(true);
}

/** The hand-over came to nothing before the commit: the giver has its socket back. */
function rollBack(engine: Engine, socket: EngineSocket, hand: Giver): void {
  if (hand.taker !== null) hand.taker.hands.delete(socket);
  socket.hand = null;
  const frozenPeer = hand.phase !== 'offered' && hand.phase !== 'waiting' && !socket.peerGone;
  if (frozenPeer) {
    engine.tell(socket, RecordType.thaw, freezePayload(hand.round, 0));
    socket.peer?.port.publishSoon();
  }
  engine.timers.clear(socket.timer);
  socket.timer = null;
  if (socket.orphaned) {
    engine.abort(socket, errnoOf('ECONNRESET'), true);
    return;
  }
  engine.setState(socket, stateOf(socket));
  const owner = socket.owner;
  owner?.taken(false);
  if (socket.owner === owner && socket.hand === null && socket.receivable) owner?.readable(socket.received.lengthBytes);
  pump(engine, socket);
}

// --- the peer ---

function onFreeze(engine: Engine, peer: Peer, source: number, index: number, generation: number, payload: Buffer): void {
  const socket = engine.lookup(peer, index, generation);
  if (socket === undefined) {
    engine.answerGone(peer, RecordType.freeze, source, index, generation);
    return;
  }
  if (payload.length < FreezePayload.sizeBytes) return;
  const hand = socket.hand;
  if (hand?.role === 'giver' && hand.phase !== 'offered' && hand.phase !== 'waiting') {
    if (socket.initiator) return;
    hand.phase = 'waiting';
  }
  socket.frozen = true;
  socket.frozenRound = FreezePayload.decode(payload).round;
  engine.tell(socket, RecordType.frozen, freezePayload(socket.frozenRound, socket.bytesSent));
}

function onThaw(engine: Engine, peer: Peer, index: number, generation: number, payload: Buffer): void {
  const socket = engine.lookup(peer, index, generation);
  if (socket?.frozen !== true || payload.length < FreezePayload.sizeBytes) return;
  if (FreezePayload.decode(payload).round === socket.frozenRound) thawed(engine, socket);
  else engine.abort(socket, errnoOf('ESTPCORRUPT'), false);
}

function thawed(engine: Engine, socket: EngineSocket): void {
  socket.frozen = false;
  if (socket.resetWhenThawed) {
    engine.abort(socket, errnoOf('ECONNRESET'), true);
    return;
  }
  if (socket.hand?.role === 'giver' && socket.hand.phase === 'waiting') freeze(engine, socket, socket.hand);
  pump(engine, socket);
}

function onMove(engine: Engine, peer: Peer, index: number, generation: number, payload: Buffer): void {
  if (payload.length < MovePayload.sizeBytes) return;
  const move = MovePayload.decode(payload);
  const socket = engine.lookup(peer, index, generation);
  const taker = peerOrNone(engine, move.process, move.epoch);
  if (socket?.frozen !== true) {
    taker?.control(RecordType.reset, 0, move.socket, move.generation, reason(errnoOf('ECONNRESET')));
    return;
  }
  if (taker === undefined) {
    socket.frozen = false;
    engine.abort(socket, errnoOf('ECONNRESET'), false);
    return;
  }
  engine.join(socket, taker, move.socket, move.generation);
  if (!socket.resetWhenThawed) {
    const attach = new Uint8Array(MovePayload.sizeBytes);
    MovePayload.encode({ process: 0, socket: socket.index, generation: socket.generation, epoch: socket.bytesSent }, attach);
    engine.tell(socket, RecordType.attach, attach);
    taker.port.publishNow();
  }
  engine.ports.changed(socket, false);
  thawed(engine, socket);
}

/** A link to a process, undefined where it is gone or no link can be made (the connection is lost then, not we). */
function peerOrNone(engine: Engine, process: number, epoch: number): Peer | undefined {
  try {
    return engine.peer(process, epoch);
  } catch {
    return undefined;
  }
}

function onClaim(engine: Engine, peer: Peer, index: number, generation: number, payload: Buffer): void {
  if (payload.length < MovePayload.sizeBytes) return;
  const claim = MovePayload.decode(payload);
  const socket = socketAt(engine, index, generation);
  if (socket?.peer === peer) return;
  const tell = (): void => {
    peer.control(RecordType.reset, 0, claim.socket, claim.generation, reason(errnoOf('ECONNRESET')));
  };
  // A MOVE may still be in the log of the giver, which we read to its end before we call it dead.
  if (socket?.frozen === true) socket.claimant = tell;
  else tell();
}

// --- the taker ---

function takerAt(engine: Engine, peer: Peer, index: number, generation: number): { socket: EngineSocket; hand: Taker } | undefined {
  const socket = socketAt(engine, index, generation);
  const hand = socket?.hand;
  return socket !== undefined && hand?.role === 'taker' && hand.giver === peer ? { socket, hand } : undefined;
}

/** Taker: the giver says no. Giver: the taker can't. */
function onTakeRefuse(engine: Engine, peer: Peer, index: number, generation: number, payload: Buffer): void {
  const taker = takerAt(engine, peer, index, generation);
  if (taker !== undefined) {
    failTake(engine, taker.socket, taker.hand, reasonOf(payload));
    return;
  }
  const socket = socketAt(engine, index, generation);
  if (socket?.hand?.role === 'giver' && socket.hand.taker === peer) rollBack(engine, socket, socket.hand);
}

function failTake(engine: Engine, socket: EngineSocket, hand: Taker, errno: number): void {
  const owner = socket.owner;
  hand.giver.hands.delete(socket);
  socket.hand = null;
  socket.portForeign = true;
  engine.release(socket);
  owner?.took(errno);
}

function onState(engine: Engine, peer: Peer, index: number, generation: number, payload: Buffer): void {
  const taker = takerAt(engine, peer, index, generation);
  if (taker?.hand.phase !== 'asking' || payload.length < HandState.sizeBytes) return;
  const { socket, hand } = taker;
  const state = HandState.decode(payload);
  socket.peerGone = (state.flags & FLAG.peerGone) !== 0;
  const other = socket.peerGone ? undefined : peerOrNone(engine, state.peerProcess, state.peerEpoch);
  if (other === undefined && !socket.peerGone) {
    peer.control(RecordType.takeRefuse, 0, hand.giverSocket, hand.giverGeneration, reason(errnoOf('ECONNRESET')));
    failTake(engine, socket, hand, errnoOf('ECONNRESET'));
    return;
  }
  if (other !== undefined) engine.join(socket, other, state.peerSocket, state.peerGeneration);
  Object.assign(socket.local, { system: state.localSystem, group: state.localGroup, port: state.localPort });
  Object.assign(socket.remote, { system: state.remoteSystem, group: state.remoteGroup, port: state.remotePort });
  socket.portForeign = true;
  socket.bytesSent = state.bytesSent;
  socket.sendLimitBytes = state.sendLimitBytes;
  socket.bytesReceived = state.bytesReceived;
  socket.receiveLimitBytes = state.receiveLimitBytes;
  socket.finSent = (state.flags & FLAG.finSent) !== 0;
  socket.finAcked = (state.flags & FLAG.finAcked) !== 0;
  socket.finReceived = (state.flags & FLAG.finReceived) !== 0;
  socket.initiator = (state.flags & FLAG.initiator) !== 0;
  socket.receiveShut = (state.flags & FLAG.receiveShut) !== 0;
  hand.finWanted = (state.flags & FLAG.finWanted) !== 0;
  hand.phase = 'filling';
  hand.receivedLeft = state.receivedQueuedBytes;
  hand.unsent = EMPTY;
  hand.unsentLeft = state.unsentBytes;
  filled(engine, socket, hand);
}

function onBytes(engine: Engine, peer: Peer, type: number, index: number, generation: number, payload: Buffer): void {
  const taker = takerAt(engine, peer, index, generation);
  if (taker?.hand.phase !== 'filling') return;
  const { socket, hand } = taker;
  if (type === RecordType.handReceived && payload.length <= hand.receivedLeft) {
    socket.received.push(payload, 0, payload.length);
    hand.receivedLeft -= payload.length;
  } else if (type === RecordType.handUnsent && payload.length <= hand.unsentLeft) {
    hand.unsent = Buffer.concat([hand.unsent, payload]);
    hand.unsentLeft -= payload.length;
  } else {
    peer.control(RecordType.takeRefuse, 0, hand.giverSocket, hand.giverGeneration, reason(errnoOf('ESTPCORRUPT')));
    failTake(engine, socket, hand, errnoOf('ESTPCORRUPT'));
    return;
  }
  filled(engine, socket, hand);
}

function filled(engine: Engine, socket: EngineSocket, hand: Taker): void {
  if (hand.receivedLeft > 0 || hand.unsentLeft > 0) return;
  hand.phase = 'ready';
  hand.giver.control(RecordType.handReady, socket.index, hand.giverSocket, hand.giverGeneration, freezePayload(socket.generation, 0));
  hand.giver.port.publishNow();
  if (socket.peerGone) establish(engine, socket, hand);
}

function onAttach(engine: Engine, peer: Peer, source: number, index: number, generation: number, payload: Buffer): void {
  const socket = engine.lookup(peer, index, generation);
  const hand = socket?.hand;
  if (socket === undefined || hand?.role !== 'taker' || hand.phase !== 'ready') {
    engine.answerGone(peer, RecordType.attach, source, index, generation);
    return;
  }
  if (payload.length < MovePayload.sizeBytes) return;
  const attach = MovePayload.decode(payload);
  const matches = attach.socket === socket.remoteSocket && attach.generation === socket.remoteGeneration && attach.epoch === socket.bytesReceived;
  if (matches) establish(engine, socket, hand);
  else engine.abort(socket, errnoOf('ESTPCORRUPT'), true);
}

function establish(engine: Engine, socket: EngineSocket, hand: Taker): void {
  hand.giver.hands.delete(socket);
  socket.hand = null;
  engine.setState(socket, stateOf(socket));
  if (hand.unsent.length > 0) {
    socket.unsent.push({ bytes: hand.unsent, at: 0, end: hand.unsent.length, done: () => undefined });
    socket.unsentBytes = hand.unsent.length;
  }
  socket.finWanted = hand.finWanted || socket.finSent;
  pump(engine, socket);
  socket.owner?.took(0);
}

// --- deaths and resets ---

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
  return false;
}

/** The process at the other side of a hand-over (not of the connection) died. */
export function handProcessGone(engine: Engine, socket: EngineSocket, process: Peer): void {
  const hand = socket.hand;
  if (hand?.role === 'giver' && hand.taker === process) rollBack(engine, socket, hand);
  if (hand?.role !== 'taker' || hand.giver !== process) return;
  if (hand.phase !== 'ready' || socket.peer === null) {
    failTake(engine, socket, hand, errnoOf('ECONNRESET'));
    return;
  }
  const payload = new Uint8Array(MovePayload.sizeBytes);
  MovePayload.encode({ process: process.process, socket: socket.index, generation: socket.generation, epoch: process.port.epoch }, payload);
  engine.tell(socket, RecordType.claim, payload);
  socket.peer.port.publishNow();
}
