/** Gives each record from a peer to what it is for: the one place that knows all types of records. */
import { errnoOf } from '../errors';
import { GonePayload, RecordType, REQUEST_SOCKET } from '../layout';
import { type Engine } from './engine';
import { onFinAck } from './finish';
import { onClaimAnswered, onHandOver } from './hand-over';
import { otherEndGone } from './hand-over-giver';
import { onAccept, onAsk, onCancel, onConnect, onDecline, onOffered, onRefuse } from './handshake';
import { type IncomingRecord, payloadOf } from './incoming-record';
import { type Peer } from './peer';
import { nameOf } from './queued-counts';
import { reasonOf } from './reason';
import { onCredit, onData, onFin } from './receive';
import { onEarlyData, onEarlyEnd, type Request } from './request';
import { type EngineSocket } from './socket';

/** One record from a peer. */
export function dispatch(engine: Engine, peer: Peer, record: IncomingRecord): void {
  switch (record.type) {
    case RecordType.data: {
      const socket = engine.lookup(peer, record.socket, record.generation);
      if (socket !== undefined) onData(engine, socket, record);
      else if (record.socket === REQUEST_SOCKET) dataOfRequest(engine, peer, record);
      else engine.answerGone(peer, record);
      return;
    }
    case RecordType.credit: {
      const socket = engine.lookup(peer, record.socket, record.generation);
      if (socket !== undefined) onCredit(engine, socket, record);
      return;
    }
    case RecordType.connect:
      onConnect(engine, peer, record);
      return;
    case RecordType.ask:
      onAsk(engine, peer, record);
      return;
    case RecordType.offer:
      onOffered(engine, peer, record);
      return;
    case RecordType.decline:
      onDecline(engine, peer, record);
      return;
    case RecordType.cancel:
      onCancel(engine, peer, record);
      return;
    case RecordType.gone:
      onGone(engine, peer, record);
      return;
    default:
      if (!onHandOver(engine, peer, record)) forSocket(engine, peer, record);
  }
}

/** The request that a record names; undefined: it is for a socket, or there is none. */
function requestOf(peer: Peer, { socket, source, generation }: IncomingRecord): Request | undefined {
  return socket === REQUEST_SOCKET ? peer.requests.get(nameOf(source, generation)) : undefined;
}

/** The socket that a request was given, while it is open. */
function acceptedOf(engine: Engine, peer: Peer, { accepted }: Request): EngineSocket | undefined {
  return accepted === null ? undefined : engine.lookup(peer, accepted.index, accepted.generation);
}

/** Bytes for a request, which may have its socket by now. */
function dataOfRequest(engine: Engine, peer: Peer, record: IncomingRecord): void {
  const request = requestOf(peer, record);
  if (request === undefined) engine.answerGone(peer, record);
  else if (request.accepted === null) onEarlyData(request, record);
  else {
    const socket = acceptedOf(engine, peer, request);
    if (socket !== undefined) onData(engine, socket, record);
  }
}

function forSocket(engine: Engine, peer: Peer, record: IncomingRecord): void {
  const { type, socket: index, generation } = record;
  const request = requestOf(peer, record);
  if (request?.accepted === null) {
    if (type === RecordType.fin || type === RecordType.reset) onEarlyEnd(request, record);
    return;
  }
  if (type === RecordType.accept) engine.queued.settled(index, generation);
  const socket = request === undefined ? engine.lookup(peer, index, generation) : acceptedOf(engine, peer, request);
  if (socket === undefined) {
    if (type === RecordType.refuse) engine.queued.settled(index, generation);
    if (type === RecordType.fin || type === RecordType.accept) engine.answerGone(peer, record);
    return;
  }
  if (type === RecordType.accept) onAccept(engine, socket, record);
  else if (type === RecordType.refuse) onRefuse(engine, socket, record);
  else if (type === RecordType.fin) onFin(engine, socket, payloadOf(record));
  else if (type === RecordType.finAck) onFinAck(engine, socket);
  else if (type === RecordType.reset) engine.abort(socket, reasonOf(payloadOf(record)), false);
  else engine.abort(socket, errnoOf('ESTPCORRUPT'), true);
}

/** What we sent found no socket there. */
function onGone(engine: Engine, peer: Peer, record: IncomingRecord): void {
  const socket = engine.sockets[record.socket];
  if (socket === undefined || record.lengthBytes < GonePayload.sizeBytes) return;
  const gone = GonePayload.decode(payloadOf(record));
  if (gone.type === RecordType.claim) {
    onClaimAnswered(engine, peer, socket, gone);
    return;
  }
  if (socket.peer !== peer) return;
  if (socket.remoteSocket !== gone.socket || socket.remoteGeneration !== gone.generation) return;
  // A client that had said all before it was accepted is gone in good order.
  if (gone.type === RecordType.accept && socket.finReceived) return;
  if (gone.type === RecordType.fin) onFinAck(engine, socket);
  else if (gone.type === RecordType.freeze) otherEndGone(engine, socket);
  else engine.abort(socket, errnoOf('ECONNRESET'), false);
}
