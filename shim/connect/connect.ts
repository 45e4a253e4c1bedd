/**
 * Socket.prototype.connect: what must be done before net.js begins.
 *
 * Which way a connection goes is decided by its handle (attempt.ts), when the address is known. Two things can't wait
 * for that: names that only the region knows, and sockets on which the program may put TLS at once, which takes the
 * handle that is there.
 */
import net from 'node:net';
import { type Configuration } from '../configuration';
import { StpError } from '../../src/index';
import { StpStream } from '../handle/stream';
import { type Handle, kOwner, tcpPrototype } from '../node/handles';
import { connectArguments, type InternalSocket, isObject, kReinitializeHandle } from '../node/internals';
import { placeHandle } from '../node/place';
import { note } from '../note';
import { connectStream, open } from './attempt';
import { decide, wantedFor } from './decision';
import { rememberHost } from './host';
import { lookupFor } from './lookup';

export type Native = (this: unknown, ...args: unknown[]) => unknown;

export function connect(settings: Configuration, native: Native, self: unknown, args: readonly unknown[]): unknown {
  const socket = self as InternalSocket;
  const [options, callback] = connectArguments(args);
  const byNode = (): unknown => Reflect.apply(native, self, args);
  if (!isObject(options) || socket._parent?.connecting === true) return byNode();
  if (options['path']) {
    note(socket, 'UNIX_PATH', 'connect');
    return byNode();
  }
  const host = options['host'] ? options['host'] : 'localhost';
  const port = Number(options['port']);
  if (typeof host !== 'string' || host.includes('\0') || !(port >= 0 && port <= 65_535)) return byNode();
  rememberHost(socket, host);
  const { wanted, byRule } = wantedFor(settings, host, port);
  if (wanted === 'tcp') return byNode();
  if (wanted === 'stp') note(socket, byRule ? 'RULE_STP' : 'MODE_STP', `connect ${host}:${port}`);
  const lookup =
    options['lookup'] === undefined || options['lookup'] === null ? ownLookup(host, wanted === 'stp') : undefined;
  const next = lookup === undefined ? options : { ...options, lookup };
  const closed = wanted === 'stp';
  if (socket.encrypted === true) ownNextHandles(socket);
  const certain =
    closed || (socket.encrypted !== true && net.isIP(host) !== 0 && decide(settings, host, host, port).way === 'stp');
  const connected = Reflect.apply(native, self, callback === null ? [next] : [next, callback]);
  if (certain) placeEarly(settings, socket);
  return connected;
}

/** A region that can't be opened knows no names; the connect itself will tell. */
function ownLookup(host: string, closed: boolean): ReturnType<typeof lookupFor> {
  try {
    return lookupFor(host, closed);
  } catch (error) {
    if (error instanceof StpError) return undefined;
    throw error;
  }
}

/**
 * Puts a handle of ours under a socket that goes by STP for certain, in place of the one that net.js has just made: it
 * connects in a later tick. A TLS socket has its handle already, over which the TLS part lies.
 */
function placeEarly(settings: Configuration, socket: InternalSocket): void {
  const handle = socket._handle?._parent ?? socket._handle;
  if (handle === null || !socket.connecting || Object.getPrototypeOf(handle) !== tcpPrototype) return;
  placeHandle(socket, newStream(settings));
}

/**
 * @note Node 20 to 26: for each further address of a name net.js makes a TCP handle. A TLS socket puts its TLS part
 * over it and does not say whose it is, so that its connect could not be told from another's.
 */
function ownNextHandles(socket: InternalSocket): void {
  if (Object.hasOwn(socket, kReinitializeHandle)) return;
  const native = socket[kReinitializeHandle];
  if (typeof native !== 'function') return;
  const reinitialize = (handle: Handle | undefined): void => {
    if (handle !== undefined) handle[kOwner] = socket;
    Reflect.apply(native, socket, [handle]);
  };
  Object.defineProperty(socket, kReinitializeHandle, { value: reinitialize, configurable: true, writable: true });
}

let connector: StpStream['onConnect'];

/** A handle for a socket whose address is not known yet. */
function newStream(settings: Configuration): StpStream {
  const stream = new StpStream();
  connector ??= (self, request, ip, port) => connectStream(settings, self, request, ip, port);
  stream.onConnect = connector;
  stream.onOpen = open;
  return stream;
}
