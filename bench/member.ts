/**
 * One of several client programs that a bench starts afresh (crowd.ts): an ordinary program that knows nothing of how
 * its bytes travel.
 *
 * Forked; its parent sends jobs { job, ... }, and gets { result } or { error } back for each, until it disconnects.
 */
import http from 'node:http';
import net from 'node:net';
import { connect, requestOptions, type Target } from './connect';
import { listen, type Usage, usage } from './server';

/** What a member can be asked to do; times in milliseconds. */
export type Job =
  | { readonly job: 'usage' }
  | { readonly job: 'listen'; readonly path: string | undefined }
  | { readonly job: 'ping'; readonly target: Target; readonly ms: number }
  | { readonly job: 'mesh'; readonly targets: readonly Target[]; readonly ms: number }
  | { readonly job: 'hold'; readonly target: Target; readonly connections: number }
  | { readonly job: 'drop' }
  | { readonly job: 'echo' }
  | { readonly job: 'connect'; readonly target: Target }
  | { readonly job: 'stream'; readonly target: Target; readonly messageBytes: number; readonly ms: number }
  | { readonly job: 'requests'; readonly target: Target; readonly ms: number }
  | { readonly job: 'first'; readonly target: Target }
  | { readonly job: 'paced'; readonly target: Target; readonly ratePerS: number; readonly ms: number };

/** Of each job its answer. */
export interface Results {
  usage: Usage;
  listen: Target;
  /** Trips. */
  ping: number;
  /** Connections. */
  mesh: number;
  hold: number;
  drop: number;
  echo: number;
  /** Milliseconds. */
  connect: number;
  /** Messages a second. */
  stream: number;
  /** Requests. */
  requests: number;
  /** Milliseconds. */
  first: number;
  /** Milliseconds of each request. */
  paced: number[];
}

export interface MemberAnswer {
  readonly result?: Results[Job['job']];
  readonly error?: string;
}

const MESSAGE_BYTES = 64;
/** Connections that are opened at once. */
const AT_ONCE = 100;
const PACED_CONNECTIONS = 10;

const held: net.Socket[] = [];

async function ping(target: Target, ms: number): Promise<number> {
  const socket = await connect(target);
  const message = Buffer.alloc(MESSAGE_BYTES, 1);
  let trips = 0;
  let missing = MESSAGE_BYTES;
  const until = performance.now() + ms;
  socket.write('e');
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject).on('data', (chunk: Buffer) => {
      missing -= chunk.length;
      if (missing > 0) return;
      missing = MESSAGE_BYTES;
      trips += 1;
      if (performance.now() < until) socket.write(message);
      else resolve();
    });
    socket.write(message);
  });
  socket.destroy();
  return trips;
}

/** Short connections to all others, one after the other. */
async function mesh(targets: readonly Target[], ms: number): Promise<number> {
  const until = performance.now() + ms;
  let connections = 0;
  while (performance.now() < until) {
    for (const target of targets) {
      const socket = await connect(target);
      socket.end().resume();
      await new Promise((resolve) => socket.once('close', resolve));
      connections += 1;
      if (performance.now() >= until) break;
    }
  }
  return connections;
}

async function hold(target: Target, connections: number): Promise<number> {
  let left = connections;
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const socket = await connect(target);
      held.push(socket);
      // A Unix socket refuses those that come faster than they are accepted.
      socket.write('e?');
      await new Promise((resolve) => socket.once('data', resolve));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return held.length;
}

/** One message there and back on each connection that is held. */
async function echo(): Promise<number> {
  for (let from = 0; from < held.length; from += AT_ONCE)
    await Promise.all(
      held.slice(from, from + AT_ONCE).map((socket) => {
        socket.write('?');
        return new Promise((resolve) => socket.once('data', resolve));
      }),
    );
  return held.length;
}

/** Closes all that is held. */
async function drop(): Promise<number> {
  const sockets = held.splice(0);
  await Promise.all(
    sockets.map((socket) => {
      socket.destroy();
      return new Promise((resolve) => socket.once('close', resolve));
    }),
  );
  return sockets.length;
}

/** The first connect of a process that has done nothing else. */
async function firstConnect(target: Target): Promise<number> {
  const began = performance.now();
  held.push(await connect(target));
  return performance.now() - began;
}

/** Messages one way for a while; what counts is what the server had at the end. */
async function streamFor(target: Target, messageBytes: number, ms: number): Promise<number> {
  const message = Buffer.alloc(messageBytes, 1);
  const began = performance.now();
  const socket = await connect(target);
  let answer = '';
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1');
  });
  socket.write('s');
  // One at least: the connection may have taken all of the time.
  let sent = 0;
  await new Promise<void>((resolve, reject) => {
    const more = (): void => {
      while (sent === 0 || performance.now() - began < ms) {
        sent += 1;
        if (socket.write(message)) continue;
        socket.once('drain', more);
        return;
      }
      socket.end();
    };
    socket.once('error', reject).once('end', resolve);
    more();
  });
  return (Number(answer) / messageBytes / (performance.now() - began)) * 1000;
}

/** Requests one after the other for a while. */
async function requestsFor(target: Target, ms: number): Promise<number> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const until = performance.now() + ms;
  let done = 0;
  do {
    await request(target, agent);
    done += 1;
  } while (performance.now() < until);
  agent.destroy();
  return done;
}

function request(target: Target, agent: http.Agent | false): Promise<number> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    http
      .get({ ...requestOptions(target), agent, path: '/' }, (response) => {
        response.resume().on('end', () => {
          resolve(performance.now() - began);
        });
      })
      .on('error', reject);
  });
}

/** Requests at a rate, however long each takes. */
async function paced(target: Target, ratePerS: number, ms: number): Promise<number[]> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: PACED_CONNECTIONS });
  const began = performance.now();
  const under: Promise<number>[] = [];
  for (let now = began; now < began + ms; now = performance.now()) {
    const due = Math.floor(((now - began) * ratePerS) / 1000);
    while (under.length < due) under.push(request(target, agent));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const took = await Promise.all(under);
  agent.destroy();
  return took;
}

function perform(job: Job): Promise<Results[Job['job']]> | Results[Job['job']] {
  switch (job.job) {
    case 'usage':
      return usage();
    case 'listen':
      return listen(
        net.createServer((socket) => socket.on('error', () => socket.destroy()).resume()),
        job.path,
      );
    case 'ping':
      return ping(job.target, job.ms);
    case 'mesh':
      return mesh(job.targets, job.ms);
    case 'hold':
      return hold(job.target, job.connections);
    case 'echo':
      return echo();
    case 'drop':
      return drop();
    case 'connect':
      return firstConnect(job.target);
    case 'stream':
      return streamFor(job.target, job.messageBytes, job.ms);
    case 'requests':
      return requestsFor(job.target, job.ms);
    case 'first':
      return request(job.target, false);
    case 'paced':
      return paced(job.target, job.ratePerS, job.ms);
  }
}

async function answer(job: Job): Promise<MemberAnswer> {
  try {
    return { result: await perform(job) };
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

if (require.main === module) {
  process.on('message', (job: Job) => {
    void answer(job).then((told) => process.send?.(told));
  });
  process.once('disconnect', () => process.exit());
}
