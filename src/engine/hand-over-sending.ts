/** The giver's side of a hand-over, from FREEZE to the last byte for the taker. See hand-over.ts. */
import { crashPoint } from '../crash-points';
import { HandState, ipBytes, RecordType } from '../layout';
import { type Engine } from './engine';
import { FLAG, freezePayload, type Giver } from './hand-over-state';
import { type EngineSocket } from './socket';

export function freeze(engine: Engine, socket: EngineSocket, hand: Giver): void {
  hand.phase = 'waiting';
  // What was sent before the accept must have arrived first.
  if (socket.frozen || socket.early !== null) return;
  socket.rounds += 1;
  hand.round = socket.rounds;
  hand.phase = 'freezing';
  if (socket.peerGone || socket.peer === null) startSending(socket, hand);
  else {
    engine.tell(socket, RecordType.freeze, freezePayload(hand.round, 0));
    crashPoint('take.freezing');
    socket.peer.port.publishNow();
  }
}

export function startSending(socket: EngineSocket, hand: Giver): void {
  hand.phase = 'sending';
  hand.received = socket.received.snapshot();
  hand.unsent = Buffer.concat((socket.unsent ?? []).map((send) => send.bytes.subarray(send.at, send.end)));
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
    hand.taker.control(
      RecordType.handState,
      socket.index,
      hand.takerSocket,
      hand.takerGeneration,
      statePayload(socket, hand),
    );
  }
  hand.receivedAt = pushBytes(socket, hand, RecordType.handReceived, hand.received, hand.receivedAt);
  if (hand.receivedAt === hand.received.length) {
    hand.unsentAt = pushBytes(socket, hand, RecordType.handUnsent, hand.unsent, hand.unsentAt);
  }
  hand.taker.port.publishNow();
  crashPoint('take.state');
  if (hand.receivedAt === hand.received.length && hand.unsentAt === hand.unsent.length) hand.phase = 'sent';
}

function pushBytes(socket: EngineSocket, hand: Giver, type: number, bytes: Buffer, from: number): number {
  let at = from;
  const ends = { index: socket.index, remoteSocket: hand.takerSocket, remoteGeneration: hand.takerGeneration };
  while (at < bytes.length && hand.taker !== null) {
    const taken = hand.taker.data(type, ends, bytes, at, bytes.length);
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
    (socket.finSent ? FLAG.finSent : 0) |
    (socket.finAcked ? FLAG.finAcked : 0) |
    (socket.finReceived ? FLAG.finReceived : 0) |
    (socket.initiator ? FLAG.initiator : 0) |
    (socket.receiveShut ? FLAG.receiveShut : 0) |
    (socket.finWanted ? FLAG.finWanted : 0) |
    (socket.peerGone ? FLAG.peerGone : 0) |
    (socket.deathErrno !== 0 ? FLAG.endedByDeath : 0);
  const local = ipBytes(socket.local.ip);
  const remote = ipBytes(socket.remote.ip);
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
      localFamily: local.family,
      remoteFamily: remote.family,
      localIp: local.bytes,
      remoteIp: remote.bytes,
    },
    payload,
  );
  return payload;
}
