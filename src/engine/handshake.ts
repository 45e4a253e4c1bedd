/**
 * Listening, connecting and accepting. STPconnect is complete when the server has accepted, as in the source, or when
 * the request is queued (early.ts).
 */
import { crashPoint } from '../crash-points';
import { errnoOf } from '../errors';
import { ConnectPayload, ipText, isAnyIp, RecordType, SocketName, SocketState } from '../layout';
import {
  ask,
  asking,
  type AskLine,
  cancel,
  connectPayload,
  isAskedBy,
  isRefused,
  lineUp,
  offerAll,
  onOffer,
  refuseAsks,
  settleAsk,
  turnedAway,
  withdraw,
} from './asking';
import { connectSent, connectTakenBack, type EarlyOptions, endErrno, isAsking, takePlace, tellUntold } from './early';
import { type Engine } from './engine';
import { type IncomingRecord, payloadOf } from './incoming-record';
import { type Peer } from './peer';
import { type PeerPort } from './ports';
import { nameOf } from './queued-counts';
import { attemptOf, reason, reasonOf } from './reason';
import { Request, takeOver } from './request';
import { acceptedEarly, pump } from './send';
import { type EngineAddress, type EngineSocket } from './socket';

const RETRY_FIRST_MS = 4;
const RETRY_MAX_MS = 500;
/** So many that share a port may turn a request away before it fails: a listener that is none can only be damage. */
const REFUSALS_MAX = 20;
/**
 * Requests whose programs are connected that one queue takes: each client process counts its own, so more can only be
 * damage.
 */
const EARLY_QUEUE_MAX = 262_144;

export interface ConnectOptions {
  /** 0: waits without end. */
  readonly timeoutMs?: number;
  /** Others listen there too: any of them may accept. */
  readonly anyListener?: boolean;
  /** Is to be connected as soon as the request is queued. */
  readonly early?: EarlyOptions | null;
  /**
   * On first contact: fails where the other process does not have its end of the link so soon, and was never asked
   * then. 0: waits without end.
   */
  readonly linkTimeoutMs?: number;
}

/** A bound socket begins to take requests; `backlog` is the longest queue of those that wait for accept. */
export function listen(engine: Engine, socket: EngineSocket, backlog: number): void {
  socket.listener = {
    backlog,
    queue: socket.listener?.queue ?? [],
    asks: socket.listener?.asks ?? new Map<Peer, AskLine>(),
  };
  engine.listeners.add(socket);
  engine.setState(socket, SocketState.listening);
}

/** Ends listening; requests that wait in the queue are refused. */
export function stopListening(engine: Engine, socket: EngineSocket): void {
  engine.listeners.delete(socket);
  const queue = socket.listener?.queue.splice(0) ?? [];
  for (const pending of queue) {
    refusePending(pending);
  }
  refuseAsks(socket);
}

/** Asks `peer` for a connection to a port. */
export function connect(
  engine: Engine,
  socket: EngineSocket,
  peer: Peer,
  remote: EngineAddress,
  options: ConnectOptions = {},
): void {
  const { timeoutMs = 0, anyListener = false, early = null, linkTimeoutMs = 0 } = options;
  Object.assign(socket.remote, remote);
  socket.anyListener = anyListener;
  socket.earlyOptions = early;
  socket.initiator = true;
  socket.openWindow(peer.port.remote);
  socket.receiveLimitBytes = socket.windowBytes;
  if (!anyListener) engine.join(socket, peer, 0, 0);
  if (timeoutMs > 0) limit(engine, socket, timeoutMs);
  if (linkTimeoutMs > 0 && !peer.port.attached) limitLink(engine, socket, linkTimeoutMs);
  engine.setState(socket, SocketState.connecting);
  if (anyListener) ask(engine, socket, peer);
  else if (!socket.awaitsLink) sendConnect(engine, socket);
}

function limit(engine: Engine, socket: EngineSocket, timeoutMs: number): void {
  socket.timer = engine.timer(timeoutMs, () => {
    sendCancel(engine, socket);
    engine.abort(socket, errnoOf('ETIMEDOUT'), false);
  });
}

/**
 * CONNECT waits for the link: no listener may accept a request that was given up. ASK need not wait, for a request is
 * accepted only after its CONNECT.
 */
function limitLink(engine: Engine, socket: EngineSocket, timeoutMs: number): void {
  socket.awaitsLink = !socket.anyListener;
  socket.linkTimer = engine.timer(timeoutMs, () => {
    socket.linkTimer = null;
    withdraw(engine, socket);
    engine.abort(socket, errnoOf('ETIMEDOUT'), false);
  });
}

/** The other process has its end of the link now. */
export function linkAttached(engine: Engine, peer: Peer): void {
  for (const socket of peer.sockets) {
    if (socket.linkTimer === null) continue;
    engine.timers.clear(socket.linkTimer);
    socket.linkTimer = null;
    if (!socket.awaitsLink) continue;
    socket.awaitsLink = false;
    sendConnect(engine, socket);
  }
  tellUntold(engine, peer);
}

function sendConnect(engine: Engine, socket: EngineSocket): void {
  takePlace(engine, socket);
  socket.peer?.control(
    RecordType.connect,
    socket.index,
    socket.remote.port,
    0,
    connectPayload(socket, socket.connectAttempt),
  );
  crashPoint('connect.asked');
  connectSent(engine, socket);
  socket.peer?.port.publishNow();
  crashPoint('connect.published');
}

/**
 * At exit: a socket whose program was told that it is connected, and which has no listener yet, goes to one of the
 * processes that it asks, without an offer.
 */
export function connectAtExit(engine: Engine, socket: EngineSocket): void {
  if (socket.early === null || socket.early.sent) return;
  const peer =
    socket.asked.find((asked) => asked.peer.port.attached)?.peer ??
    socket.asked[0]?.peer ??
    anotherPeer(engine, socket);
  if (peer === null) return;
  withdraw(engine, socket, peer);
  engine.join(socket, peer, 0, 0);
  // None that was refused: a listener may have taken an offer back to which no CONNECT was sent.
  socket.connectAttempt = socket.attempt += 1;
  sendConnect(engine, socket);
}

function anotherPeer(engine: Engine, socket: EngineSocket): Peer | null {
  try {
    const port = engine.ports.another(socket);
    return port === undefined ? null : engine.attachPeer(port);
  } catch {
    return null;
  }
}

/** The client gives up, wherever it has asked. */
export function sendCancel(engine: Engine, socket: EngineSocket): void {
  withdraw(engine, socket);
  if (socket.peer !== null && !socket.awaitsLink) cancel(socket, socket.peer);
  engine.queued.settled(socket.index, socket.generation);
  crashPoint('connect.cancelled');
}

/** A client asks before it connects, for others share the port. */
export function onAsk(engine: Engine, peer: Peer, record: IncomingRecord): void {
  const payload = payloadOf(record);
  if (payload.length < ConnectPayload.sizeBytes) return;
  const { serverGroup, socket, generation, attempt, calledFamily, calledIp } = ConnectPayload.decode(payload);
  const ip = ipText(calledFamily, calledIp);
  const listening = ip === undefined ? undefined : engine.listeners.find(serverGroup, record.socket, ip);
  const errno = listening === undefined ? errnoOf('ECONNREFUSED') : errnoOf('EAGAIN');
  if (listening === undefined || !lineUp(listening, peer, { index: socket, generation, attempt }))
    peer.control(RecordType.decline, 0, socket, generation, reason(errno, attempt));
}

/** One that was asked is ready. */
export function onOffered(engine: Engine, peer: Peer, record: IncomingRecord): void {
  const socket = onOffer(engine, peer, record);
  if (socket !== undefined) sendConnect(engine, socket);
}

/** One that was asked listens no more, or is asked by too many. */
export function onDecline(engine: Engine, peer: Peer, record: IncomingRecord): void {
  const payload = payloadOf(record);
  const socket = asking(engine, peer, record, attemptOf(payload));
  if (socket !== undefined && turnedAway(socket, peer)) askAgain(engine, socket, reasonOf(payload));
}

export function onConnect(engine: Engine, peer: Peer, record: IncomingRecord): void {
  const payload = payloadOf(record);
  if (payload.length < ConnectPayload.sizeBytes) return;
  const asked = ConnectPayload.decode(payload);
  if (isRefused(peer, asked)) return;
  const refuse = (errno: number): void => {
    peer.control(RecordType.refuse, 0, asked.socket, asked.generation, reason(errno, asked.attempt));
  };
  const calledIp = ipText(asked.calledFamily, asked.calledIp);
  const clientIp = ipText(asked.clientFamily, asked.clientIp);
  if (calledIp === undefined || clientIp === undefined) {
    refuse(errnoOf('ESTPCORRUPT'));
    return;
  }
  const remote: EngineAddress = { system: asked.system, group: asked.clientGroup, port: asked.port, ip: clientIp };
  const request = new Request(peer, asked, remote, calledIp);
  const socket = engine.listeners.find(asked.serverGroup, record.socket, calledIp);
  const listener = socket?.listener;
  if (socket === undefined || !listener) {
    refuse(errnoOf('ECONNREFUSED'));
    return;
  }
  // Its program is connected already: the client's process has counted for us.
  if (listener.queue.length >= (request.isEarly ? EARLY_QUEUE_MAX : listener.backlog)) {
    settleAsk(socket, peer, request.socket);
    refuse(errnoOf('EAGAIN'));
    return;
  }
  request.mayLack = request.isEarly && isAskedBy(socket, peer, request.socket);
  listener.queue.push(request);
  if (request.isEarly) peer.requests.set(request.name, request);
  settleAsk(socket, peer, request.socket);
  engine.ports.counted(socket);
  crashPoint('accept.queued');
  socket.owner?.acceptable();
}

function refusePending({ peer, name, socket, generation, attempt }: Request): void {
  peer.requests.delete(name);
  peer.control(RecordType.refuse, 0, socket, generation, reason(errnoOf('ECONNRESET'), attempt));
}

/** The client gave up while it was in the queue; where it was accepted already, it answers the ACCEPT with GONE. */
export function onCancel(engine: Engine, peer: Peer, record: IncomingRecord): void {
  const payload = payloadOf(record);
  if (payload.length < SocketName.sizeBytes) return;
  const name = SocketName.decode(payload);
  peer.refusedOffers.delete(nameOf(name.socket, name.generation));
  for (const socket of engine.listeners.at(record.socket)) {
    const queue = socket.listener?.queue ?? [];
    const at = queue.findIndex((p) => p.peer === peer && p.socket === name.socket && p.generation === name.generation);
    if (at >= 0) {
      queue.splice(at, 1);
      peer.requests.delete(nameOf(name.socket, name.generation));
    }
    settleAsk(socket, peer, name.socket);
    offerAll(socket);
  }
}

/**
 * Takes the request on top of the queue; undefined where none waits. EMFILE and ENOSPC: no socket can be made for it,
 * and it is refused; in the queue it would wait without end for one to be closed.
 */
export function accept(engine: Engine, listening: EngineSocket): EngineSocket | undefined {
  const queue = listening.listener?.queue;
  const pending = queue?.[0];
  if (queue === undefined || pending === undefined) return undefined;
  queue.shift();
  try {
    const socket = engine.open();
    begin(engine, socket, listening, pending);
    return socket;
  } catch (error) {
    refusePending(pending);
    engine.ports.counted(listening);
    throw error;
  } finally {
    offerAll(listening);
  }
}

function begin(engine: Engine, socket: EngineSocket, listening: EngineSocket, pending: Request): void {
  Object.assign(socket.local, listening.local, { ip: acceptedIp(listening, pending) });
  Object.assign(socket.remote, pending.remote);
  socket.windowWantedBytes = listening.windowWantedBytes;
  socket.openWindow(pending.peer.port.remote);
  socket.receiveLimitBytes = Math.max(socket.windowBytes, pending.earlyBytes);
  socket.sendLimitBytes = pending.windowBytes;
  socket.deathAsTcp = listening.deathAsTcp;
  pending.accepted = socket;
  if (pending.lostErrno === 0) engine.join(socket, pending.peer, pending.socket, pending.generation);
  crashPoint('accept.begun');
  engine.setState(socket, SocketState.established);
  const payload = new Uint8Array(SocketName.sizeBytes);
  SocketName.encode(
    { socket: socket.index, generation: socket.generation, windowBytes: socket.receiveLimitBytes },
    payload,
  );
  engine.tell(socket, RecordType.accept, payload);
  crashPoint('accept.answered');
  if (pending.isEarly) takeOver(engine, socket, pending);
}

/** What the client called; where it named no address, the one that the listener is bound to. */
export function acceptedIp({ local }: EngineSocket, { calledIp }: Request): string {
  return calledIp === '' && !isAnyIp(local.ip) ? local.ip : calledIp;
}

export function onAccept(engine: Engine, socket: EngineSocket, record: IncomingRecord): void {
  const payload = payloadOf(record);
  const { early } = socket;
  if (!isAsking(socket) || payload.length < SocketName.sizeBytes) {
    engine.abort(socket, errnoOf('ESTPCORRUPT'), true);
    return;
  }
  const name = SocketName.decode(payload);
  const told = early?.told === true;
  if (!told) engine.clearTimers(socket);
  socket.remoteSocket = name.socket;
  socket.remoteGeneration = name.generation;
  socket.sendLimitBytes = name.windowBytes;
  if (early !== null) early.accepted = true;
  acceptedEarly(engine, socket);
  if (!told) engine.setState(socket, SocketState.established);
  else engine.ports.changed(socket, false);
  crashPoint('connect.accepted');
  if (!told) socket.owner?.connected(0);
  else pump(engine, socket);
}

export function onRefuse(engine: Engine, socket: EngineSocket, record: IncomingRecord): void {
  const payload = payloadOf(record);
  // One to an offer that this socket did not take is none to its CONNECT.
  if (!isAsking(socket) || attemptOf(payload) !== socket.connectAttempt) return;
  const errno = reasonOf(payload);
  connectTakenBack(engine, socket);
  const told = socket.early?.told === true;
  // A busy server queues us in effect.
  if ((errno === errnoOf('EAGAIN') && !told) || socket.anyListener) askAgain(engine, socket, errno);
  else engine.abort(socket, endErrno(socket, errno), false);
}

/** A listener that shares its port is gone before it accepted: true where others may be asked, or are. */
export function listenerLost(engine: Engine, socket: EngineSocket, peer: Peer, errno: number): boolean {
  if (!isAsking(socket) || !socket.anyListener) return false;
  if (socket.peer !== peer) {
    if (turnedAway(socket, peer)) askAgain(engine, socket, errno);
    return true;
  }
  // It may have read what was sent.
  if (socket.early !== null && (socket.early.pushedBytes > 0 || socket.finSent)) return false;
  connectTakenBack(engine, socket);
  askAgain(engine, socket, errno);
  engine.part(socket);
  return true;
}

/**
 * Asks again, soon at first. The limit, if any, is the connect timer. `errno` is what it fails with where no other
 * process listens.
 */
function askAgain(engine: Engine, socket: EngineSocket, errno: number): void {
  if (errno !== errnoOf('EAGAIN') && socket.retries >= REFUSALS_MAX) {
    engine.abort(socket, endErrno(socket, errno), false);
    return;
  }
  const delayMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(socket.retries, 10));
  socket.retries += 1;
  engine.timers.clear(socket.retryTimer);
  socket.retryTimer = engine.timer(delayMs, () => {
    socket.retryTimer = null;
    if (socket.anyListener) askAnother(engine, socket, errno);
    else sendConnect(engine, socket);
  });
}

function askAnother(engine: Engine, socket: EngineSocket, errno: number): void {
  let port: PeerPort | undefined;
  try {
    port = engine.ports.another(socket);
  } catch {
    // No link can be made now (a full disk): that may pass.
    askAgain(engine, socket, errnoOf('EAGAIN'));
    return;
  }
  if (port === undefined)
    engine.abort(socket, endErrno(socket, errno === errnoOf('EAGAIN') ? errnoOf('ECONNREFUSED') : errno), false);
  else ask(engine, socket, engine.attachPeer(port));
}
