/**
 * A request in a listener's queue, and what its client sent before it was accepted: the accepted socket begins with
 * that.
 *
 * A client that was told that it is connected may end, in whatever way, before the accept: the server accepts all the
 * same, reads what came, and sees the end.
 */
import { crashPoint } from '../crash-points';
import { errnoOf } from '../errors';
import { EARLY_BYTES_MAX, RecordType, SocketState, Total } from '../layout';
import { type Engine } from './engine';
import { type IncomingRecord, payloadOf } from './incoming-record';
import { type Peer } from './peer';
import { nameOf } from './queued-counts';
import { reason, reasonOf } from './reason';
import { ReceiveQueue } from './receive-queue';
import { type EngineAddress, type EngineSocket } from './socket';
import { endAsTcp } from './stream-end';

/** What a CONNECT says of the client's socket. */
interface Asked {
  readonly socket: number;
  readonly generation: number;
  readonly windowBytes: number;
  readonly earlyBytes: number;
  readonly attempt: number;
}

export class Request {
  readonly peer: Peer;
  readonly socket: number;
  readonly generation: number;
  readonly windowBytes: number;
  /** Which answers repeat. */
  readonly attempt: number;
  readonly remote: EngineAddress;
  /** The IP address that the client called; '' none. */
  readonly calledIp: string;
  /** Bytes that may come before the ACCEPT; 0: its program waits for that. */
  readonly earlyBytes: number;
  /**
   * Its client asked several that share a port: what its program has sent may lie in that process still, and be lost
   * with it.
   */
  mayLack = false;
  /** The socket that it was given; null while it waits in the queue. */
  accepted: EngineSocket | null = null;
  received: ReceiveQueue | null = null;
  bytesReceived = 0;
  finReceived = false;
  /** errno of the RESET that came, 0 none. */
  resetErrno = 0;
  /** errno of the end of its process, 0: it lives. */
  lostErrno = 0;

  constructor(peer: Peer, asked: Asked, remote: EngineAddress, calledIp: string) {
    this.peer = peer;
    this.socket = asked.socket;
    this.generation = asked.generation;
    this.windowBytes = asked.windowBytes;
    this.attempt = asked.attempt;
    this.earlyBytes = Math.min(asked.earlyBytes, EARLY_BYTES_MAX);
    this.remote = remote;
    this.calledIp = calledIp;
  }

  get name(): string {
    return nameOf(this.socket, this.generation);
  }

  /** Its client's program goes on without an accept, so nothing of it may be dropped. */
  get isEarly(): boolean {
    return this.earlyBytes > 0;
  }
}

/** Bytes for a request in the queue. */
export function onEarlyData(request: Request, { bytes, at, lengthBytes }: IncomingRecord): void {
  if (request.resetErrno !== 0) return;
  if (lengthBytes > request.earlyBytes - request.bytesReceived || request.finReceived) {
    breach(request);
    return;
  }
  request.bytesReceived += lengthBytes;
  request.received ??= new ReceiveQueue();
  request.received.push(bytes, at, at + lengthBytes);
  crashPoint('accept.early');
}

/** FIN or RESET for a request in the queue. */
export function onEarlyEnd(request: Request, record: IncomingRecord): void {
  const payload = payloadOf(record);
  if (request.resetErrno !== 0) return;
  if (record.type === RecordType.reset) request.resetErrno = reasonOf(payload);
  else if (payload.length < Total.sizeBytes || Total.decode(payload).bytes !== request.bytesReceived) breach(request);
  else if (!request.finReceived) {
    request.finReceived = true;
    request.peer.control(RecordType.finAck, 0, request.socket, request.generation, null);
  }
}

function breach(request: Request): void {
  request.resetErrno = errnoOf('ESTPCORRUPT');
  request.peer.control(RecordType.reset, 0, request.socket, request.generation, reason(request.resetErrno));
}

/** The accepted socket takes over what came. It has no owner yet, so none is told. */
export function takeOver(engine: Engine, socket: EngineSocket, request: Request): void {
  if (request.received !== null) socket.received = request.received;
  request.received = null;
  socket.bytesReceived = request.bytesReceived;
  if (request.resetErrno !== 0) {
    engine.abort(socket, request.resetErrno, false);
    return;
  }
  if (request.finReceived) {
    socket.finReceived = true;
    engine.setState(socket, SocketState.closeWait);
  }
  if (request.lostErrno === 0) return;
  // Bytes that never came must not look like an end.
  if (request.finReceived || (socket.deathAsTcp && !request.mayLack)) endAsTcp(engine, socket, request.lostErrno);
  else engine.abort(socket, request.lostErrno, false);
}
