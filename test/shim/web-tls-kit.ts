/** What the scenarios of tls have in common: a server and a client that log what they see. */
import type net from 'node:net';
import tls from 'node:tls';
import { type Log } from './scenario-kit';
import { read, secure, shown, sleep, tell, trust } from './web-kit';

export const SECURE_EVENTS = [
  'lookup',
  'connectionAttempt',
  'connect',
  'ready',
  'secureConnect',
  'OCSPResponse',
  'end',
  'timeout',
  'error',
  'close',
];
const ACCEPTED_EVENTS = ['end', 'timeout', 'error', 'close'];

/** Logs connections, handshakes and their failures, each with the number of its connection. */
export function secureServer(
  log: Log,
  options: tls.TlsOptions,
  use: (socket: tls.TLSSocket, who: string) => void = (socket) => {
    socket.end('x');
  },
): tls.Server {
  const server = tls.createServer({ ...secure, ...options }, (socket) => {
    const who = `#${connections}`;
    log.add(who, 'secureConnection', socket.constructor.name);
    tell(socket, log, who, ACCEPTED_EVENTS);
    use(socket, who);
  });
  let connections = 0;
  server.on('connection', (socket: net.Socket) => {
    connections += 1;
    log.name(socket.remotePort, 'CLIENT');
    log.add(`#${connections}`, 'connection', socket.constructor.name);
  });
  server.on('tlsClientError', (error, socket) => {
    log.add(`#${connections}`, 'tlsClientError', shown(error), socket.constructor.name, socket.destroyed);
    socket.destroy();
  });
  return tell(server, log, 'server', ['close', 'error']);
}

export type Options = tls.ConnectionOptions & {
  allowHalfOpen?: boolean;
  signal?: AbortSignal;
  onread?: net.OnReadOpts;
};

/** As a variable: what Node takes and its types do not have is no error then. */
export const connect = (options: Options): tls.TLSSocket => tls.connect(options);

/** Connects and logs everything until it has closed. */
export async function visit(
  port: number,
  log: Log,
  who: string,
  options: Options = {},
  use?: (socket: tls.TLSSocket) => void,
): Promise<tls.TLSSocket> {
  const socket = tell(connect({ port, ...trust, ...options }), log, who, SECURE_EVENTS);
  const text = read(socket);
  use?.(socket);
  log.add(who, await text, socket.bytesWritten > 0, socket.authorized, socket.authorizationError);
  // What the other end sees last comes before the next visit.
  await sleep(5);
  return socket;
}

export const state = (socket: tls.TLSSocket): unknown[] => [
  socket.encrypted,
  socket.authorized,
  socket.connecting,
  socket.pending,
  socket.readyState,
  socket.destroyed,
  socket.allowHalfOpen,
  socket.timeout,
  socket.readable,
  socket.writable,
];
export const place = (socket: net.Socket): unknown[] => [
  socket.remoteAddress,
  socket.remoteFamily,
  socket.remotePort,
  socket.localAddress,
  socket.localFamily,
  socket.localPort,
  socket.address(),
];
