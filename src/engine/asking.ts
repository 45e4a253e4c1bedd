/**
 * Finding a listener at a port that several processes share (SO_REUSEPORT, cluster workers): ASK, OFFER, then an
 * ordinary CONNECT.
 *
 * A process whose event loop is held up answers nothing, so a client that has no answer soon asks another as well; the
 * first that offers gets the CONNECT, the others a CANCEL. A request is thus at one listener at a time, and no program
 * ever accepts one that was withdrawn. A listener offers to one request of a client process at a time, and while none
 * waits to be accepted: when it is held up after that, one connection waits with it, and the rest go elsewhere.
 *
 * A client that was turned away may ask the same process again, and answers to what it asked before may still be on
 * their way. So each ASK of a socket has a number, its attempt, which CONNECT and all answers repeat.
 */
import { crashPoint } from '../crash-points';
import { errnoOf } from '../errors';
import { ConnectPayload, ipBytes, OfferPayload, RecordType, SocketName } from '../layout';
import { takePlace, tellSoon } from './early';
import { type Engine } from './engine';
import { type IncomingRecord, payloadOf } from './incoming-record';
import { type Peer } from './peer';
import { nameOf } from './queued-counts';
import { reason } from './reason';
import { type EngineSocket } from './socket';

/**
 * How long an answer is awaited until another is asked: a multiple of what answers take, within limits, twice as long
 * with each that was asked.
 */
const PATIENCE_FACTOR = 4;
const PATIENCE_LEAST_MS = 10;
const PATIENCE_MOST_MS = 100;
const PATIENCE_MAX_MS = 500;
/** So much does the newest answer count in the mean. */
const ANSWER_WEIGHT = 1 / 8;
/** For so long a process that did not answer is asked after the others, milliseconds. */
const LATE_MS = 1000;

/** A listener that a client has asked. */
export interface Asked {
  readonly peer: Peer;
  readonly attempt: number;
  readonly atMs: number;
}

/** A request as a listener keeps it while it asks. */
export interface AskName {
  readonly index: number;
  readonly generation: number;
  readonly attempt: number;
}

/** What one client process asks of one listener. */
export interface AskLine {
  /** The socket that was made an offer. */
  offered: AskName | null;
  /** Those that wait, by index, in their order. */
  readonly waiting: Map<number, AskName>;
}

// --- client ---

/** Asks one listener more for a connection. */
export function ask(engine: Engine, socket: EngineSocket, peer: Peer): void {
  engine.part(socket);
  socket.attempt += 1;
  socket.asked = [...socket.asked, { peer, attempt: socket.attempt, atMs: engine.ports.nowMs() }];
  peer.sockets.add(socket);
  takePlace(engine, socket);
  peer.control(RecordType.ask, socket.index, socket.remote.port, 0, connectPayload(socket, socket.attempt));
  crashPoint('ask.asked');
  peer.port.publishNow();
  tellSoon(engine, socket);
  awaitOffer(engine, socket);
}

function awaitOffer(engine: Engine, socket: EngineSocket): void {
  const baseMs = Math.min(PATIENCE_MOST_MS, Math.max(PATIENCE_LEAST_MS, engine.answerMs * PATIENCE_FACTOR));
  const delayMs = Math.min(PATIENCE_MAX_MS, baseMs * 2 ** Math.min(10, socket.asked.length - 1));
  engine.timers.clear(socket.retryTimer);
  socket.retryTimer = engine.timer(delayMs, () => {
    socket.retryTimer = null;
    askMore(engine, socket);
  });
}

/** No listener has made an offer in time. */
function askMore(engine: Engine, socket: EngineSocket): void {
  const last = socket.asked.at(-1);
  if (last !== undefined) last.peer.lateUntilMs = engine.ports.nowMs() + LATE_MS;
  let port;
  try {
    port = engine.ports.another(socket);
  } catch {
    // No link can be made now (a full disk): those that were asked may still answer.
  }
  if (port === undefined) awaitOffer(engine, socket);
  else ask(engine, socket, engine.attachPeer(port));
}

/** How gladly `socket` asks a listener of `process`; Infinity: not now. */
export function askingCost(engine: Engine, socket: EngineSocket, process: number): number {
  const peer = engine.peers.get(process);
  if (peer === undefined) return 0;
  if (socket.asked.some((asked) => asked.peer === peer)) return Infinity;
  if (socket.peer === peer) return 2;
  return peer.lateUntilMs > engine.ports.nowMs() ? 1 : 0;
}

/**
 * A listener is ready: it alone gets the CONNECT. A late offer is for a request that was withdrawn, and its CANCEL is
 * under way.
 */
export function onOffer(engine: Engine, peer: Peer, record: IncomingRecord): EngineSocket | undefined {
  peer.lateUntilMs = 0;
  const payload = payloadOf(record);
  if (payload.length < OfferPayload.sizeBytes) return undefined;
  const { attempt } = OfferPayload.decode(payload);
  const socket = asking(engine, peer, record, attempt);
  const asked = socket?.asked.find((one) => one.peer === peer);
  if (socket === undefined || asked === undefined) return undefined;
  crashPoint('ask.chosen');
  engine.answerMs += (engine.ports.nowMs() - asked.atMs - engine.answerMs) * ANSWER_WEIGHT;
  withdraw(engine, socket, peer);
  engine.join(socket, peer, 0, 0);
  socket.connectAttempt = attempt;
  engine.ports.changed(socket, false);
  return socket;
}

/** The socket of an answer to ASK, where it still asks `peer` with that attempt. */
export function asking(engine: Engine, peer: Peer, record: IncomingRecord, attempt: number): EngineSocket | undefined {
  const socket = engine.sockets[record.socket];
  return socket?.generation === record.generation &&
    socket.asked.some((asked) => asked.peer === peer && asked.attempt === attempt)
    ? socket
    : undefined;
}

/** Takes the request back from all that were asked, but from `chosen`. */
export function withdraw(engine: Engine, socket: EngineSocket, chosen?: Peer): void {
  const { asked } = socket;
  if (asked.length > 0) socket.asked = [];
  for (const { peer } of asked) {
    peer.sockets.delete(socket);
    if (peer !== chosen) cancel(socket, peer);
  }
  engine.timers.clear(socket.retryTimer);
  socket.retryTimer = null;
}

/** `peer` was asked and is no longer: true where no process is left to answer. */
export function turnedAway(socket: EngineSocket, peer: Peer): boolean {
  const rest = socket.asked.filter((asked) => asked.peer !== peer);
  if (rest.length === socket.asked.length) return false;
  socket.asked = rest;
  peer.sockets.delete(socket);
  return socket.asked.length === 0;
}

/** The client gives a request up: the server need not accept it. */
export function cancel(socket: EngineSocket, peer: Peer): void {
  const payload = new Uint8Array(SocketName.sizeBytes);
  SocketName.encode({ socket: socket.index, generation: socket.generation, windowBytes: 0 }, payload);
  peer.control(RecordType.cancel, socket.index, socket.remote.port, 0, payload);
}

/** The payload of CONNECT and ASK. */
export function connectPayload(socket: EngineSocket, attempt: number): Uint8Array {
  const payload = new Uint8Array(ConnectPayload.sizeBytes);
  const client = ipBytes(socket.local.ip);
  const called = ipBytes(socket.remote.ip);
  ConnectPayload.encode(
    {
      socket: socket.index,
      generation: socket.generation,
      port: socket.local.port,
      windowBytes: socket.windowBytes,
      clientGroup: socket.local.group,
      serverGroup: socket.remote.group,
      system: socket.local.system,
      earlyBytes: socket.early?.limitBytes ?? 0,
      attempt,
      clientFamily: client.family,
      calledFamily: called.family,
      clientIp: client.bytes,
      calledIp: called.bytes,
    },
    payload,
  );
  return payload;
}

// --- server ---

/** A request of a socket of `peer` waits for an offer. False: so many wait already. */
export function lineUp(listening: EngineSocket, peer: Peer, name: AskName): boolean {
  const { listener } = listening;
  if (listener === null) return false;
  let line = listener.asks.get(peer);
  if (line === undefined) listener.asks.set(peer, (line = { offered: null, waiting: new Map() }));
  if (line.waiting.size >= listener.backlog && !line.waiting.has(name.index)) return false;
  line.waiting.set(name.index, name);
  offer(listening, peer, line);
  return true;
}

/** Makes an offer to the first in line, if all that went before is settled. */
function offer({ index, listener }: EngineSocket, peer: Peer, line: AskLine): void {
  if (line.offered !== null || (listener?.queue.length ?? 1) > 0) return;
  const [first] = line.waiting;
  if (first === undefined) {
    listener?.asks.delete(peer);
    return;
  }
  const [socket, name] = first;
  line.waiting.delete(socket);
  line.offered = name;
  const payload = new Uint8Array(OfferPayload.sizeBytes);
  OfferPayload.encode({ attempt: name.attempt }, payload);
  peer.control(RecordType.offer, index, socket, name.generation, payload);
  crashPoint('ask.offered');
}

/** The accept queue may be empty now. */
export function offerAll(listening: EngineSocket): void {
  const { listener } = listening;
  if (listener === null || listener.asks.size === 0 || listener.queue.length > 0) return;
  for (const [peer, line] of [...listener.asks]) offer(listening, peer, line);
}

/** Whether a socket of `peer` has asked before it connects, as at a port that several share. */
export function isAskedBy({ listener }: EngineSocket, peer: Peer, index: number): boolean {
  const line = listener?.asks.get(peer);
  return line !== undefined && (line.offered?.index === index || line.waiting.has(index));
}

/** A request was taken up or withdrawn. */
export function settleAsk(listening: EngineSocket, peer: Peer, index: number): void {
  const line = listening.listener?.asks.get(peer);
  if (line === undefined) return;
  line.waiting.delete(index);
  if (line.offered?.index === index) line.offered = null;
  offer(listening, peer, line);
}

/**
 * Ends listening: requests that wait for an offer are declined. A request that was made an offer is refused now, though
 * its CONNECT is on its way: this process may end before it comes, and then no process can tell that it was never read.
 */
export function refuseAsks({ listener }: EngineSocket): void {
  for (const [peer, { offered, waiting }] of listener?.asks ?? []) {
    if (offered !== null) {
      const { index, generation, attempt } = offered;
      peer.control(RecordType.refuse, 0, index, generation, reason(errnoOf('ECONNRESET'), attempt));
      // It may ask again, here as well, and what it sent before must not be taken for that.
      peer.refusedOffers.set(nameOf(index, generation), attempt);
    }
    for (const { index, generation, attempt } of waiting.values())
      peer.control(RecordType.decline, 0, index, generation, reason(errnoOf('ECONNRESET'), attempt));
  }
  listener?.asks.clear();
}

/** The offer was taken back while this CONNECT was on its way. */
export function isRefused(peer: Peer, asked: { socket: number; generation: number; attempt: number }): boolean {
  if (peer.refusedOffers.size === 0) return false;
  const name = nameOf(asked.socket, asked.generation);
  const attempt = peer.refusedOffers.get(name);
  peer.refusedOffers.delete(name);
  return attempt === asked.attempt;
}
