/**
 * One STP socket under one net.Socket: the descriptor, who watches it, and what the socket shows of it.
 *
 * Created when the socket begins to connect, is accepted or is taken; closed once, by the socket's destroy or when it has been
 * given away. Callbacks of the library arrive in the context of its poller; the program's listeners run in the socket's own.
 */
import { AsyncResource } from 'node:async_hooks';
import util from 'node:util';
import {
  SO_ERROR,
  SO_KEEPALIVE,
  SO_LINGER,
  type SocketWatcher,
  SOL_SOCKET,
  STP_REF,
  STP_WATCHER,
  STPclose,
  STPgethostname,
  STPgetpeername,
  STPgetsockopt,
  STPsetopt,
  STPsetsockopt,
  STPshutdown,
  TCP_NODELAY,
} from '../src/index';
import { type Ips, shownNames } from './addresses';
import { type InternalSocket, kAsyncId, type SocketName } from './internals';
import { errnoError, failureOf } from './node-errors';
import { Reader } from './reader';
import { rootedResource } from './root';
import { Writer } from './writer';

const NO_DESCRIPTOR = -1;
const TYPE = 'STPSOCKET';
/** STPshutdown: the outgoing direction. */
const SENDING = 1;
const RESET = { onoff: true, linger: 0 } as const;

export interface ConnectionOptions extends Ips {
  /** {@link NO_DESCRIPTOR} while it is not known. */
  readonly descriptor: number;
  /** What the socket shows before the connection stands. */
  readonly early?: Names | undefined;
  /** Came out of a listener: its context is not the one that runs now. */
  readonly accepted?: boolean;
  /** Something may have arrived before the watcher was set. */
  readonly available?: boolean;
}

export interface Names {
  readonly local: SocketName;
  readonly remote: SocketName;
}

export class Connection implements SocketWatcher {
  readonly socket: InternalSocket;
  readonly reader: Reader;
  readonly writer: Writer;
  readonly #resource: AsyncResource;
  readonly #ips: Ips;
  descriptor = NO_DESCRIPTOR;
  /** False as soon as the descriptor names nothing any more. */
  open = true;
  /** Offered to another process: nothing may be read or sent until it is taken or back. */
  given = false;
  referenced = true;
  bytesRead = 0;
  bytesDispatched = 0;
  /** Told how a give ended. */
  onTaken: ((taken: boolean) => void) | undefined;
  /** A TLS socket or an http2 session stands on this one and holds part of the connection's state. */
  wrapped = false;
  /** Its writes. */
  writesAbove: { settle(): void } | undefined;
  /** Takes an error of reading in place of the socket, which is only closed then. */
  failAbove: ((error: Error) => void) | undefined;
  /** The http2 session that is bound to the socket. */
  boundSession: unknown;
  /** As the library has it; a new descriptor keeps the process alive. */
  #holds = true;
  #holdQueued = false;
  readonly early: Names | undefined;
  #names: Names | undefined;

  constructor(socket: InternalSocket, options: ConnectionOptions) {
    this.socket = socket;
    this.#ips = options;
    this.early = options.early;
    this.#resource = options.accepted === true ? rootedResource(TYPE) : new AsyncResource(TYPE, { requireManualDestroy: true });
    this.reader = new Reader(this, options.available ?? false);
    this.writer = new Writer(this);
    // As with a handle: what the socket schedules is triggered by this resource.
    socket[kAsyncId] = this.#resource.asyncId();
    if (options.descriptor !== NO_DESCRIPTOR) this.attach(options.descriptor);
  }

  /** The descriptor is known from now on. */
  attach(descriptor: number): void {
    this.descriptor = descriptor;
    STPsetopt(descriptor, STP_WATCHER, this);
    if (this.referenced) this.holdSoon();
    else this.#updateHold();
  }

  /** Runs what may call the program in the socket's own async context. */
  run<T, A extends unknown[]>(fn: (this: T, ...args: A) => void, self: T, ...args: A): void {
    this.#resource.runInAsyncScope(fn, self, ...args);
  }

  // --- SocketWatcher ---

  readable(bytes: number): void {
    if (this.writesAbove !== undefined) this.#resource.runInAsyncScope(settle, this.writesAbove);
    if (!this.reader.reading || this.given) {
      this.reader.available = true;
      return;
    }
    this.#resource.runInAsyncScope(announce, this.reader, bytes);
    // What was written in answer: it must be complete when the program's own callbacks of this turn run.
    if (this.writesAbove !== undefined) this.#resource.runInAsyncScope(settle, this.writesAbove);
  }

  writable(): void {
    if (this.writer.pending) this.#resource.runInAsyncScope(resume, this.writer);
  }

  /** Whoever reads finds the error behind the last byte. A paused socket learns of it by its write, as with TCP. */
  reset(): void {
    if (this.given) this.#resource.runInAsyncScope(failGive, this);
    else if (!this.reader.reading && this.writer.pending) this.#resource.runInAsyncScope(resume, this.writer);
  }

  taken(taken: boolean): void {
    if (this.onTaken !== undefined) this.#resource.runInAsyncScope(this.onTaken, undefined, taken);
  }

  // --- what the socket asks for ---

  /** Takes the place of another on the same socket, with what the program and what stands on it have made of that. */
  succeed(before: Connection): void {
    this.wrapped = before.wrapped;
    this.writesAbove = before.writesAbove;
    this.failAbove = before.failAbove;
    this.boundSession = before.boundSession;
    this.setReferenced(before.referenced);
  }

  setReferenced(referenced: boolean): void {
    this.referenced = referenced;
    this.#updateHold();
  }

  /** Whether the socket waits for anything has changed. What changes back in the same turn costs nothing more. */
  holdSoon(): void {
    if (this.#holdQueued) return;
    this.#holdQueued = true;
    setImmediate(updateHold, this);
  }

  /** A handle of Node's keeps the process alive while it waits for something: a paused socket with nothing to send does not. */
  updateHold(): void {
    this.#holdQueued = false;
    this.#updateHold();
  }

  #updateHold(): void {
    const holds = this.referenced && (this.given || this.socket.connecting || this.reader.reading || this.writer.pending);
    if (holds === this.#holds || !this.#usable) return;
    this.#holds = holds;
    STPsetopt(this.descriptor, STP_REF, holds);
  }

  setNoDelay(enable: boolean): void {
    if (this.#usable) STPsetsockopt(this.descriptor, SOL_SOCKET, TCP_NODELAY, enable);
  }

  setKeepAlive(enable: boolean): void {
    if (this.#usable) STPsetsockopt(this.descriptor, SOL_SOCKET, SO_KEEPALIVE, enable);
  }

  get #usable(): boolean {
    return this.open && this.descriptor !== NO_DESCRIPTOR;
  }

  /** Addresses of both ends; only while it is connected. */
  names(): Names {
    this.#names ??= shownNames(STPgethostname(this.descriptor), STPgetpeername(this.descriptor), this.#ips);
    return this.#names;
  }

  /** Reading has failed. */
  fail(error: Error): void {
    if (this.failAbove === undefined) this.socket.destroy(error);
    else this.failAbove(error);
  }

  /** Ends the outgoing direction. */
  shutdown(): void {
    if (!this.#usable || this.given) return;
    try {
      STPshutdown(this.descriptor, SENDING);
    } catch (error) {
      // The connection is gone. Its reader tells of it; native is content too when it shuts down what is not connected.
      failureOf(error);
    }
  }

  /** Closes the descriptor; `hard` resets the connection. What was sent is delivered still, which nobody here waits for. */
  close(hard: boolean): void {
    if (!this.#usable) {
      this.#end();
      return;
    }
    if (hard && !this.given) STPsetsockopt(this.descriptor, SOL_SOCKET, SO_LINGER, RESET);
    this.#end();
    // Rejected where not all was delivered. TCP does not tell a socket that has been destroyed either.
    STPclose(this.descriptor).catch(() => undefined);
  }

  /** The descriptor closed itself: another process has the connection. */
  closedByTake(): void {
    this.#end();
  }

  #end(): void {
    if (!this.open) return;
    this.open = false;
    this.reader.stop();
    this.writer.abandon();
    this.#resource.emitDestroy();
  }
}

/** A give ran out, or the connection was reset under it: nothing is read that could tell. */
function failGive(this: Connection): void {
  const errno = STPgetsockopt(this.descriptor, SOL_SOCKET, SO_ERROR) as number;
  this.socket.destroy(errnoError({ code: errno === 0 ? 'ECONNRESET' : util.getSystemErrorName(-errno), errno: -errno }, 'give'));
}

function updateHold(connection: Connection): void {
  connection.updateHold();
}

function announce(this: Reader, bytes: number): void {
  this.announce(bytes);
}

function settle(this: { settle(): void }): void {
  this.settle();
}

function resume(this: Writer): void {
  this.resume();
}
