/** The taker's side of a hand-over: ask, fill, be ready, be attached. See hand-over.ts. */
import { crashPoint } from '../crash-points';
import { errnoOf, StpError } from '../errors';
import { HandState, ipText, MovePayload, RecordType, SocketState, TakePayload } from '../layout';
import { type Engine } from './engine';
import { rollBack } from './hand-over-giver';
import { EMPTY, FLAG, freezePayload, socketAt, stateOf, type Taker } from './hand-over-state';
import { type IncomingRecord, payloadOf } from './incoming-record';
import { type Peer } from './peer';
import { reason, reasonOf } from './reason';
import { pump } from './send';
import { type EngineSocket } from './socket';

/** A socket that was given away, as its token names it. */
export interface GivenSocket {
  readonly socket: number;
  readonly generation: number;
  readonly secret: Uint8Array;
}

/** Asks the giver for a socket; `took` tells the outcome. */
export function take(
  engine: Engine,
  socket: EngineSocket,
  giver: Peer,
  { socket: giverSocket, generation: giverGeneration, secret }: GivenSocket,
): void {
  socket.hand = {
    role: 'taker',
    phase: 'asking',
    giver,
    giverSocket,
    giverGeneration,
    receivedLeft: 0,
    unsent: EMPTY,
    unsentLeft: 0,
    finWanted: false,
  };
  giver.hands.add(socket);
  engine.setState(socket, SocketState.taking);
  const payload = new Uint8Array(TakePayload.sizeBytes);
  TakePayload.encode(
    { socket: socket.index, generation: socket.generation, windowBytes: socket.windowBytes, secret },
    payload,
  );
  giver.control(RecordType.take, socket.index, giverSocket, giverGeneration, payload);
  crashPoint('take.asked');
  giver.port.publishNow();
}

function takerAt(
  engine: Engine,
  peer: Peer,
  record: IncomingRecord,
): { socket: EngineSocket; hand: Taker } | undefined {
  const socket = socketAt(engine, record);
  const hand = socket?.hand;
  return socket !== undefined && hand?.role === 'taker' && hand.giver === peer ? { socket, hand } : undefined;
}

/** Taker: the giver says no. Giver: the taker can't. */
export function onTakeRefuse(engine: Engine, peer: Peer, record: IncomingRecord): void {
  const taker = takerAt(engine, peer, record);
  if (taker !== undefined) {
    failTake(engine, taker.socket, taker.hand, reasonOf(payloadOf(record)));
    return;
  }
  const socket = socketAt(engine, record);
  if (socket?.hand?.role === 'giver' && socket.hand.taker === peer) rollBack(engine, socket, socket.hand);
}

export function failTake(engine: Engine, socket: EngineSocket, hand: Taker, errno: number): void {
  const owner = socket.owner;
  hand.giver.hands.delete(socket);
  socket.hand = null;
  socket.portForeign = true;
  engine.release(socket);
  owner?.took(errno);
}

export function onState(engine: Engine, peer: Peer, record: IncomingRecord): void {
  const payload = payloadOf(record);
  const taker = takerAt(engine, peer, record);
  if (taker?.hand.phase !== 'asking' || payload.length < HandState.sizeBytes) return;
  const { socket, hand } = taker;
  const state = HandState.decode(payload);
  const localIp = ipText(state.localFamily, state.localIp);
  const remoteIp = ipText(state.remoteFamily, state.remoteIp);
  if (localIp === undefined || remoteIp === undefined) {
    refuseState(engine, socket, hand, errnoOf('ESTPCORRUPT'));
    return;
  }
  let other: Peer | undefined;
  try {
    if ((state.flags & FLAG.peerGone) === 0) other = engine.peer(state.peerProcess, state.peerEpoch);
  } catch (error) {
    refuseState(engine, socket, hand, error instanceof StpError ? -error.errno : errnoOf('EIO'));
    return;
  }
  // An end that had sent all it wanted, and whose process is gone since, leaves bytes to read, and no process to send
  // to.
  socket.peerGone = other === undefined;
  if (other === undefined && (state.flags & (FLAG.peerGone | FLAG.finReceived)) === 0) {
    refuseState(engine, socket, hand, errnoOf('ECONNRESET'));
    return;
  }
  if (other !== undefined) {
    engine.join(socket, other, state.peerSocket, state.peerGeneration);
    socket.openWindow(other.port.remote);
  }
  Object.assign(socket.local, {
    system: state.localSystem,
    group: state.localGroup,
    port: state.localPort,
    ip: localIp,
  });
  Object.assign(socket.remote, {
    system: state.remoteSystem,
    group: state.remoteGroup,
    port: state.remotePort,
    ip: remoteIp,
  });
  socket.portForeign = true;
  socket.bytesSent = state.bytesSent;
  socket.sendLimitBytes = state.sendLimitBytes;
  socket.bytesReceived = state.bytesReceived;
  socket.receiveLimitBytes = state.receiveLimitBytes;
  socket.finSent = (state.flags & FLAG.finSent) !== 0;
  socket.finAcked = (state.flags & FLAG.finAcked) !== 0;
  socket.finReceived = (state.flags & FLAG.finReceived) !== 0;
  if ((state.flags & FLAG.endedByDeath) !== 0) socket.deathErrno = errnoOf('ECONNRESET');
  socket.initiator = (state.flags & FLAG.initiator) !== 0;
  socket.receiveShut = (state.flags & FLAG.receiveShut) !== 0;
  hand.finWanted = (state.flags & FLAG.finWanted) !== 0;
  hand.phase = 'filling';
  hand.receivedLeft = state.receivedQueuedBytes;
  hand.unsent = EMPTY;
  hand.unsentLeft = state.unsentBytes;
  filled(engine, socket, hand);
}

/** The taker can't be the end of this connection: the giver gets it back. */
function refuseState(engine: Engine, socket: EngineSocket, hand: Taker, errno: number): void {
  hand.giver.control(RecordType.takeRefuse, 0, hand.giverSocket, hand.giverGeneration, reason(errno));
  failTake(engine, socket, hand, errno);
}

export function onBytes(engine: Engine, peer: Peer, record: IncomingRecord): void {
  const { type } = record;
  const payload = payloadOf(record);
  const taker = takerAt(engine, peer, record);
  if (taker?.hand.phase !== 'filling') return;
  const { socket, hand } = taker;
  if (type === RecordType.handReceived && payload.length <= hand.receivedLeft) {
    socket.received.push(payload, 0, payload.length);
    hand.receivedLeft -= payload.length;
  } else if (type === RecordType.handUnsent && payload.length <= hand.unsentLeft) {
    hand.unsent = Buffer.concat([hand.unsent, payload]);
    hand.unsentLeft -= payload.length;
  } else {
    refuseState(engine, socket, hand, errnoOf('ESTPCORRUPT'));
    return;
  }
  filled(engine, socket, hand);
}

function filled(engine: Engine, socket: EngineSocket, hand: Taker): void {
  if (hand.receivedLeft > 0 || hand.unsentLeft > 0) return;
  hand.phase = 'ready';
  hand.giver.control(
    RecordType.handReady,
    socket.index,
    hand.giverSocket,
    hand.giverGeneration,
    freezePayload(socket.generation, 0),
  );
  crashPoint('take.ready');
  hand.giver.port.publishNow();
  if (socket.peerGone) claimFromGiver(engine, socket, hand);
}

/**
 * No process is left that could attach us: the giver says whether the bytes of the other end are ours. Without the
 * giver they are.
 */
export function claimFromGiver(engine: Engine, socket: EngineSocket, hand: Taker): void {
  if (hand.giver.gone) establish(engine, socket, hand);
  else {
    hand.giver.control(
      RecordType.claim,
      socket.index,
      hand.giverSocket,
      hand.giverGeneration,
      claimPayload(socket, hand.giver),
    );
    crashPoint('take.claiming');
    hand.giver.port.publishNow();
  }
}

export function claimPayload(socket: EngineSocket, giver: Peer): Uint8Array {
  const payload = new Uint8Array(MovePayload.sizeBytes);
  MovePayload.encode(
    { process: giver.process, socket: socket.index, generation: socket.generation, epoch: giver.port.epoch },
    payload,
  );
  return payload;
}

export function onAttach(engine: Engine, peer: Peer, record: IncomingRecord): void {
  const socket = engine.lookup(peer, record.socket, record.generation);
  const hand = socket?.hand;
  if (socket === undefined || hand?.role !== 'taker' || hand.phase !== 'ready') {
    engine.answerGone(peer, record);
    return;
  }
  const payload = payloadOf(record);
  if (payload.length < MovePayload.sizeBytes) return;
  const attach = MovePayload.decode(payload);
  const matches =
    attach.socket === socket.remoteSocket &&
    attach.generation === socket.remoteGeneration &&
    attach.epoch === socket.bytesReceived;
  if (matches) establish(engine, socket, hand);
  else engine.abort(socket, errnoOf('ESTPCORRUPT'), true);
}

export function establish(engine: Engine, socket: EngineSocket, hand: Taker): void {
  hand.giver.hands.delete(socket);
  socket.hand = null;
  engine.setState(socket, stateOf(socket));
  if (hand.unsent.length > 0 && !socket.peerGone) {
    (socket.unsent ??= []).push({ bytes: hand.unsent, at: 0, end: hand.unsent.length, done: () => undefined });
    socket.unsentBytes = hand.unsent.length;
  }
  socket.finWanted = hand.finWanted || socket.finSent;
  // What the giver had read but not told, and the difference of the windows.
  socket.owesCredit = true;
  pump(engine, socket);
  crashPoint('take.taken');
  socket.owner?.took(0);
}
