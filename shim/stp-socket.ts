/**
 * A net.Socket that goes by STP: the methods that net.js would run on a handle, run on STP calls instead.
 *
 * The socket stays the object that the program has, of its own class. Between it and its prototype a layer is put that holds these methods, so
 * that all STP sockets of a class share their shape. `_handle` stays null: a JavaScript object there makes `child.send(msg, socket)` end the process.
 *
 * @note Node 20 to 26: `_read`, `_writeGeneric`, `_final`, `_destroy`, `_getpeername`, `_getsockname`, `_reset`, `_parent`, `_server` and
 * `_unrefTimer` are what net.js and its users (http, tls, http2) call on each other's sockets.
 */
import net from 'node:net';
import { type StpClientId } from '../src/index';
import { Connection, type ConnectionOptions } from './connection';
import { giveSocket } from './give';
import {
  BOUND_SESSION_KEYS,
  type InternalServer,
  type InternalSocket,
  kBuffer,
  kBufferGenerator,
  kSetKeepAlive,
  kSetKeepAliveInitialDelay,
  kSetNoDelay,
  kTimeout,
  type SocketName,
  type WriteCallback,
  type WriteChunk,
} from './internals';
import { boundTo } from './wrapping';

/** Where a socket keeps its connection. Not enumerable: programs that copy or print sockets see nothing new. */
const kConnection = Symbol('stp-net.connection');

/** The connection under a socket; undefined for one that does not go by STP. */
export function connectionOf(socket: unknown): Connection | undefined {
  return (socket as { [kConnection]?: Connection })[kConnection];
}

/** What the methods use of net.Socket, written as methods so that they can be overridden here. */
interface NativeMethods {
  connecting: boolean;
  resetAndClosing?: boolean;
  readonly writableLength: number;
  _parent: InternalSocket | null;
  _server: InternalServer | null;
  _pendingData: unknown;
  _peername?: SocketName | null;
  _sockname?: SocketName | null;
  emit(event: string, ...values: unknown[]): boolean;
  once(event: string, listener: () => void): this;
  pause(): this;
  resume(): this;
  read(size?: number): unknown;
  resetAndDestroy(): this;
  _read(size: number): void;
  _reset(): void;
  _unrefTimer(): void;
  _writeGeneric(writev: boolean, data: unknown, encoding: string, callback: WriteCallback): void;
  [internal: symbol]: unknown;
}

/** Never constructed: its prototype is where the methods are copied from, and `super` is net.Socket itself. */
const NativeSocket = net.Socket as unknown as new () => NativeMethods;

class StpMethods extends NativeSocket {
  declare [kConnection]: Connection;

  get pending(): boolean {
    return this.connecting || !this[kConnection].open;
  }

  get bytesRead(): number {
    return this[kConnection].bytesRead;
  }

  /** What net.js adds the bytes to that it has buffered itself, for `bytesWritten`. */
  get _bytesDispatched(): number {
    return this[kConnection].bytesDispatched;
  }

  get bufferSize(): number | undefined {
    return this[kConnection].open ? this.writableLength : undefined;
  }

  override _read(size: number): void {
    const { reader, open } = this[kConnection];
    // Native puts a read off until 'connect'.
    if (this.connecting || !open) super._read(size);
    else if (!reader.reading) reader.start();
  }

  _write(data: string | Uint8Array, encoding: BufferEncoding, callback: WriteCallback): void {
    const connection = this[kConnection];
    // Native puts a write off until 'connect', and fails one after the close.
    if (this.connecting || !connection.open) {
      super._writeGeneric(false, data, encoding, callback);
      return;
    }
    this._pendingData = null;
    this._unrefTimer();
    connection.writer.write(data, encoding, callback);
  }

  _writev(chunks: WriteChunk[], callback: WriteCallback): void {
    const connection = this[kConnection];
    if (this.connecting || !connection.open) {
      super._writeGeneric(true, chunks, '', callback);
      return;
    }
    this._pendingData = null;
    this._unrefTimer();
    connection.writer.writeAll(chunks, callback);
  }

  override _writeGeneric(writev: boolean, data: unknown, encoding: string, callback: WriteCallback): void {
    if (writev) this._writev(data as WriteChunk[], callback);
    else this._write(data as string | Uint8Array, encoding as BufferEncoding, callback);
  }

  _final(callback: WriteCallback): void {
    if (this.connecting) {
      this.once('connect', () => {
        this._final(callback);
      });
      return;
    }
    this[kConnection].shutdown();
    callback();
  }

  _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.connecting = false;
    clearTimeouts(this);
    const connection = this[kConnection];
    connection.close(this.resetAndClosing === true);
    this.resetAndClosing = false;
    this._sockname = null;
    callback(error);
    // Native closes its handle, which takes until the end of this turn of the loop.
    setImmediate(emitClose, this, connection, Boolean(error));
    const server = this._server;
    if (server === null) return;
    server._connections -= 1;
    server._emitCloseIfDrained();
  }

  override resetAndDestroy(): this {
    if (!this[kConnection].open) return super.resetAndDestroy();
    if (this.connecting) {
      this.once('connect', () => {
        this._reset();
      });
    } else this._reset();
    return this;
  }

  _getpeername(): SocketName {
    const connection = this[kConnection];
    if (connection.open && !this.connecting) this._peername ??= connection.names().remote;
    return this._peername ?? connection.early?.remote ?? {};
  }

  _getsockname(): SocketName {
    const connection = this[kConnection];
    if (!connection.open || this.connecting) return connection.early?.local ?? {};
    this._sockname ??= connection.names().local;
    return this._sockname;
  }

  ref(): this {
    this[kConnection].setReferenced(true);
    return this;
  }

  unref(): this {
    this[kConnection].setReferenced(false);
    return this;
  }

  setNoDelay(enable?: boolean): this {
    const wanted = enable ?? true;
    if (this[kSetNoDelay] !== wanted && !this.connecting) this[kConnection].setNoDelay(wanted);
    this[kSetNoDelay] = wanted;
    return this;
  }

  /** From Node 26 on also `({ enable, initialDelay, ... })`. */
  setKeepAlive(enable?: unknown, initialDelayMs?: number): this {
    const options = typeof enable === 'object' && enable !== null ? (enable as { enable?: unknown; initialDelay?: number }) : { enable, initialDelay: initialDelayMs };
    const wanted = Boolean(options.enable);
    if (this[kSetKeepAlive] !== wanted && !this.connecting) this[kConnection].setKeepAlive(wanted);
    this[kSetKeepAlive] = wanted;
    this[kSetKeepAliveInitialDelay] = Math.trunc((options.initialDelay ?? 0) / 1000);
    return this;
  }

  /**
   * Hands the connection to another process: resolves with the token that its `stpTake` takes. What was read and not used, and what was
   * written and not sent, goes with it. `clientId` says who may take it (STPgetclientid of the taker); by default anyone who has the token.
   */
  stpGive(clientId?: StpClientId | null): Promise<string> {
    return giveSocket(this as unknown as InternalSocket, this[kConnection], clientId ?? null);
  }
}

/** With `onread` the stream's own flow control is out of play: reading follows pause and resume at once. */
class StpOnreadMethods extends StpMethods {
  override pause(): this {
    if (!this.connecting) this[kConnection].reader.stop();
    return super.pause();
  }

  override resume(): this {
    startReading(this);
    return super.resume();
  }

  override read(size?: number): unknown {
    startReading(this);
    return super.read(size);
  }
}

function startReading(socket: StpOnreadMethods): void {
  const { reader, open } = socket[kConnection];
  if (open && !socket.connecting && !reader.reading) reader.start();
}

function emitClose(socket: StpMethods, connection: Connection, hadError: boolean): void {
  connection.run(emitCloseNow, socket, hadError);
}

function emitCloseNow(this: StpMethods, hadError: boolean): void {
  this.emit('close', hadError);
}

/** Those of the socket, and of what it stands on. */
function clearTimeouts(socket: object): void {
  for (let each: InternalSocket | null = socket as InternalSocket; each; each = each._parent) clearTimeout(each[kTimeout] as NodeJS.Timeout | undefined);
}

/** http2 sets this on a socket that a session is bound to. */
const boundSession: PropertyDescriptor & ThisType<StpMethods> = {
  get() {
    return this[kConnection].boundSession;
  },
  set(session: unknown) {
    const connection = this[kConnection];
    connection.boundSession = session;
    boundTo(session, this as unknown as InternalSocket, connection);
  },
  configurable: true,
};

/** Layers by the prototype that they lie on, without and with `onread`. */
const layers = [new WeakMap<object, object>(), new WeakMap<object, object>()] as const;

function layerOn(base: object, onread: boolean): object {
  const cache = layers[onread ? 1 : 0];
  let layer = cache.get(base);
  if (layer === undefined) {
    const methods: PropertyDescriptorMap = {
      ...Object.getOwnPropertyDescriptors(StpMethods.prototype),
      ...(onread ? Object.getOwnPropertyDescriptors(StpOnreadMethods.prototype) : {}),
    };
    // The class of a socket stays what it is.
    Reflect.deleteProperty(methods, 'constructor');
    for (const key of BOUND_SESSION_KEYS) Object.assign(methods, { [key]: boundSession });
    cache.set(base, (layer = Object.create(base, methods) as object));
  }
  return layer;
}

/** Makes a socket one of STP. It may be connecting still; it must have no handle. */
export function adopt(socket: InternalSocket, options: ConnectionOptions): Connection {
  release(socket);
  const connection = new Connection(socket, options);
  Object.defineProperty(socket, kConnection, { value: connection, configurable: true, writable: true });
  const onread = Boolean(socket[kBuffer]);
  // As net.js does when a socket gets its handle.
  const generated = onread ? (socket[kBufferGenerator] as (() => unknown) | null | undefined)?.() : undefined;
  if (generated instanceof Uint8Array) socket[kBuffer] = generated;
  Object.setPrototypeOf(socket, layerOn(Object.getPrototypeOf(socket) as object, onread));
  return connection;
}

/** Makes it Node's own again: it did not come to an STP connection, or is used a second time. */
export function release(socket: InternalSocket): void {
  if (connectionOf(socket) === undefined) return;
  Object.setPrototypeOf(socket, Object.getPrototypeOf(Object.getPrototypeOf(socket)) as object);
  Reflect.deleteProperty(socket, kConnection);
}
