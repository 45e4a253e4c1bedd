/**
 * The handle of a socket that goes by STP: a native stream, whose reads, writes and end are STP calls on one
 * descriptor.
 *
 * net.js, http's parser, TLS and http2 use it as they use a TCP handle.
 */
import { AsyncResource } from 'node:async_hooks';
import {
  SO_KEEPALIVE,
  SO_LINGER,
  SOL_SOCKET,
  STP_DEATH_AS_TCP,
  STP_REF,
  STP_WATCHER,
  STPbind,
  STPclose,
  STPsetopt,
  STPsetsockopt,
  STPshutdown,
  TCP_NODELAY,
} from '../../src/index';
import { setImmediate } from '../../src/host';
import { isOwnAddress } from '../connect/own-addresses';
import { errnoException, statusOf } from '../node/errors';
import { status, UV_TCP_IPV6ONLY } from '../node/status';
import { type ConnectRequest, type SocketName, kOwner } from '../node/handles';
import { type InternalSocket } from '../node/internals';
import { JsStream } from '../node/js-stream';
import { whenClosed } from '../node/closing';
import { endCallback } from '../node/tick';
import { boundName, type EndNames, type Ends, shownEnds } from './names';
import { Reader } from './reader';
import { NativeRequests } from './requests';
import { StreamWatcher } from './stream-watcher';
import { WAITS, WriteQueue } from './write-queue';

export const NO_DESCRIPTOR = -1;

/** STPshutdown: the outgoing direction. */
const SENDING = 1;
const RESET = { onoff: true, linger: 0 } as const;

export class StpStream extends JsStream {
  descriptor = NO_DESCRIPTOR;
  /** What the two ends are called, as far as the program or its peer has said. */
  ends: Ends = {};
  /** The socket that the handle is under. */
  owner: object | undefined;
  /** Told once of the socket, as soon as net.js has made it over the handle. */
  onOwner: ((owner: object) => void) | undefined;
  /** Connects the stream: set where the handle is under a socket before it is known which way that goes. */
  onConnect: ((stream: StpStream, request: ConnectRequest, ip: string, port: number) => number) | undefined;
  /** Makes the descriptor where there is none yet: 0, or a negative errno. */
  onOpen: ((stream: StpStream) => number) | undefined;
  /** Told once that the connection stands (0), or the positive errno of its failure. */
  onConnected: ((errno: number) => void) | undefined;
  /** The connection stands, or has stood. */
  connected = false;
  /** The connect that is under way. */
  request: ConnectRequest | undefined;
  readonly writes = new WriteQueue();
  readonly requests: NativeRequests = new NativeRequests(this);
  readonly reader: Reader = new Reader(this);
  /** Told how a give ended. */
  onTaken: ((taken: boolean) => void) | undefined;
  #closed = false;
  #gone = false;
  #referenced = true;
  /** As the library has it; a new descriptor keeps the process alive. */
  #holds = true;
  #holdQueued = false;
  #shutdown: object | undefined;
  #names: EndNames | undefined;
  readonly #resource = new AsyncResource('STPSOCKET', { requireManualDestroy: true });

  /** The descriptor is known from now on. `available`: something may have come before. */
  attach(descriptor: number, available: boolean): void {
    this.descriptor = this.writes.descriptor = descriptor;
    // What a program sees of a peer that died is what TCP shows.
    STPsetopt(descriptor, STP_DEATH_AS_TCP, true);
    STPsetopt(descriptor, STP_WATCHER, new StreamWatcher(this));
    this.holdSoon();
    this.reader.begin(available);
  }

  get open(): boolean {
    return !this.#closed && this.descriptor !== NO_DESCRIPTOR;
  }

  /** Runs what may call the program in the socket's own async context, and ends it as a callback of its own. */
  run<A extends unknown[]>(fn: (...args: A) => void, ...args: A): void {
    try {
      this.#resource.runInAsyncScope(fn, undefined, ...args);
    } finally {
      endCallback();
    }
  }

  // --- what native code asks ---

  /** As TCP's: until the close is complete. */
  isAlive(): boolean {
    return !this.#gone;
  }

  isClosing(): boolean {
    return this.#closed;
  }

  onreadstart(): number {
    this.reader.start();
    this.holdSoon();
    return 0;
  }

  onreadstop(): number {
    this.reader.reading = false;
    this.holdSoon();
    return 0;
  }

  onwrite(request: object, buffers: Uint8Array[]): number {
    if (this.#closed && !this.#gone) {
      // As of TCP's handle: it fails when the close is complete.
      this.requests.keep('finishWrite', request, status('ECANCELED'));
      return 0;
    }
    const result = this.open ? this.writes.writeAll(buffers) : status('EBADF');
    if (result < 0) return result;
    if (result === WAITS) {
      this.waitForWrite((errno) => {
        this.requests.finish('finishWrite', request, errno);
      });
    } else this.requests.finish('finishWrite', request, 0);
    return 0;
  }

  onshutdown(request: object): number {
    if (!this.open) return status('ENOTCONN');
    this.#shutdown = request;
    return this.writes.pending ? 0 : this.#shutDown();
  }

  #shutDown(): number {
    const request = this.#shutdown;
    this.#shutdown = undefined;
    if (request === undefined) return 0;
    try {
      STPshutdown(this.descriptor, SENDING);
    } catch (error) {
      statusOf(error);
      // As the kernel says of a connection that was reset.
      return status('ENOTCONN');
    }
    this.requests.finish('finishShutdown', request, 0);
    return 0;
  }

  /** A write waits until the socket is writable. */
  waitForWrite(done: (errno: number) => void): void {
    this.writes.wait(done);
    this.holdSoon();
  }

  /** From the watcher: what waits goes on. */
  resumeWrites(): void {
    this.writes.resume();
    if (this.writes.pending || this.#closed) return;
    this.holdSoon();
    const request = this.#shutdown;
    if (request === undefined) return;
    const errno = this.#shutDown();
    if (errno < 0) this.requests.finish('finishShutdown', request, errno);
  }

  /** Reading has failed, or what the socket waited for. */
  fail(errno: number, syscall = 'read'): void {
    this.reader.reading = false;
    const socket = this.owner as InternalSocket | undefined;
    if (socket !== undefined) this.run(destroy, socket, errno, syscall);
  }

  // --- hand-over ---

  /** Another process has the connection: the descriptor names nothing any more. */
  detach(): void {
    this.descriptor = this.writes.descriptor = NO_DESCRIPTOR;
  }

  // --- what net.js asks of a TCP handle ---

  override useUserBuffer(buffer: Uint8Array): void {
    this.reader.userBuffer = true;
    super.useUserBuffer(buffer);
  }

  override close(callback?: () => void): void {
    if (this.#closed) return;
    this.#closed = true;
    this.reader.reading = false;
    if (this.descriptor !== NO_DESCRIPTOR) {
      // Rejected where not all was delivered. TCP does not tell a socket that has been destroyed either.
      STPclose(this.descriptor).catch(() => undefined);
    }
    whenClosed(() => {
      this.closed(callback);
    });
  }

  cancel(): void {
    const errno = status('ECANCELED');
    const shutdown = this.#shutdown;
    this.#shutdown = undefined;
    this.writes.abandon(errno);
    if (shutdown !== undefined) this.requests.keep('finishShutdown', shutdown, errno);
    this.requests.settle();
  }

  /** The close is complete: what was under way is told first. */
  closed(callback: (() => void) | undefined): void {
    this.run(cancelOf, this);
    this.#gone = true;
    if (callback !== undefined) this.run(callback);
    this.#resource.emitDestroy();
  }

  reset(callback?: () => void): number {
    if (this.open && !this.writes.held) STPsetsockopt(this.descriptor, SOL_SOCKET, SO_LINGER, RESET);
    this.close(callback);
    return 0;
  }

  override ref(): void {
    this.#referenced = true;
    this.holdSoon();
  }

  override unref(): void {
    this.#referenced = false;
    this.holdSoon();
  }

  override hasRef(): boolean {
    return this.#referenced;
  }

  /** Whether the socket waits for anything has changed. What changes back in the same turn costs nothing more. */
  holdSoon(): void {
    if (this.#holdQueued) return;
    this.#holdQueued = true;
    setImmediate(holdOf, this);
  }

  /** A handle keeps the process alive while it waits for something: a paused socket with nothing to send does not. */
  updateHold(): void {
    this.#holdQueued = false;
    if (!this.open) return;
    const waits = this.request !== undefined || this.reader.reading || this.writes.pending || this.writes.held;
    const holds = this.#referenced && waits;
    if (holds === this.#holds) return;
    this.#holds = holds;
    STPsetopt(this.descriptor, STP_REF, holds);
  }

  get writeQueueSize(): number {
    return this.writes.queuedBytes;
  }

  get bytesWritten(): number {
    return this.writes.bytesWritten;
  }

  connect(request: ConnectRequest, ip: string, port: number): number {
    return this.onConnect?.(this, request, ip, port) ?? status('EINVAL');
  }

  connect6(request: ConnectRequest, ip: string, port: number): number {
    return this.connect(request, ip, port);
  }

  bind(address: string, port: number, flags = 0): number {
    if (!isOwnAddress(address)) return status('EADDRNOTAVAIL');
    const errno = this.descriptor === NO_DESCRIPTOR ? (this.onOpen?.(this) ?? 0) : 0;
    if (errno < 0) return errno;
    try {
      STPbind(this.descriptor, { port, ip: address, ipv6Only: (flags & UV_TCP_IPV6ONLY) !== 0 });
      this.ends = { ...this.ends, localIp: address };
      return 0;
    } catch (error) {
      return statusOf(error);
    }
  }

  bind6(address: string, port: number, flags = 0): number {
    return this.bind(address, port, flags);
  }

  override getsockname(out: SocketName): number {
    return this.#name(out, 'local');
  }

  getpeername(out: SocketName): number {
    return this.#name(out, 'remote');
  }

  #name(out: SocketName, end: 'local' | 'remote'): number {
    try {
      const { localIp } = this.ends;
      if (end === 'local' && !this.connected && localIp !== undefined)
        Object.assign(out, boundName(this.descriptor, localIp));
      else {
        const names = this.#names ?? shownEnds(this.descriptor, this.ends);
        if (this.connected) this.#names = names;
        Object.assign(out, names[end]);
      }
      return 0;
    } catch (error) {
      return statusOf(error);
    }
  }

  setNoDelay(enable: boolean): number {
    if (this.open) STPsetsockopt(this.descriptor, SOL_SOCKET, TCP_NODELAY, enable);
    return 0;
  }

  setKeepAlive(enable: boolean): number {
    if (this.open) STPsetsockopt(this.descriptor, SOL_SOCKET, SO_KEEPALIVE, enable);
    return 0;
  }
}

Object.defineProperty(StpStream.prototype, kOwner, {
  get(this: StpStream) {
    return this.owner;
  },
  set(this: StpStream, owner: object | undefined) {
    this.owner = owner;
    if (owner === undefined) return;
    const told = this.onOwner;
    this.onOwner = undefined;
    told?.(owner);
  },
});

/** The handle of a socket where it is one of STP. */
export function streamOf(socket: unknown): StpStream | undefined {
  const handle = (socket as { _handle?: unknown } | null | undefined)?._handle;
  return handle instanceof StpStream ? handle : undefined;
}

function cancelOf(stream: StpStream): void {
  stream.cancel();
}

function holdOf(stream: StpStream): void {
  stream.updateHold();
}

function destroy(socket: InternalSocket, errno: number, syscall: string): void {
  socket.destroy(errnoException(errno, syscall));
}
