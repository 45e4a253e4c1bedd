/**
 * Node's own TCP handles: their class, which net.js does not export, and the methods of it that the hook patches.
 *
 * Loaded with the hook: what the program puts in the place of Node's functions later is not what is found here.
 */
import net from 'node:net';
import { isIpv6 } from '../connect/own-addresses';

/** What getsockname and getpeername of a handle fill in. */
export interface SocketName {
  address?: string;
  family?: string;
  port?: number;
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

/** Node's class, also where the program has put another in its place. */
export const NodeSocket = net.Socket;

/** A symbol that no object has stands for one that this Node has not. */
export function symbolOf(object: object, description: string): symbol {
  return (
    Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === description) ?? Symbol(description)
  );
}

/**
 * The handle that net.js makes for a socket that is told to connect.
 *
 * @note Node 20 to 26 put it into `_handle` before they do anything else with it. The socket here ends the call at that
 * moment: a whole socket, connected and destroyed, takes a process three milliseconds of its start.
 */
function sampleHandle(): TcpHandle {
  let made: TcpHandle | undefined;
  const socket = Object.create(NodeSocket.prototype, {
    _handle: {
      get: () => undefined,
      set(handle: TcpHandle) {
        made = handle;
        throw ENOUGH;
      },
    },
  }) as net.Socket;
  try {
    socket.connect(1, '127.0.0.1');
  } catch (error) {
    if (error !== ENOUGH) throw error;
  }
  if (made === undefined) throw new TypeError('net.Socket.prototype.connect makes no handle in this Node');
  made.close();
  return made;
}

const ENOUGH = new Error('the handle is there');
const sample = sampleHandle();

/** Where the methods of Node's TCP handle lie. */
export const tcpPrototype = Object.getPrototypeOf(sample) as TcpPrototype;
/** They as they are before they are patched. */
const { connect, connect6 } = tcpPrototype as unknown as Record<'connect' | 'connect6', NativeConnect>;

/** Connects a TCP handle in Node's own way. */
export function connectByTcp(handle: TcpHandle, request: ConnectRequest, ip: string, port: number): number {
  return (isIpv6(ip) ? connect6 : connect).call(handle, request, ip, port);
}

/** Makes a TCP handle of Node's own for a client. */
export function makeTcpHandle(): TcpHandle {
  const CLIENT = 0;
  return new (sample.constructor as new (type: number) => TcpHandle)(CLIENT);
}

/** Under which a handle has the socket or server that it belongs to. */
export const kOwner = symbolOf(sample, 'owner_symbol');

/** The socket or server that a handle belongs to; undefined: none yet. */
export function ownerOf(handle: object): unknown {
  return (handle as Record<symbol, unknown>)[kOwner];
}
