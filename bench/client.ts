/**
 * The measuring side of the benches: an ordinary program that knows nothing of how its bytes travel.
 *
 * Forked; its parent sends { name, targets, scale } and gets { values } or { error } back, until it disconnects.
 */
import http from 'node:http';
import net from 'node:net';
import { type BenchTargets } from './server';

export interface BenchRequest {
  readonly name: BenchName;
  readonly targets: BenchTargets;
  /** 1 for a full measurement; a fraction of it for a try that only shows that it works. */
  readonly scale: number;
}

/** Metric -> value, in the unit that the metric's name ends with. */
export type BenchValues = Readonly<Record<string, number>>;
export interface BenchAnswer {
  readonly values?: BenchValues;
  readonly error?: string;
}

const BENCHES = {
  'round-trip': (request: BenchRequest) => roundTrip(request.targets.net, 64, count(20_000, request)),
  'stream-64b': (request: BenchRequest) => stream(request.targets.net, 64, count(400_000, request)),
  'stream-64kib': (request: BenchRequest) => stream(request.targets.net, 65_536, count(30_000, request)),
  'http-1': (request: BenchRequest) => requests(request.targets.http, 1, count(8_000, request)),
  'http-50': (request: BenchRequest) => requests(request.targets.http, 50, count(20_000, request)),
} as const satisfies Record<string, (request: BenchRequest) => Promise<BenchValues>>;

export type BenchName = keyof typeof BENCHES;
export const BENCH_NAMES = Object.keys(BENCHES) as BenchName[];

function count(full: number, request: BenchRequest): number {
  return Math.max(50, Math.round(full * request.scale));
}

function connect(target: number | string): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = typeof target === 'string' ? net.connect(target) : net.connect(target, 'localhost');
    socket.setNoDelay(true);
    socket.once('error', reject);
    socket.once('connect', () => {
      resolve(socket);
    });
  });
}

/** One message at a time there and back; each trip is timed. */
async function roundTrip(target: number | string, messageBytes: number, trips: number): Promise<BenchValues> {
  const socket = await connect(target);
  const message = Buffer.alloc(messageBytes, 1);
  const warmup = Math.ceil(trips / 10);
  const micros = new Float64Array(trips);
  socket.write('e');
  await new Promise<void>((resolve, reject) => {
    let trip = -warmup;
    let left = messageBytes;
    let began = 0;
    const start = (): void => {
      began = performance.now();
      socket.write(message);
    };
    socket.once('error', reject);
    socket.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left > 0) return;
      if (trip >= 0) micros[trip] = (performance.now() - began) * 1000;
      trip += 1;
      left = messageBytes;
      if (trip === trips) resolve();
      else start();
    });
    start();
  });
  socket.destroy();
  micros.sort();
  return { p50Us: micros[Math.floor(trips * 0.5)] ?? NaN, p99Us: micros[Math.floor(trips * 0.99)] ?? NaN };
}

/** Messages one way, as fast as the socket takes them, until the other side has them all. */
async function stream(target: number | string, messageBytes: number, messages: number): Promise<BenchValues> {
  const socket = await connect(target);
  const message = Buffer.alloc(messageBytes, 1);
  let left = messages;
  let answer = '';
  const began = performance.now();
  await new Promise<void>((resolve, reject) => {
    const more = (): void => {
      while (left > 0) {
        left -= 1;
        if (!socket.write(message) && left > 0) {
          socket.once('drain', more);
          return;
        }
      }
      socket.end();
    };
    socket.once('error', reject);
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1');
    });
    socket.once('end', resolve);
    socket.write('s');
    more();
  });
  const seconds = (performance.now() - began) / 1000;
  socket.destroy();
  if (Number(answer) !== messages * messageBytes)
    throw new Error(`${answer} bytes arrived of ${messages * messageBytes}`);
  return { messagesPerS: messages / seconds, megabytesPerS: (messages * messageBytes) / seconds / 1e6 };
}

/** Keep-alive requests, one at a time on each of so many connections. */
async function requests(target: number | string, connections: number, total: number): Promise<BenchValues> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  const where = typeof target === 'string' ? { socketPath: target } : { host: 'localhost', port: target };
  const once = (): Promise<void> =>
    new Promise((resolve, reject) => {
      http
        .get({ ...where, agent, path: '/' }, (response) => {
          response.on('error', reject);
          response.on('end', resolve);
          response.resume();
        })
        .on('error', reject);
    });
  await Promise.all(Array.from({ length: connections }, once));
  let left = total;
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await once();
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: connections }, work));
  const seconds = (performance.now() - began) / 1000;
  agent.destroy();
  return { requestsPerS: total / seconds };
}

function main(): void {
  process.on('message', (request: BenchRequest) => {
    BENCHES[request.name](request).then(
      (values) => process.send?.({ values } satisfies BenchAnswer),
      (error: unknown) =>
        process.send?.({
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        } satisfies BenchAnswer),
    );
  });
  process.once('disconnect', () => process.exit());
}

if (require.main === module) main();
