/**
 * What the shim touches of Node's own sockets, servers and handles beyond their documented surface, in one place.
 *
 * @note Node 20 to 26 keep these under symbols that are not exported. They are found by description on a sample socket,
 * which is made when the hook is loaded, before the program's first line runs.
 */
import net from 'node:net';

/** What getsockname and getpeername of a handle fill in. */
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

/** What net.js hands to `handle.connect`. It takes `oncomplete` away where it has given the attempt up. */
export interface ConnectRequest {
  oncomplete?: (status: number, handle: object, request: object, readable: boolean, writable: boolean) => void;
}

/** The handle of a socket or a server: Node's own of TCP, or ours. */
export interface Handle {
  onread?: unknown;
  onconnection?: unknown;
  reading?: boolean;
  /** Of TLS: the handle below. */
  _parent?: Handle;
  _secureContext?: unknown;
  close(callback?: () => void): void;
  ref?(): void;
  unref?(): void;
  hasRef?(): boolean;
  getAsyncId(): number;
  getsockname(out: SocketName): number;
  useUserBuffer?(buffer: Uint8Array): void;
  /** Of TLS. */
  enableSessionCallbacks?(): void;
  enableKeylogCallback?(): void;
  [internal: symbol]: unknown;
}

/** The methods of Node's TCP handle that are patched: net.js calls them, and nothing else does. */
export interface TcpPrototype {
  bind(address: string, port: number, flags?: number): number;
  bind6(address: string, port: number, flags?: number): number;
  listen(backlog: number): number;
  connect(request: ConnectRequest, address: string, port: number): number;
  connect6(request: ConnectRequest, address: string, port: number): number;
}

type NativeConnect = (this: TcpHandle, request: ConnectRequest, ip: string, port: number) => number;

export type TcpHandle = Handle & TcpPrototype;

/** A net.Socket with the fields that net.js itself works on. */
export interface InternalSocket extends Omit<net.Socket, 'connecting'> {
  connecting: boolean;
  readonly encrypted?: boolean;
  ssl?: unknown;
  _handle: Handle | null;
  _parent: InternalSocket | null;
  _host: string | null;
  _sockname?: SocketName | null;
  _peername?: SocketName | null;
  _pendingData: unknown;
  _pendingEncoding: string;
  _unrefTimer(): void;
  _undestroy(): void;
  _reset(): void;
  [internal: symbol]: unknown;
}

export interface InternalServer extends net.Server {
  _handle: Handle | null;
  _connectionKey?: string;
  [internal: symbol]: unknown;
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
  const marked = Array.isArray(first) && Object.getOwnPropertySymbols(first).length > 0;
  return marked ? (first as unknown as NormalizedArguments) : normalizeArguments(args);
}

/** A symbol that no object has stands for one that this Node has not. */
function symbolOf(object: object, description: string): symbol {
  return (
    Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === description) ?? Symbol(description)
  );
}

/**
 * A socket whose handle has been made and that has not begun to connect.
 * @note Node 20 to 26 make the handle at once and connect to an IP address a tick later, unless the socket was
 * destroyed.
 */
function sampleSocket(): { socket: InternalSocket; handle: TcpHandle } {
  const socket = new net.Socket() as unknown as InternalSocket;
  (socket as unknown as net.Socket).connect(1, '127.0.0.1');
  const handle = socket._handle as TcpHandle;
  socket.destroy();
  return { socket, handle };
}

const sample = sampleSocket();

/** Where the methods of Node's TCP handle lie. */
export const tcpPrototype = Object.getPrototypeOf(sample.handle) as TcpPrototype;
/** They as they are before they are patched. */
const { connect, connect6 } = tcpPrototype as unknown as Record<'connect' | 'connect6', NativeConnect>;

/** Connects a TCP handle in Node's own way. */
export function connectByTcp(handle: TcpHandle, request: ConnectRequest, ip: string, port: number): number {
  return (net.isIPv6(ip) ? connect6 : connect).call(handle, request, ip, port);
}

/** Makes a TCP handle of Node's own for a client. */
export function makeTcpHandle(): TcpHandle {
  const CLIENT = 0;
  return new (sample.handle.constructor as new (type: number) => TcpHandle)(CLIENT);
}

/** Under which a handle has the socket or server that it belongs to. */
export const kOwner = symbolOf(sample.handle, 'owner_symbol');
export const kAsyncId = symbolOf(sample.socket, 'async_id_symbol');
/** The `onread` option: a buffer, or `true` beside a generator of buffers. */
export const kBuffer = symbolOf(sample.socket, 'kBuffer');
/** The generator of buffers of the `onread` option, or null. */
export const kBufferGen = symbolOf(sample.socket, 'kBufferGen');
/** All bytes of a write that is under way: net.js compares them with what waits when a timeout runs out. */
export const kLastWriteQueueSize = symbolOf(sample.socket, 'lastWriteQueueSize');
/** Puts a handle under a socket; TLS sockets have one of their own that makes the TLS part anew. */
export const kReinitializeHandle = symbolOf(net.Socket.prototype, 'kReinitializeHandle');

const MAJOR = Number(process.versions.node.split('.')[0]);

/**
 * @note Node 20 tells the callback of a write that a destroy cut short that all is well; from 22 on it says ECANCELED.
 */
export const CANCELED_WRITES_FAIL = MAJOR >= 22;

export function isObject(value: unknown): value is Record<PropertyKey, unknown> {
  return typeof value === 'object' && value !== null;
}

/** The socket or server that a handle belongs to; undefined: none yet. */
export function ownerOf(handle: object): unknown {
  return (handle as Record<symbol, unknown>)[kOwner];
}

/**
 * True where a TLS socket stands on the handle of another socket.
 * @note Node 20 to 26 give such a handle a property `reading` that leads to the TLS socket (defineHandleReading).
 */
export function carriesTls(handle: Handle): boolean {
  return Object.getOwnPropertyDescriptor(handle, 'reading')?.get !== undefined;
}
