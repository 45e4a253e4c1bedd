/**
 * The serving side of the benches: an ordinary program that knows nothing of how its bytes travel.
 *
 * usage (forked): server.js [PATH]   without a path it listens on ports. Tells its parent { net, http }: where it
 * listens, and what it has used so far whenever it is asked. The first byte of a connection says what it wants: `e`
 * every byte back, `s` swallow all and tell how many there were.
 */
import http from 'node:http';
import net from 'node:net';

const ECHO = 'e'.charCodeAt(0);
/** An address, so that no name is looked up with each connect. */
export const HOST = '127.0.0.1';
const HTTP_BODY = 'hello from the bench\n';

/** What a process has used so far. */
export interface Usage {
  readonly cpuUs: number;
  readonly memoryBytes: number;
}

export function usage(): Usage {
  (globalThis as { gc?: () => void }).gc?.();
  const { user, system } = process.cpuUsage();
  return { cpuUs: user + system, memoryBytes: process.memoryUsage.rss() };
}

/** Where a server listens: a port or the path of a Unix socket. */
export interface BenchTargets {
  readonly net: number | string;
  readonly http: number | string;
}

function serve(socket: net.Socket): void {
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.once('data', (first: Buffer) => {
    if (first[0] === ECHO) echo(socket, first.subarray(1));
    else swallow(socket, first.length - 1);
  });
}

function echo(socket: net.Socket, first: Buffer): void {
  if (first.length > 0) socket.write(first);
  socket.on('data', (chunk: Buffer) => {
    socket.write(chunk);
  });
  socket.on('end', () => socket.end());
}

function swallow(socket: net.Socket, already: number): void {
  let bytes = already;
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  socket.on('end', () => socket.end(String(bytes)));
}

export function listen(server: net.Server, path: string | undefined): Promise<number | string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    if (path === undefined) server.listen(0, HOST);
    else server.listen(path);
    server.once('listening', () => {
      const address = server.address();
      if (address === null) throw new Error('listening without an address');
      resolve(typeof address === 'string' ? address : address.port);
    });
  });
}

export function webServer(): http.Server {
  return http.createServer({ keepAliveTimeout: 600_000 }, (_request, response) => {
    response.setHeader('content-type', 'text/plain');
    response.end(HTTP_BODY);
  });
}

async function main(): Promise<void> {
  const path = process.argv[2];
  const targets: BenchTargets = {
    net: await listen(net.createServer({ allowHalfOpen: true }, serve), path),
    http: await listen(webServer(), path === undefined ? undefined : `${path}.http`),
  };
  process.send?.(targets);
  process.on('message', () => process.send?.({ result: usage() }));
  process.once('disconnect', () => process.exit());
}

if (require.main === module) void main();
