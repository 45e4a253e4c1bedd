/** What the scenarios of http, tls and http2 are written with, beside the kit of all scenarios. */
import type { EventEmitter } from 'node:events';
import type http from 'node:http';
import net from 'node:net';
import { CERTIFICATE, KEY, OTHER_CERTIFICATE, OTHER_KEY } from './certificate';
import { type Log } from './scenario-kit';

export const HOST = '127.0.0.1';
export const secure = { key: KEY, cert: CERTIFICATE };
export const other = { key: OTHER_KEY, cert: OTHER_CERTIFICATE };
export const trust = { ca: CERTIFICATE, servername: 'localhost', host: HOST };

/** Logs events with their values; of objects the class, of buffers the text. */
export function tell<T extends EventEmitter>(emitter: T, log: Log, who: string, events: readonly string[]): T {
  for (const name of events)
    emitter.on(name, (...values: unknown[]) => {
      log.add(who, name, ...values.map(shown));
    });
  return emitter;
}

export function shown(value: unknown): unknown {
  if (value instanceof Error) return withoutThread(value);
  if (Buffer.isBuffer(value)) return plain(value.toString('latin1'));
  const prototype: unknown = typeof value === 'object' && value !== null ? Object.getPrototypeOf(value) : undefined;
  if (prototype === undefined || prototype === null || prototype === Object.prototype || Array.isArray(value))
    return value;
  // http2 wraps a socket without a handle in a stream of its own, which stands for it.
  return (value as object).constructor.name.replace('JSStreamSocket', 'Socket');
}

/** OpenSSL puts the number of the thread in front of its errors, and the line of its source behind. */
function withoutThread(error: Error): Error {
  error.message = error.message.replace(/[0-9A-F]{16}(?=:error)/g, 'THREAD');
  return error;
}

/** A message of http without what differs from run to run. */
export function plain(text: string): string {
  return text.replace(/Date: [^\r]*\r\n/gi, '').replace(/\r\n/g, '|');
}

/** Not 'upgrade' and 'connect', whose listeners take the socket over. */
export const REQUEST_EVENTS = [
  'socket',
  'response',
  'information',
  'continue',
  'timeout',
  'finish',
  'abort',
  'error',
  'close',
];
export const MESSAGE_EVENTS = ['aborted', 'end', 'error', 'close'];
export const RESPONSE_EVENTS = ['pipe', 'finish', 'error', 'timeout', 'close'];

/** All of a stream as text, or what there is of it when it ends early. */
export async function read(stream: NodeJS.ReadableStream): Promise<string> {
  let all = '';
  stream.on('data', (chunk: Buffer | string) => (all += chunk.toString('latin1' as never)));
  await closing(stream);
  return all.length > 100 ? `${all.length} bytes` : all;
}

/** Resolves with 'close', whether or not there is an error before it. */
export function closing(emitter: NodeJS.EventEmitter): Promise<void> {
  const late = new Error(`a ${emitter.constructor.name} does not close`);
  return new Promise((resolve, reject) => {
    const watchdog = setTimeout(() => {
      reject(late);
    }, 8000);
    emitter.once('close', () => {
      clearTimeout(watchdog);
      resolve();
    });
  });
}

/** After 'close' of a socket, which its agent has seen then too; `closed` is true one tick before. */
export async function gone(socket: net.Socket | null): Promise<void> {
  if (socket === null) return;
  if (!socket.closed) await closing(socket);
  await turns(1);
}

/** Logs a request until it is closed, and its response if there is one. */
export async function follow(request: http.ClientRequest, log: Log, who: string): Promise<http.ClientRequest> {
  tell(request, log, who, REQUEST_EVENTS);
  let answer: Promise<string> | undefined;
  request.on('response', (response) => {
    log.add(
      who,
      response.statusCode,
      response.statusMessage,
      response.httpVersion,
      { ...response.headers, date: '' },
      request.reusedSocket,
    );
    tell(response, log, `${who} response`, MESSAGE_EVENTS);
    answer = read(response);
  });
  await closing(request);
  if (answer !== undefined) log.add(who, 'read', await answer);
  return request;
}

/** Sends text as it is and logs what comes back until the connection closes. */
export async function sendRaw(
  port: number,
  log: Log,
  who: string,
  text: string,
  then?: (socket: net.Socket) => void,
): Promise<void> {
  const socket = net.connect(port, HOST);
  let all = '';
  socket.on('data', (chunk) => (all += chunk.toString('latin1')));
  tell(socket, log, who, ['end', 'error', 'close']);
  socket.write(text);
  then?.(socket);
  await closing(socket);
  log.add(who, plain(all));
}

/** After what is on its way in this process has been done. */
export function turns(count: number): Promise<void> {
  return new Promise((resolve) => {
    const next = (left: number): void => {
      if (left === 0) resolve();
      else setImmediate(next, left - 1);
    };
    next(count);
  });
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
