/**
 * What the translator touches of Node's own sockets and servers beyond their documented surface, in one place.
 *
 * @note Node 20 to 26 keep the state of timeouts, of `onread` buffers and of options set before the connection in properties
 * whose symbols are not exported. They are found by description on a sample; where one is missing, what needs it is left out.
 */
import net from 'node:net';

export interface SocketName {
  address?: string;
  family?: string;
  port?: number;
}

export type WriteCallback = (error?: Error | null) => void;

export interface WriteChunk {
  readonly chunk: string | Uint8Array;
  readonly encoding: BufferEncoding;
}

/** A net.Socket with the fields that net.js itself works on. */
export interface InternalSocket extends Omit<net.Socket, 'connecting' | 'write'> {
  connecting: boolean;
  write: unknown;
  _handle: InternalHandle | null;
  _parent: InternalSocket | null;
  _server: InternalServer | null;
  server: InternalServer | null;
  _host: string | null;
  _peername?: SocketName | null;
  _sockname?: SocketName | null;
  _pendingData: unknown;
  _pendingEncoding: string;
  resetAndClosing?: boolean;
  blockList?: net.BlockList;
  _unrefTimer(): void;
  _undestroy(): void;
  _reset(): void;
  _getpeername(): SocketName;
  _getsockname(): SocketName;
  _writeGeneric(writev: boolean, data: unknown, encoding: string, callback: WriteCallback): void;
  [internal: symbol]: unknown;
}

export interface InternalServer extends net.Server {
  _handle: InternalHandle | null;
  _connections: number;
  _listeningId: number;
  _unref: boolean;
  _connectionKey?: string;
  allowHalfOpen: boolean;
  pauseOnConnect: boolean;
  noDelay: boolean;
  keepAlive: boolean;
  keepAliveInitialDelay: number;
  highWaterMark: number;
  blockList?: net.BlockList;
  _listen2?: (...args: unknown[]) => unknown;
  _emitCloseIfDrained(): void;
  [internal: symbol]: unknown;
}

export interface InternalHandle {
  close(callback?: () => void): void;
  getsockname?(out: SocketName): number;
  getpeername?(out: SocketName): number;
}

/** `[options, callback]`, as net hands it from one of its functions to the next. */
export type NormalizedArguments = [Record<string, unknown>, ((...args: unknown[]) => void) | null];

interface InternalNet {
  _normalizeArgs(args: readonly unknown[]): NormalizedArguments;
}

/** @note Node 20 to 26: net._normalizeArgs is exported, undocumented, and what net.connect and listen run on. */
export function normalizeArguments(args: readonly unknown[]): NormalizedArguments {
  return (net as unknown as InternalNet)._normalizeArgs(args);
}

/** Arguments of Socket.prototype.connect: net.connect passes them normalized, in one array that it has marked. */
export function connectArguments(args: readonly unknown[]): NormalizedArguments {
  const first = args[0];
  return Array.isArray(first) && Object.getOwnPropertySymbols(first).length > 0 ? (first as unknown as NormalizedArguments) : normalizeArguments(args);
}

const sample = new net.Socket();
const known = new Map<string | undefined, symbol>(Object.getOwnPropertySymbols(sample).map((symbol) => [symbol.description, symbol]));

/**
 * Under which symbol a socket keeps the http2 session that is bound to it: no socket has it before.
 * @note Node 20 to 26: setTimeout looks whether there is one.
 */
function watchSetTimeout(): void {
  const spy = new Proxy({ _onTimeout: () => undefined }, {
    get(target, key) {
      if (typeof key === 'symbol' && key.description !== undefined && !known.has(key.description)) known.set(key.description, key);
      return Reflect.get(target, key) as unknown;
    },
  });
  for (const timeoutMs of [1, 0]) Reflect.apply(Reflect.get(net.Socket.prototype, 'setTimeout'), spy, [timeoutMs]);
}
watchSetTimeout();

/** A symbol that no object has stands for one that this Node has not. */
function internal(description: string): symbol {
  return known.get(description) ?? Symbol(description);
}

export const kAsyncId = internal('async_id_symbol');
/**
 * Keys under which a socket keeps the http2 session that is bound to it.
 * @note Node 20 to 26: http2 takes the symbol from a module that does not export it, so that the property is named 'undefined'.
 */
export const BOUND_SESSION_KEYS: readonly PropertyKey[] = ['undefined', internal('kBoundSession')];
export const kTimeout = internal('timeout');
/** The `onread` option: a buffer, or `true` beside a generator of buffers. */
export const kBuffer = internal('kBuffer');
export const kBufferCallback = internal('kBufferCb');
export const kBufferGenerator = internal('kBufferGen');
/** What setNoDelay and setKeepAlive were told before there was a connection. */
export const kSetNoDelay = internal('kSetNoDelay');
export const kSetKeepAlive = internal('kSetKeepAlive');
export const kSetKeepAliveInitialDelay = internal('kSetKeepAliveInitialDelay');

/** The server has an async id only while it has a handle; its symbol is that of sockets. */
export const nativeSocket = net.Socket.prototype as unknown as InternalSocket;

/** @note Node 20: net.connect tells diagnostics_channel of a client's socket; from 22 on Socket.prototype.connect does. */
export function connectPublishes(native: unknown): boolean {
  return Function.prototype.toString.call(native).includes('netClientSocketChannel');
}

const MAJOR = Number(process.versions.node.split('.')[0]);

/** @note Node 20: maxConnections 0 means no limit; from 22 on it means none at all. */
export const ZERO_CONNECTIONS_LIMIT = MAJOR >= 22;

/** @note Node 20 tells the callback of a write that a destroy cut short that all is well; from 22 on it says ECANCELED. */
export const CANCELED_WRITES_FAIL = MAJOR >= 22;

export function isObject(value: unknown): value is Record<PropertyKey, unknown> {
  return typeof value === 'object' && value !== null;
}
