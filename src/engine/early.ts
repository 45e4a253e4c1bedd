/**
 * Connected before the server accepts: a client's program goes on as soon as its request stands in the listener's
 * queue, and what it sends goes there.
 *
 * Bytes, FIN and RESET are then for the request itself (REQUEST_SOCKET), not for a socket, up to a number of bytes that
 * CONNECT announces. ACCEPT brings the name of the socket and the real window. At a port that several share the
 * listener may turn out to be another one: what was sent is kept until ACCEPT, and goes to the next where the first one
 * refused. It does not where it died, for then it may have been accepted and read.
 */
import { crashPoint } from '../crash-points';
import { errnoOf } from '../errors';
import { EARLY_BYTES_MAX, REQUEST_SOCKET, SocketState } from '../layout';
import { type Engine } from './engine';
import { type Peer } from './peer';
import { pump } from './send';
import { type EngineSocket } from './socket';

/** What a client wants that is to be connected before it is accepted. */
export interface EarlyOptions {
  /** Requests of this process that may wait there. */
  readonly backlog: number;
  /** Bytes to send before the ACCEPT, at most. */
  readonly bytes?: number;
}

/** A request that the server has not accepted yet. */
export interface Early {
  readonly limitBytes: number;
  /** The program knows that it is connected. */
  told: boolean;
  /** CONNECT is in the log of `socket.peer`. */
  sent: boolean;
  accepted: boolean;
  /** At a shared port: all bytes so far, from 0 to `bytesSent`. */
  kept: Buffer | null;
  /** So many of them are in the log. */
  pushedBytes: number;
}

/** True from connect until ACCEPT or the end of it. */
export function isAsking(socket: EngineSocket): boolean {
  return socket.state === SocketState.connecting || (socket.early !== null && !socket.early.accepted);
}

function placeOf({ anyListener, peer, remote }: EngineSocket): string {
  return `${anyListener ? remote.system : (peer?.process ?? 0)}/${remote.group}:${remote.port}`;
}

/** Takes a place in the listener's queue where there is one: the program may then be told before it is accepted. */
export function takePlace(engine: Engine, socket: EngineSocket): void {
  const { earlyOptions: options } = socket;
  if (options === null || socket.early !== null || !engine.queued.take(socket, placeOf(socket), options.backlog))
    return;
  const limitBytes = Math.min(EARLY_BYTES_MAX, options.bytes ?? EARLY_BYTES_MAX);
  socket.early = { limitBytes, told: false, sent: false, accepted: false, kept: null, pushedBytes: 0 };
}

/** CONNECT is in the log of its peer. */
export function connectSent(engine: Engine, socket: EngineSocket): void {
  const { early } = socket;
  if (early === null) return;
  engine.queued.sent(socket, socket.peer);
  early.sent = true;
  early.pushedBytes = 0;
  socket.remoteSocket = REQUEST_SOCKET;
  socket.remoteGeneration = socket.generation;
  socket.sendLimitBytes = early.limitBytes;
  // Not the bytes alone: a program that has closed waits for the answer to its FIN, and the accept may never come.
  if (early.told) pump(engine, socket, true);
  else tellSoon(engine, socket);
}

/** It was refused: another listener is to be found. */
export function connectTakenBack(engine: Engine, socket: EngineSocket): void {
  const { early } = socket;
  if (early === null) return;
  engine.queued.sent(socket, null);
  // Bytes that came after the refusal are answered GONE, which is none of the next listener's.
  socket.remoteSocket = socket.remoteGeneration = 0;
  early.sent = false;
  early.pushedBytes = 0;
  socket.finSent = false;
  socket.finAcked = false;
}

/** The program is told outside of its own call, once the request is published. */
export function tellSoon(engine: Engine, socket: EngineSocket): void {
  if (socket.early?.told === false)
    engine.ports.later(() => {
      tellQueued(engine, socket);
    });
}

function tellQueued(engine: Engine, socket: EngineSocket): void {
  const { early } = socket;
  if (
    engine.sockets[socket.index] !== socket ||
    socket.state !== SocketState.connecting ||
    early === null ||
    early.told
  )
    return;
  const peers = early.sent ? [socket.peer] : socket.asked.map(({ peer }) => peer);
  // Where no process is asked at the moment, the next question comes back here.
  if (peers.length === 0) return;
  if (!peers.some((peer) => peer !== null && isPublished(socket, peer))) {
    for (const peer of peers) peer?.untold.add(socket);
    return;
  }
  early.told = true;
  endLimits(engine, socket);
  if (socket.anyListener) socket.sendLimitBytes = early.limitBytes;
  engine.setState(socket, SocketState.established);
  crashPoint('connect.queued');
  socket.owner?.connected(0);
}

/**
 * A request whose program is connected is not given up, also where another process that was asked never gets its end
 * of the link.
 */
function endLimits(engine: Engine, socket: EngineSocket): void {
  engine.timers.clear(socket.timer);
  engine.timers.clear(socket.linkTimer);
  socket.timer = null;
  socket.linkTimer = null;
}

/** The log to `peer` has room again, or its process has its end of the link by now. */
export function tellUntold(engine: Engine, peer: Peer): void {
  if (peer.untold.size === 0) return;
  const waiting = [...peer.untold];
  peer.untold.clear();
  for (const socket of waiting) tellSoon(engine, socket);
}

/**
 * Whether the other process will read the request, as far as can be known; on first contact with a limit only once it
 * has its end of the link.
 */
function isPublished(socket: EngineSocket, peer: Peer): boolean {
  return !peer.controlWaits && (socket.linkTimer === null || peer.port.attached);
}

/** The errno that a request ends with: one whose program was told of a connection is not refused. */
export function endErrno({ early }: EngineSocket, errno: number): number {
  return early?.told === true ? errnoOf('ECONNRESET') : errno;
}
