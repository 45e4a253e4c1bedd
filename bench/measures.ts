/** What the benches do: an ordinary program's work, which knows nothing of how its bytes travel. */
import http from 'node:http';
import net from 'node:net';
import { connect, requestOptions, type Target } from './connect';
import {
  canShareCore,
  firstRequests,
  firstSecond,
  idleConnections,
  manyConnections,
  mesh,
  oneCore,
  pacedRequests,
  pairs,
  start,
} from './crowd';
import { type BenchTargets, HOST } from './server';

/** Metric -> value, in the unit that the metric's name ends with. */
export type BenchValues = Readonly<Record<string, number>>;
export type Measure<To = BenchTargets> = (targets: To, count: (full: number) => number) => Promise<BenchValues>;

/** Keep-alive requests: so many at once, so many in all. */
export interface HttpLoad {
  readonly connections: number;
  readonly total: number;
}

export const HTTP_LOADS = {
  'http-1': { connections: 1, total: 8_000 },
  'http-50': { connections: 50, total: 20_000 },
  'http-500': { connections: 500, total: 20_000 },
} as const satisfies Record<string, HttpLoad>;

export const IDLE_TRIPS: Trips = { trips: 300, pauseMs: 5 };

const WARM_BENCHES = {
  'round-trip': (to, count) => roundTrip(to.net, 64, { trips: count(20_000) }),
  'round-trip-idle': (to, count) => roundTrip(to.net, 64, { ...IDLE_TRIPS, trips: count(IDLE_TRIPS.trips) }),
  'stream-64b': (to, count) => stream(to.net, 64, count(400_000)),
  'stream-1kib': (to, count) => stream(to.net, 1024, count(300_000)),
  'stream-64kib': (to, count) => stream(to.net, 65_536, count(30_000)),
  'stream-1mib': (to, count) => stream(to.net, 1 << 20, count(2000)),
  'http-1': requestsOf(HTTP_LOADS['http-1']),
  'http-50': requestsOf(HTTP_LOADS['http-50']),
  'http-500': requestsOf(HTTP_LOADS['http-500']),
  'http-lean-1': (to, count) => leanRequests(to.http, 1, count(40_000)),
  'http-lean-10': (to, count) => leanRequests(to.http, 10, count(60_000)),
  'connect-1': (to, count) => connects(to.net, 1, count(4_000)),
  'connect-20': (to, count) => connects(to.net, 20, count(8_000)),
} as const satisfies Record<string, Measure>;

/** They start their programs afresh for each measurement, which a warm-up would not reach. */
const FRESH_BENCHES = {
  'one-core': (to, count) => oneCore(to, count(2000)),
  'pairs-4': (to, count) => pairs(to, some(count, 4), count(2000)),
  'pairs-8': (to, count) => pairs(to, some(count, 8), count(2000)),
  'mesh-20': (to, count) => mesh(to, some(count, 20), count(3000)),
  'first-50': (to, count) => firstRequests(to, some(count, 50)),
  'idle-connections': (to, count) => idleConnections(to, count(8_000)),
  'paced-100': (to, count) => pacedRequests(to, 100, count(3000)),
  'paced-1000': (to, count) => pacedRequests(to, 1000, count(3000)),
  'paced-4000': (to, count) => pacedRequests(to, 4000, count(3000)),
  'first-second': (to, count) => firstSecond(to, count(1000)),
  'many-connections': (to, count) => manyConnections(to, count(15_000)),
  start: (to, count) => start(to, some(count, 10)),
} as const satisfies Record<string, Measure>;

export const BENCHES = { ...WARM_BENCHES, ...FRESH_BENCHES };

export type BenchName = keyof typeof BENCHES;
export const FRESH: ReadonlySet<string> = new Set(Object.keys(FRESH_BENCHES));

/** So many processes, or two for a try. */
function some(count: (full: number) => number, full: number): number {
  return Math.max(2, Math.round((full * count(COUNT_FULL)) / COUNT_FULL));
}

export const BENCH_NAMES = (Object.keys(BENCHES) as BenchName[]).filter(
  (name) => name !== 'one-core' || canShareCore(),
);

const COUNT_FULL = 10_000;
/** Connections of the lean load. */
const LEAN_CONNECTIONS = 100;
const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
/** Ends the head of an answer. */
const HEAD_END = '\r\n\r\n';

interface Trips {
  readonly trips: number;
  /** From the end of one trip to the begin of the next. */
  readonly pauseMs?: number;
}

/** One message at a time there and back. */
async function roundTrip(target: Target, messageBytes: number, trips: Trips): Promise<BenchValues> {
  const socket = await connect(target);
  const message = Buffer.alloc(messageBytes, 1);
  socket.write('e');
  const values = await timedTrips(trips, (arrived, failed) => {
    let left = messageBytes;
    socket.once('error', failed);
    socket.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left > 0) return;
      left = messageBytes;
      arrived();
    });
    return () => {
      socket.write(message);
    };
  });
  socket.destroy();
  return values;
}

/** Times each trip: `prepare` returns what begins one, and calls `arrived` at the end of each. */
export async function timedTrips(
  { trips, pauseMs = 0 }: Trips,
  prepare: (arrived: () => void, failed: (error: Error) => void) => () => void,
): Promise<BenchValues> {
  const warmup = Math.ceil(trips / 10);
  const micros = new Float64Array(trips);
  await new Promise<void>((resolve, reject) => {
    let trip = -warmup;
    let began = 0;
    const start = (): void => {
      began = performance.now();
      send();
    };
    const send = prepare(() => {
      if (trip >= 0) micros[trip] = (performance.now() - began) * 1000;
      trip += 1;
      if (trip === trips) resolve();
      else if (pauseMs > 0) setTimeout(start, pauseMs);
      else start();
    }, reject);
    start();
  });
  micros.sort();
  return { p50Us: micros[Math.floor(trips * 0.5)] ?? NaN, p99Us: micros[Math.floor(trips * 0.99)] ?? NaN };
}

/** Messages one way, as fast as the socket takes them, until the other side has them all. */
async function stream(target: Target, messageBytes: number, messages: number): Promise<BenchValues> {
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

/** How long it takes to do `once` so often, with so many under way at once. */
async function secondsFor(total: number, atOnce: number, once: () => Promise<void>): Promise<number> {
  let left = total;
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await once();
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: atOnce }, work));
  return (performance.now() - began) / 1000;
}

export function agentOptions({ connections }: HttpLoad): http.AgentOptions {
  return { keepAlive: true, maxSockets: connections };
}

function requestsOf(load: HttpLoad): Measure {
  return (to, count) =>
    requests(new http.Agent(agentOptions(load)), requestOptions(to.http), load.connections, count(load.total));
}

/** Keep-alive requests, one at a time on each of so many connections of an agent, which is destroyed then. */
export async function requests(
  agent: http.Agent,
  where: http.RequestOptions,
  connections: number,
  total: number,
): Promise<BenchValues> {
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
  const seconds = await secondsFor(total, connections, once);
  agent.destroy();
  return { requestsPerS: total / seconds };
}

/** Keep-alive requests of a client that hardly parses: so many in flight on each of a hundred connections. */
async function leanRequests(target: Target, inFlight: number, total: number): Promise<BenchValues> {
  const sockets = await Promise.all(Array.from({ length: LEAN_CONNECTIONS }, () => connect(target)));
  const began = performance.now();
  let sent = 0;
  let answered = 0;
  await new Promise<void>((resolve, reject) => {
    const ask = (socket: net.Socket): void => {
      sent += 1;
      socket.write(REQUEST);
    };
    for (const socket of sockets) {
      socket.on('error', reject);
      let rest = '';
      socket.on('data', (chunk: Buffer) => {
        const text = rest + chunk.toString('latin1');
        // Too short for an end of its own, long enough for the begin of one.
        rest = text.slice(1 - HEAD_END.length);
        for (let at = text.indexOf(HEAD_END); at >= 0; at = text.indexOf(HEAD_END, at + 1)) {
          answered += 1;
          if (sent < total) ask(socket);
        }
        if (answered >= total) resolve();
      });
      for (let i = 0; i < inFlight && sent < total; i++) ask(socket);
    }
  });
  const seconds = (performance.now() - began) / 1000;
  for (const socket of sockets) socket.destroy();
  return { requestsPerS: total / seconds };
}

/** Connections that are opened and closed in good order, so many at once. */
async function connects(target: Target, atOnce: number, total: number): Promise<BenchValues> {
  const once = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = typeof target === 'string' ? net.connect(target) : net.connect(target, HOST);
      socket.once('connect', () => socket.end('s'));
      socket.on('error', reject);
      socket.once('close', () => {
        resolve();
      });
      socket.resume();
    });
  return { connectsPerS: total / (await secondsFor(total, atOnce, once)) };
}
