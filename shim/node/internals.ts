/**
 * What the shim touches of Node's own sockets and servers beyond their documented surface; ./handles.ts has what it
 * touches of Node's handles.
 *
 * @note Node 20 to 26 keep these under symbols that are not exported. They are found by description on a sample socket.
 */
import net from 'node:net';
import { type Handle, NodeSocket, type SocketName, symbolOf } from './handles';

export type WriteCallback = (error?: Error | null) => void;

export interface WriteChunk {
  readonly chunk: string | Uint8Array;
  readonly encoding: BufferEncoding;
}

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

/**
 * A socket that has not begun to connect: it has no handle, so nothing that watches handles sees it.
 */
const sample = new NodeSocket() as unknown as InternalSocket;

export const kAsyncId = symbolOf(sample, 'async_id_symbol');
/** The `onread` option: a buffer, or `true` beside a generator of buffers. */
export const kBuffer = symbolOf(sample, 'kBuffer');
/** The generator of buffers of the `onread` option, or null. */
export const kBufferGen = symbolOf(sample, 'kBufferGen');
/** All bytes of a write that is under way: net.js compares them with what waits when a timeout runs out. */
export const kLastWriteQueueSize = symbolOf(sample, 'lastWriteQueueSize');
/** Puts a handle under a socket; TLS sockets have one of their own that makes the TLS part anew. */
export const kReinitializeHandle = symbolOf(NodeSocket.prototype, 'kReinitializeHandle');

const MAJOR = Number(process.versions.node.split('.')[0]);

/**
 * @note Node 20 tells the callback of a write that a destroy cut short that all is well; from 22 on it says ECANCELED.
 */
export const CANCELED_WRITES_FAIL = MAJOR >= 22;

export function isObject(value: unknown): value is Record<PropertyKey, unknown> {
  return typeof value === 'object' && value !== null;
}

/**
 * True where a TLS socket stands on the handle of another socket.
 * @note Node 20 to 26 give such a handle a property `reading` that leads to the TLS socket (defineHandleReading).
 */
export function carriesTls(handle: Handle): boolean {
  return Object.getOwnPropertyDescriptor(handle, 'reading')?.get !== undefined;
}
