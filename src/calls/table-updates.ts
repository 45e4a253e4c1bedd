/**
 * When the control blocks of our sockets are written for others to read: a change of state at the end of the turn, but
 * no two writes within PAUSE_MS, so that many short connections share one; byte counts late.
 *
 * What others must know of a process that has died is whether it had read what was sent to it. So a receive queue that
 * begins to hold bytes, or is read empty, is shown as soon as a change of state. A direct log does not tell soon how
 * far it was read: there counts are shown as soon, too.
 */
import { type AsyncResource } from 'node:async_hooks';
import { StpError } from '../errors';
import { ipBytes, SocketState } from '../layout';
import { type Engine, type EngineSocket } from '../engine';
import { type Region, type ScbCounters, type ScbValues } from '../region';
import { clearImmediate, clearTimeout, dateMs, nextTick, nowMs, setImmediate, setTimeout } from '../host';

/** Byte counts reach the socket table so late at most, milliseconds. */
const COUNTS_FLUSH_MS = 250;
/** From one write to the next, where changes follow each other. */
const PAUSE_MS = 20;

export class TableUpdates {
  readonly #region: Region;
  readonly #engine: Engine;
  readonly #root: AsyncResource;
  readonly #changed = new Set<EngineSocket>();
  readonly #unread = new Set<EngineSocket>();
  readonly #countsSoon: boolean;
  #countsTimer: NodeJS.Timeout | null = null;
  /** A write will come soon: a tick, or what {@link #soon} holds. */
  #queued = false;
  #soon: NodeJS.Timeout | NodeJS.Immediate | null = null;
  #writtenAtMs = -Infinity;
  #closed = false;

  constructor(region: Region, engine: Engine, root: AsyncResource) {
    this.#region = region;
    this.#engine = engine;
    this.#root = root;
    this.#countsSoon = region.storage.driver === 'direct' && !region.storage.shared;
    // What a table before this one was told of, it may not have fetched.
    for (const socket of engine.sockets) if (socket !== undefined) socket.countsFetched = true;
    region.sockets.fill = (index, counters) => {
      this.#fill(index, counters);
    };
  }

  /** A socket began, changed its state or ended. May throw ENOSPC when it `begins`. */
  changed(socket: EngineSocket, begins: boolean): void {
    const { sockets } = this.#region;
    if (begins) sockets.allocate(socket.index);
    if (socket.state === SocketState.free) sockets.free(socket.index);
    else this.#changed.add(socket);
    if (this.#queued) return;
    this.#queued = true;
    const pauseMs = this.#pauseMs();
    if (pauseMs > 0) this.#flushAfter(pauseMs);
    else nextTick(flushOf, this);
  }

  /** Bytes moved. */
  counted(socket: EngineSocket): void {
    this.#region.sockets.touch(socket.index);
    if (this.#countsSoon) this.#flushSoon();
    if (this.#countsTimer !== null) return;
    this.#countsTimer = this.#root.runInAsyncScope<undefined, NodeJS.Timeout>(
      setTimeout,
      undefined,
      () => {
        this.#countsTimer = null;
        this.flush();
      },
      COUNTS_FLUSH_MS,
    );
    this.#countsTimer.unref();
  }

  /** A receive queue became empty, or is so no longer. */
  unreadChanged(socket: EngineSocket): void {
    this.#unread.add(socket);
    this.#flushSoon();
  }

  #pauseMs(): number {
    return this.#writtenAtMs + PAUSE_MS - nowMs();
  }

  #flushSoon(): void {
    if (this.#queued || this.#closed) return;
    this.#queued = true;
    const pauseMs = this.#pauseMs();
    if (pauseMs > 0) this.#flushAfter(pauseMs);
    // An immediate without reference would wait for the next event.
    else this.#soon = this.#root.runInAsyncScope<undefined, NodeJS.Immediate>(setImmediate, undefined, flushOf, this);
  }

  #flushAfter(pauseMs: number): void {
    this.#soon = this.#root.runInAsyncScope<undefined, NodeJS.Timeout>(setTimeout, undefined, flushOf, pauseMs, this);
    this.#soon.unref();
  }

  /**
   * Writes the control blocks that changed. A full disk must not end a connection: what could not be written stays
   * dirty.
   */
  flush(): void {
    this.#queued = false;
    this.#clearSoon();
    if (this.#closed) return;
    const { sockets } = this.#region;
    try {
      for (const socket of this.#changed) {
        if (!this.#isOpen(socket)) continue;
        sockets.set(socket.index, scbOf(socket));
        socket.countsFetched = true;
      }
      this.#changed.clear();
      for (const socket of this.#unread) {
        // It may be as it was shown last by now.
        const isUnread = socket.received.lengthBytes > 0;
        if (this.#isOpen(socket) && socket.unreadShown !== isUnread) sockets.touch(socket.index);
      }
      this.#unread.clear();
      if (!sockets.dirty) return;
      this.#writtenAtMs = nowMs();
      sockets.flush();
    } catch (error) {
      if (!(error instanceof StpError)) throw error;
    }
  }

  #isOpen(socket: EngineSocket): boolean {
    return this.#engine.sockets[socket.index] === socket;
  }

  #fill(index: number, counters: ScbCounters): void {
    const socket = this.#engine.sockets[index];
    if (socket === undefined) return;
    socket.countsFetched = true;
    counters.bytesReceived = socket.bytesReceived;
    counters.bytesSent = socket.bytesSent;
    counters.receiveQueuedBytes = queuedOf(socket);
    counters.sendQueuedBytes = socket.unsentBytes;
  }

  #clearSoon(): void {
    const soon = this.#soon;
    this.#soon = null;
    if (soon === null) return;
    if ('hasRef' in soon && 'refresh' in soon) clearTimeout(soon);
    else clearImmediate(soon);
  }

  close(): void {
    this.#closed = true;
    if (this.#countsTimer !== null) clearTimeout(this.#countsTimer);
    this.#clearSoon();
  }
}

function flushOf(updates: TableUpdates): void {
  updates.flush();
}

/** What is shown as received and not read; of a listener, requests that wait. */
function queuedOf(socket: EngineSocket): number {
  socket.unreadShown = socket.received.lengthBytes > 0;
  return socket.listener?.queue.length ?? socket.received.lengthBytes;
}

function scbOf(socket: EngineSocket): ScbValues {
  const local = ipBytes(socket.local.ip);
  const remote = ipBytes(socket.remote.ip);
  return {
    generation: socket.generation,
    state: socket.state,
    localPort: socket.local.port,
    remotePort: socket.remote.port,
    peerProcess: socket.peer?.process ?? 0,
    peerSocket: socket.remoteSocket,
    peerGeneration: socket.remoteGeneration,
    backlog: socket.listener?.backlog ?? 0,
    localGroup: socket.local.group,
    remoteGroup: socket.remote.group,
    localSystem: socket.local.system,
    remoteSystem: socket.remote.system,
    bytesReceived: socket.bytesReceived,
    bytesSent: socket.bytesSent,
    receiveQueuedBytes: queuedOf(socket),
    sendQueuedBytes: socket.unsentBytes,
    changedAtMs: dateMs(),
    localFamily: local.family,
    remoteFamily: remote.family,
    localIp: local.bytes,
    remoteIp: remote.bytes,
  };
}
