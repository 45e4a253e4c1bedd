/** The TCP side of a bridge: sockets and listeners of Node's own, of which each direction ends by itself. */
import fs from 'node:fs';
import net from 'node:net';
import { type Duplex } from 'node:stream';
import { StpError } from '../errors';
import { clearTimeout, setTimeout } from '../host';
import { shownTcp, type TcpAddress } from './address';

const NOTHING = Buffer.alloc(0);

/** Options of Node's sockets; 0: none. */
function keepAliveOf(keepAliveMs: number): { keepAlive: boolean; keepAliveInitialDelay: number } {
  return { keepAlive: keepAliveMs > 0, keepAliveInitialDelay: keepAliveMs };
}

/** Connects; rejects with Node's error. Names are looked up here, where the connection goes out. */
export function connectTcp(
  to: TcpAddress,
  { connectTimeoutMs, keepAliveMs }: { readonly connectTimeoutMs: number; readonly keepAliveMs: number },
  signal?: AbortSignal,
): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ ...to, allowHalfOpen: true, noDelay: true, ...keepAliveOf(keepAliveMs) });
    const timer = setTimeout(() => {
      socket.destroy(new StpError('ETIMEDOUT', shownTcp(to), 'connect'));
    }, connectTimeoutMs);
    const giveUp = (): void => {
      socket.destroy(new StpError('ECONNABORTED', undefined, 'connect'));
    };
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', giveUp);
    };
    signal?.addEventListener('abort', giveUp, { once: true });
    const failed = (error: Error): void => {
      settle();
      reject(error);
    };
    socket.once('error', failed);
    socket.once('connect', () => {
      settle();
      socket.off('error', failed);
      resolve(socket);
    });
  });
}

/** Where a server listens, and how. */
export interface ListenPlace {
  readonly at: TcpAddress;
  /** A socket that listens there. */
  readonly fd?: number | undefined;
  readonly keepAliveMs: number;
}

/**
 * Listens; resolves with the server once it does. Accepted sockets are paused until they are joined. A Unix socket that
 * a killed process left behind is removed.
 */
export async function listenTcp(place: ListenPlace, accepted: (socket: net.Socket) => void): Promise<net.Server> {
  const { at, fd } = place;
  try {
    return await listenOnce(place, accepted);
  } catch (error) {
    const inUse = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    if (fd !== undefined || !('path' in at) || !inUse || !(await isLeft(at.path))) throw error;
    fs.unlinkSync(at.path);
    return listenOnce(place, accepted);
  }
}

/** True for the path of a Unix socket at which no process listens. */
function isLeft(path: string): Promise<boolean> {
  if (!fs.lstatSync(path).isSocket()) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = net.connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) => {
      resolve(code === 'ECONNREFUSED');
    });
  });
}

function listenOnce({ at, fd, keepAliveMs }: ListenPlace, accepted: (socket: net.Socket) => void): Promise<net.Server> {
  return new Promise((resolve, reject) => {
    const server = net.createServer(
      { allowHalfOpen: true, pauseOnConnect: true, noDelay: true, ...keepAliveOf(keepAliveMs) },
      accepted,
    );
    server.once('error', reject);
    const where = 'path' in at ? { path: at.path } : { host: at.host, port: at.port };
    server.listen(fd === undefined ? where : { fd }, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}

/** Ends a connection at once, so that the other side sees a reset and not an end. */
export function reset(stream: Duplex): void {
  if (stream.destroyed) return;
  // Only TCP has resets: a Unix socket is closed.
  if (!(stream instanceof net.Socket) || stream.remotePort === undefined) stream.destroy();
  // Node can't reset a socket whose end is under way: it would neither close it nor say so.
  else if (!stream.writableEnded || stream.writableFinished) stream.resetAndDestroy();
  else if (stream.writableLength > 0) stream.destroy();
  else stream.once('finish', () => stream.resetAndDestroy());
}

/**
 * Ends our direction once all bytes before have gone to the kernel. Until then the stream can still be reset: the other
 * side never takes a part for the whole.
 */
export function endWritten(stream: Duplex): void {
  if (!(stream instanceof net.Socket) || stream.writableLength === 0) stream.end();
  else
    stream.write(NOTHING, (error) => {
      if (!error) stream.end();
    });
}

/** How long a client that was refused has to read why. */
const LAST_WORDS_MS = 1000;

/** Ends a connection of which no more is wanted, once the client has read what was said, or soon. */
export function finish(stream: Duplex): void {
  stream.end();
  stream.resume();
  const timer = setTimeout(() => {
    stream.destroy();
  }, LAST_WORDS_MS);
  stream.once('close', () => {
    clearTimeout(timer);
  });
}
