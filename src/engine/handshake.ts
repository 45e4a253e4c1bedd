/** Listening, connecting and accepting. STPconnect is complete when the server has accepted, as in the source. */
import { crashPoint } from '../crash-points';
import { errnoOf } from '../errors';
import { ConnectPayload, RecordType, SocketName, SocketState } from '../layout';
import { ask, asking, type AskLine, cancel, connectPayload, lineUp, offerAll, onOffer, refuseAsks, settleAsk, turnedAway, withdraw } from './asking';
import { type Engine, reason, reasonOf } from './engine';
import { type Peer } from './peer';
import { type PeerPort } from './ports';
import { type EngineAddress, type EngineSocket, type PendingConnect } from './socket';

const RETRY_FIRST_MS = 4;
const RETRY_MAX_MS = 500;
/** So many that share a port may turn a request away before it fails: a listener that is none can only be damage. */
const REFUSALS_MAX = 20;

function listenerKey(group: string, port: number): string {
  return `${group}:${port}`;
}

/** A bound socket begins to take requests; `backlog` is the longest queue of those that wait for accept. */
export function listen(engine: Engine, socket: EngineSocket, backlog: number): void {
  socket.listener = { backlog, queue: socket.listener?.queue ?? [], asks: socket.listener?.asks ?? new Map<Peer, AskLine>() };
  engine.listeners.set(listenerKey(socket.local.group, socket.local.port), socket);
  engine.setState(socket, SocketState.listening);
}

/** Ends listening; whoever waits in the queue is refused. */
export function stopListening(engine: Engine, socket: EngineSocket): void {
  engine.listeners.delete(listenerKey(socket.local.group, socket.local.port));
  const queue = socket.listener?.queue.splice(0) ?? [];
  for (const pending of queue) {
    pending.peer.control(RecordType.refuse, 0, pending.socket, pending.generation, reason(errnoOf('ECONNRESET')));
  }
  refuseAsks(socket);
}

/** Asks `peer` for a connection to a port. `timeoutMs` 0: waits without end. `anyListener`: others listen there too. */
export function connect(engine: Engine, socket: EngineSocket, peer: Peer, remote: EngineAddress, timeoutMs: number, anyListener = false): void {
  Object.assign(socket.remote, remote);
  socket.anyListener = anyListener;
  socket.initiator = true;
  socket.openWindow(peer.port.distant);
  socket.receiveLimitBytes = socket.windowBytes;
  if (!anyListener) engine.join(socket, peer, 0, 0);
  if (timeoutMs > 0) {
    socket.timer = engine.timer(timeoutMs, () => {
      sendCancel(engine, socket);
      engine.abort(socket, errnoOf('ETIMEDOUT'), false);
    });
  }
  engine.setState(socket, SocketState.connecting);
  if (anyListener) ask(engine, socket, peer);
  else sendConnect(socket);
}

function sendConnect(socket: EngineSocket): void {
  socket.peer?.control(RecordType.connect, socket.index, socket.remote.port, 0, connectPayload(socket));
  crashPoint('connect.asked');
  socket.peer?.port.publishNow();
  crashPoint('connect.published');
}

/** The client gives up, wherever it has asked. */
export function sendCancel(engine: Engine, socket: EngineSocket): void {
  withdraw(engine, socket);
  if (socket.peer !== null) cancel(socket, socket.peer);
  crashPoint('connect.cancelled');
}

/** A client asks before it connects, for others share the port. */
export function onAsk(engine: Engine, peer: Peer, port: number, payload: Buffer): void {
  if (payload.length < ConnectPayload.sizeBytes) return;
  const { serverGroup, socket, generation } = ConnectPayload.decode(payload);
  const listening = engine.listeners.get(listenerKey(serverGroup, port));
  const errno = listening === undefined ? errnoOf('ECONNREFUSED') : errnoOf('EAGAIN');
  if (listening === undefined || !lineUp(listening, peer, socket, generation)) peer.control(RecordType.decline, 0, socket, generation, reason(errno));
}

/** One that was asked is ready. */
export function onOffered(engine: Engine, peer: Peer, index: number, generation: number): void {
  const socket = onOffer(engine, peer, index, generation);
  if (socket !== undefined) sendConnect(socket);
}

/** One that was asked listens no more, or is asked by too many. */
export function onDecline(engine: Engine, peer: Peer, index: number, generation: number, payload: Buffer): void {
  const socket = asking(engine, peer, index, generation);
  if (socket !== undefined && turnedAway(socket, peer)) askAgain(engine, socket, reasonOf(payload));
}

export function onConnect(engine: Engine, peer: Peer, port: number, payload: Buffer): void {
  if (payload.length < ConnectPayload.sizeBytes) return;
  const request = ConnectPayload.decode(payload);
  const refuse = (errno: number): void => {
    peer.control(RecordType.refuse, 0, request.socket, request.generation, reason(errno));
  };
  const socket = engine.listeners.get(listenerKey(request.serverGroup, port));
  const listener = socket?.listener;
  if (socket === undefined || !listener) {
    refuse(errnoOf('ECONNREFUSED'));
    return;
  }
  if (listener.queue.length >= listener.backlog) {
    settleAsk(socket, peer, request.socket);
    refuse(errnoOf('EAGAIN'));
    return;
  }
  listener.queue.push({
    peer,
    socket: request.socket,
    generation: request.generation,
    windowBytes: request.windowBytes,
    remote: { system: request.system, group: request.clientGroup, port: request.port },
  });
  settleAsk(socket, peer, request.socket);
  engine.ports.counted(socket);
  crashPoint('accept.queued');
  socket.owner?.acceptable();
}

/** The client gave up while it was in the queue; where it was accepted already, it answers the ACCEPT with GONE. */
export function onCancel(engine: Engine, peer: Peer, port: number, payload: Buffer): void {
  if (payload.length < SocketName.sizeBytes) return;
  const name = SocketName.decode(payload);
  for (const socket of engine.listeners.values()) {
    if (socket.local.port !== port) continue;
    const queue = socket.listener?.queue ?? [];
    const at = queue.findIndex((p) => p.peer === peer && p.socket === name.socket && p.generation === name.generation);
    if (at >= 0) queue.splice(at, 1);
    settleAsk(socket, peer, name.socket);
    offerAll(socket);
  }
}

/**
 * Takes the request on top of the queue; undefined where none waits. EMFILE and ENOSPC: no socket can be made for it, and it is refused;
 * in the queue it would wait without end for one to be closed.
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
    pending.peer.control(RecordType.refuse, 0, pending.socket, pending.generation, reason(errnoOf('ECONNRESET')));
    engine.ports.counted(listening);
    throw error;
  } finally {
    offerAll(listening);
  }
}

function begin(engine: Engine, socket: EngineSocket, listening: EngineSocket, pending: PendingConnect): void {
  Object.assign(socket.local, listening.local);
  Object.assign(socket.remote, pending.remote);
  socket.windowWantedBytes = listening.windowWantedBytes;
  socket.openWindow(pending.peer.port.distant);
  socket.receiveLimitBytes = socket.windowBytes;
  socket.sendLimitBytes = pending.windowBytes;
  engine.join(socket, pending.peer, pending.socket, pending.generation);
  crashPoint('accept.begun');
  engine.setState(socket, SocketState.established);
  const payload = new Uint8Array(SocketName.sizeBytes);
  SocketName.encode({ socket: socket.index, generation: socket.generation, windowBytes: socket.windowBytes }, payload);
  engine.tell(socket, RecordType.accept, payload);
  crashPoint('accept.answered');
}

export function onAccept(engine: Engine, socket: EngineSocket, payload: Buffer): void {
  if (socket.state !== SocketState.connecting || payload.length < SocketName.sizeBytes) {
    engine.abort(socket, errnoOf('ESTPCORRUPT'), true);
    return;
  }
  const name = SocketName.decode(payload);
  engine.clearTimers(socket);
  socket.remoteSocket = name.socket;
  socket.remoteGeneration = name.generation;
  socket.sendLimitBytes = name.windowBytes;
  engine.setState(socket, SocketState.established);
  crashPoint('connect.accepted');
  socket.owner?.connected(0);
}

export function onRefuse(engine: Engine, socket: EngineSocket, payload: Buffer): void {
  if (socket.state !== SocketState.connecting) return;
  const errno = reasonOf(payload);
  // A busy server queues us in effect.
  if (errno === errnoOf('EAGAIN') || socket.anyListener) askAgain(engine, socket, errno);
  else engine.abort(socket, errno, false);
}

/** A listener that shares its port is gone before it accepted: true where others may be asked, or are. */
export function listenerLost(engine: Engine, socket: EngineSocket, peer: Peer, errno: number): boolean {
  if (socket.state !== SocketState.connecting || !socket.anyListener) return false;
  if (socket.peer !== peer) {
    if (turnedAway(socket, peer)) askAgain(engine, socket, errno);
    return true;
  }
  askAgain(engine, socket, errno);
  engine.part(socket);
  return true;
}

/** Asks again, soon at first. The limit, if any, is the connect timer. `errno` is what it fails with where nobody else listens. */
function askAgain(engine: Engine, socket: EngineSocket, errno: number): void {
  if (errno !== errnoOf('EAGAIN') && socket.retries >= REFUSALS_MAX) {
    engine.abort(socket, errno, false);
    return;
  }
  const delayMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(socket.retries, 10));
  socket.retries += 1;
  engine.timers.clear(socket.retryTimer);
  socket.retryTimer = engine.timer(delayMs, () => {
    socket.retryTimer = null;
    if (socket.anyListener) askAnother(engine, socket, errno);
    else sendConnect(socket);
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
  if (port === undefined) engine.abort(socket, errno === errnoOf('EAGAIN') ? errnoOf('ECONNREFUSED') : errno, false);
  else ask(engine, socket, engine.attachPeer(port));
}
