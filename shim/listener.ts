/**
 * The STP side of a net.Server: a listening descriptor, and the sockets that come out of it.
 *
 * A server listens on STP alone (then this stands for the handle that it has not), or beside its TCP handle. Accepted sockets belong to the
 * async context in which the server began to listen, as with TCP, and not to whatever the poller was about to do.
 */
import { AsyncResource } from 'node:async_hooks';
import { channel } from 'node:diagnostics_channel';
import net from 'node:net';
import {
  MSG_DONTWAIT,
  PF_STP,
  SO_REUSEPORT,
  SOCK_STREAM,
  SOL_SOCKET,
  type SocketWatcher,
  STP_REF,
  STP_WATCHER,
  STPaccept,
  STPbind,
  STPclose,
  STPgethostname,
  STPlisten,
  STPsetopt,
  STPsetsockopt,
  STPsocket,
} from '../src/index';
import { boundAddress, loopbackOf } from './addresses';
import { type InternalServer, type InternalSocket, kAsyncId, kSetKeepAlive, kSetKeepAliveInitialDelay, kSetNoDelay, ZERO_CONNECTIONS_LIMIT } from './internals';
import { failure, failureOf, listenError } from './node-errors';
import { note } from './note';
import { adopt } from './stp-socket';

/** Pause before accepting again where the process or the region had no room for a socket, milliseconds. */
const RETRY_MS = 100;

const serverSockets = channel('net.server.socket');

export interface ListenerOptions {
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  readonly backlog: number;
  /** No TCP beside it. */
  readonly alone: boolean;
  /** Others may listen at the port as well. */
  readonly shared: boolean;
  /** Nothing comes by TCP: without this the server is of no use. */
  readonly required: boolean;
}

export class Listener implements SocketWatcher {
  readonly server: InternalServer;
  readonly descriptor: number;
  readonly boundPort: number;
  /** No TCP beside it. */
  readonly alone: boolean;
  readonly #host: string;
  readonly #required: boolean;
  /** What a socket calls itself and a peer of this system: the address the server listens at, where that is one. */
  readonly #ip: string;
  readonly #resource: AsyncResource;
  open = true;
  #retry: NodeJS.Timeout | undefined;

  /** Binds and listens; throws what the calls throw. */
  constructor(server: InternalServer, { host, port, backlog, alone, shared, required }: ListenerOptions) {
    this.server = server;
    this.alone = alone;
    this.#host = host;
    this.#required = required;
    this.#ip = net.isIPv6(host) && host !== '::' ? loopbackOf(6) : loopbackOf(4);
    this.descriptor = STPsocket(PF_STP, SOCK_STREAM, PF_STP);
    try {
      if (shared) STPsetsockopt(this.descriptor, SOL_SOCKET, SO_REUSEPORT, true);
      STPbind(this.descriptor, boundAddress(host, port));
      STPlisten(this.descriptor, backlog);
      STPsetopt(this.descriptor, STP_WATCHER, this);
      this.boundPort = STPgethostname(this.descriptor).port;
    } catch (error) {
      STPclose(this.descriptor).catch(() => undefined);
      throw error;
    }
    this.#resource = new AsyncResource('STPSERVER', { requireManualDestroy: true });
    if (alone) server[kAsyncId] = this.#resource.asyncId();
    if (server._unref) this.setReferenced(false);
  }

  setReferenced(referenced: boolean): void {
    if (this.open) STPsetopt(this.descriptor, STP_REF, referenced);
  }

  /** Ends listening: whoever waits in the queue is refused. */
  close(): void {
    if (!this.open) return;
    this.open = false;
    clearTimeout(this.#retry);
    STPclose(this.descriptor).catch(() => undefined);
    this.#resource.emitDestroy();
  }

  run(fn: () => void): void {
    this.#resource.runInAsyncScope(fn);
  }

  /** SocketWatcher: this process was taken for dead, and another has taken the port since. TCP has no such thing; the error is the one of a listen. */
  reset(): void {
    if (!this.open) return;
    const { server, boundPort } = this;
    const error = listenError(failure('EADDRINUSE'), this.#host, boundPort);
    this.close();
    note(server, 'PORT_TAKEN', `listen ${this.#host}:${boundPort}`, error);
    if (!this.#required) return;
    server._handle?.close();
    server._handle = null;
    this.run(() => {
      server.emit('error', error);
    });
  }

  /** SocketWatcher: requests wait in the queue. */
  acceptable(): void {
    this.#resource.runInAsyncScope(acceptAll, this);
  }

  /** Takes every request that waits. */
  acceptAll(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    while (this.open) {
      let descriptor: number;
      try {
        descriptor = STPaccept(this.descriptor, MSG_DONTWAIT) as number;
      } catch (error) {
        // No room for a socket here (EMFILE) or in the region (ENOSPC): the request keeps its place in the queue.
        failureOf(error);
        this.#acceptLater(RETRY_MS);
        return;
      }
      if (descriptor < 0) return;
      try {
        this.#welcome(descriptor);
      } catch (error) {
        // A listener of the program threw; those behind in the queue were told of once.
        this.#acceptLater(0);
        throw error;
      }
    }
  }

  #acceptLater(delayMs: number): void {
    this.#retry = setTimeout(() => {
      this.acceptable();
    }, delayMs);
    this.#retry.unref();
  }

  #welcome(descriptor: number): void {
    const { server } = this;
    const socket = this.#socketFor(descriptor);
    const limit = server.maxConnections as number | null | undefined;
    const full = isLimit(limit) && server._connections >= limit;
    if (full) this.#tellDrop(socket);
    if (full || this.#isBlocked(socket)) {
      socket.destroy();
      return;
    }
    server._connections += 1;
    socket.server = server;
    socket._server = server;
    if (server.pauseOnConnect) (socket as unknown as { readableFlowing: boolean }).readableFlowing = false;
    else socket.read(0);
    server.emit('connection', socket);
    if (serverSockets.hasSubscribers) serverSockets.publish({ socket });
  }

  #tellDrop(socket: InternalSocket): void {
    const { localAddress, localPort, localFamily, remoteAddress, remotePort, remoteFamily } = socket;
    this.server.emit('drop', { localAddress, localPort, localFamily, remoteAddress, remotePort, remoteFamily } as net.DropArgument);
  }

  #isBlocked(socket: InternalSocket): boolean {
    if (this.server.blockList === undefined) return false;
    const { remoteAddress = '' } = socket;
    return this.server.blockList.check(remoteAddress, net.isIPv6(remoteAddress) ? 'ipv6' : 'ipv4');
  }

  #socketFor(descriptor: number): InternalSocket {
    const { server } = this;
    const socket = new net.Socket({
      allowHalfOpen: server.allowHalfOpen,
      readable: true,
      writable: true,
      readableHighWaterMark: server.highWaterMark,
      writableHighWaterMark: server.highWaterMark,
    } as net.SocketConstructorOpts) as unknown as InternalSocket;
    const connection = adopt(socket, { descriptor, ownIp: this.#ip, accepted: true });
    note(socket, 'ACCEPTED', `accept :${this.boundPort}`);
    if (server.noDelay) {
      socket[kSetNoDelay] = true;
      connection.setNoDelay(true);
    }
    if (server.keepAlive) {
      socket[kSetKeepAlive] = true;
      socket[kSetKeepAliveInitialDelay] = server.keepAliveInitialDelay;
      connection.setKeepAlive(true);
    }
    return socket;
  }
}

function isLimit(value: number | null | undefined): value is number {
  return value !== undefined && value !== null && (value !== 0 || ZERO_CONNECTIONS_LIMIT);
}

function acceptAll(this: Listener): void {
  this.acceptAll();
}
