/** What is measured at a TCP port, whatever lies behind it. */
import { once } from 'node:events';
import net from 'node:net';
import { HOST, take } from '../kit';
import { DOWNLOAD } from './server';

const MESSAGE = Buffer.alloc(64, 'm');
const CALLERS = 8;

async function connect(port: number): Promise<net.Socket> {
  const socket = net.connect({ port, host: HOST, noDelay: true });
  await once(socket, 'connect');
  socket.on('error', () => undefined);
  return socket;
}

/** MB a second of one connection. */
export async function throughput(port: number, forMs: number): Promise<number> {
  const socket = await connect(port);
  let bytes = 0;
  const first = once(socket, 'data');
  socket.write(DOWNLOAD);
  await first;
  const beganMs = performance.now();
  socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
  await new Promise((resolve) => setTimeout(resolve, forMs));
  const seconds = (performance.now() - beganMs) / 1000;
  socket.destroy();
  return bytes / seconds / 1e6;
}

/** Microseconds of a small request, at half and at 99 of 100 of them. */
export async function latency(port: number, requests: number): Promise<{ p50: number; p99: number }> {
  const socket = await connect(port);
  const took: number[] = [];
  for (let i = 0; i < requests; i++) {
    const beganMs = performance.now();
    socket.write(MESSAGE);
    await take(socket, MESSAGE.length);
    took.push((performance.now() - beganMs) * 1000);
  }
  socket.destroy();
  took.sort((a, b) => a - b);
  return { p50: took[Math.floor(requests * 0.5)] ?? 0, p99: took[Math.floor(requests * 0.99)] ?? 0 };
}

/** Connections a second, each with one small request. */
export async function connections(port: number, forMs: number): Promise<number> {
  const endMs = performance.now() + forMs;
  let done = 0;
  const call = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const socket = await connect(port);
      socket.write(MESSAGE);
      await take(socket, MESSAGE.length);
      socket.destroy();
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, call));
  return done / (forMs / 1000);
}

/** Opens connections that say nothing more; the function makes each of them echo, and closes it. */
export async function idle(port: number, count: number): Promise<() => Promise<number>> {
  const sockets: net.Socket[] = [];
  while (sockets.length < count) {
    const some = await Promise.all(Array.from({ length: Math.min(50, count - sockets.length) }, () => connect(port)));
    for (const socket of some) socket.write('e');
    for (const socket of some) await take(socket, 1);
    sockets.push(...some);
  }
  return async () => {
    let echoed = 0;
    for (const socket of sockets) {
      socket.write('x');
      if ((await take(socket, 1)).toString() === 'x') echoed += 1;
      socket.destroy();
    }
    return echoed;
  };
}
