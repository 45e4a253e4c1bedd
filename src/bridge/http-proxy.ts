/**
 * An HTTP proxy into the region: CONNECT, requests with a whole URL, and upgrades (WebSocket). Node's http reads what
 * clients say; a tunnel is joined once and then no part of it is read as HTTP again.
 */
import http from 'node:http';
import { type Duplex, type Readable } from 'node:stream';
import { clearTimeout, setTimeout } from '../host';
import { PORT_MAX } from './address';
import { type Credentials } from './credentials';
import { join } from './join';
import { type Rate } from './rate';
import { type Target } from './rules';
import { finish, reset } from './tcp';

export interface HttpProxyOptions {
  readonly credentials: Credentials | undefined;
  readonly handshakeTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly rate: Rate | undefined;
  /** Connects to what a client asked for; rejects with an error that has a code, and tells of it. */
  readonly dial: (target: Target, client: Duplex, from: string) => Promise<Duplex>;
}

const HTTP_PORT = 80;
/** Of a name of DNS. */
const NAME_MAX_BYTES = 255;
/** Longest head of a request. */
const HEAD_MAX_BYTES = 16_384;
/** They are about one connection, and not about the message. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

const STATUSES: Readonly<Record<string, number>> = { EACCES: 403, ETIMEDOUT: 504 };

/** A connection of a client that may make several requests. */
interface Client {
  /** Its address, for events. */
  readonly from: string;
  /** That are not answered yet. */
  requests: number;
  /** Until it has said what it wants. */
  timer: NodeJS.Timeout | undefined;
}

export class HttpProxy {
  readonly #options: HttpProxyOptions;
  readonly #server: http.Server;
  readonly #clients = new WeakMap<Duplex, Client>();

  constructor(options: HttpProxyOptions) {
    this.#options = options;
    this.#server = http.createServer({ maxHeaderSize: HEAD_MAX_BYTES });
    this.#server.on('connect', (request: http.IncomingMessage, client: Duplex, head: Buffer) => {
      void this.#tunnel(request, client, head);
    });
    this.#server.on('upgrade', (request: http.IncomingMessage, client: Duplex, head: Buffer) => {
      void this.#upgrade(request, client, head);
    });
    this.#server.on('request', (request: http.IncomingMessage, response: http.ServerResponse) => {
      void this.#request(request, response);
    });
  }

  /** A client is connected. Resolves when its connection is closed. */
  serve(client: Duplex, from: string): Promise<void> {
    return new Promise((resolve) => {
      this.#clients.set(client, { from, requests: 0, timer: undefined });
      client.once('close', () => {
        this.#stopWaiting(client);
        resolve();
      });
      this.#awaitRequest(client);
      this.#server.emit('connection', client);
      client.resume();
    });
  }

  /** Node looks after slow clients where its server listens itself; this one does not. */
  #awaitRequest(duplex: Duplex): void {
    const client = this.#clients.get(duplex);
    if (client === undefined || client.requests > 0 || duplex.destroyed) return;
    client.timer = setTimeout(() => {
      reset(duplex);
    }, this.#options.handshakeTimeoutMs);
  }

  #stopWaiting(duplex: Duplex): Client | undefined {
    const client = this.#clients.get(duplex);
    clearTimeout(client?.timer);
    return client;
  }

  async #tunnel(request: http.IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    this.#stopWaiting(client);
    client.on('error', () => undefined);
    // At once: after the client's end, which may be behind it, it could not be put back.
    if (head.length > 0) client.unshift(head);
    const target = targetOf(request.url ?? '', 0);
    if (target === undefined || !this.#mayUse(request)) {
      turnAway(client, target === undefined ? 400 : 407);
      return;
    }
    try {
      const server = await this.#dial(target, client);
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      await join(client, server, this.#options);
    } catch (error) {
      turnAway(client, statusOf(error));
    }
  }

  /** The target answers the upgrade itself: from then on it is a tunnel. */
  async #upgrade(request: http.IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    this.#stopWaiting(client);
    client.on('error', () => undefined);
    // At once: after the client's end, which may be behind it, it could not be put back.
    if (head.length > 0) client.unshift(head);
    const url = urlOf(request);
    if (url === undefined || !this.#mayUse(request)) {
      turnAway(client, url === undefined ? 400 : 407);
      return;
    }
    try {
      const server = await this.#dial(targetOfUrl(url), client);
      const lines = [`${request.method ?? 'GET'} ${url.pathname}${url.search} HTTP/1.1`];
      for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
        const name = request.rawHeaders[i] ?? '';
        if (!/^proxy-/iu.test(name)) lines.push(`${name}: ${request.rawHeaders[i + 1] ?? ''}`);
      }
      server.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
      await join(client, server, this.#options);
    } catch (error) {
      turnAway(client, statusOf(error));
    }
  }

  async #request(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const client = request.socket;
    const state = this.#stopWaiting(client);
    if (state !== undefined) state.requests += 1;
    response.once('close', () => {
      if (state !== undefined) state.requests -= 1;
      this.#awaitRequest(client);
    });
    const url = urlOf(request);
    if (url === undefined || !this.#mayUse(request)) {
      refuse(request, response, url === undefined ? 400 : 407);
      return;
    }
    let server: Duplex;
    try {
      server = await this.#dial(targetOfUrl(url), client);
    } catch (error) {
      refuse(request, response, statusOf(error));
      return;
    }
    const onward = http.request({
      method: request.method,
      path: `${url.pathname}${url.search}`,
      headers: onwardHeaders(request, url),
      createConnection: () => server,
    });
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer.rawHeaders));
      this.#limited(answer).pipe(response);
      answer.on('error', () => response.destroy());
    });
    onward.on('error', () => {
      if (response.headersSent) response.destroy();
      else refuse(request, response, 502);
    });
    response.on('close', () => {
      if (!response.writableFinished) onward.destroy();
    });
    this.#limited(request).pipe(onward);
  }

  #dial(target: Target, client: Duplex): Promise<Duplex> {
    return this.#options.dial(target, client, this.#clients.get(client)?.from ?? '');
  }

  #limited(message: http.IncomingMessage): Readable {
    const { rate } = this.#options;
    return rate === undefined ? message : message.pipe(rate.stage());
  }

  #mayUse(request: http.IncomingMessage): boolean {
    const { credentials } = this.#options;
    if (credentials === undefined) return true;
    const match = /^basic\s+([\w+/=]+)\s*$/iu.exec(request.headers['proxy-authorization'] ?? '');
    const [, name = '', password = ''] =
      /^([^:]*):(.*)$/su.exec(Buffer.from(match?.[1] ?? '', 'base64').toString()) ?? [];
    return credentials.accepts(name, password);
  }
}

/** Of a connection that would have become a tunnel. */
function turnAway(client: Duplex, status: number): void {
  client.write(headOf(status));
  finish(client);
}

function refuse(request: http.IncomingMessage, response: http.ServerResponse, status: number): void {
  request.resume();
  response.writeHead(status, {
    'content-length': 0,
    ...(status === 407 ? { 'proxy-authenticate': 'Basic realm="stp bridge"' } : {}),
  });
  response.end();
}

function headOf(status: number): string {
  const ask = status === 407 ? 'Proxy-Authenticate: Basic realm="stp bridge"\r\n' : '';
  const text = http.STATUS_CODES[status] ?? '';
  return `HTTP/1.1 ${status} ${text}\r\n${ask}Content-Length: 0\r\nConnection: close\r\n\r\n`;
}

function statusOf(error: unknown): number {
  return STATUSES[String((error as { code?: unknown }).code)] ?? 502;
}

/** `host:port`; undefined where it is none. `port`: where it names none. */
function targetOf(text: string, port: number): Target | undefined {
  const match = /^(?:\[([\da-f:.]+)\]|([^\s:/[\]]+))(?::(\d{1,5}))?$/iu.exec(text);
  if (match === null) return undefined;
  const target = { host: match[1] ?? match[2] ?? '', port: match[3] === undefined ? port : Number(match[3]) };
  const isRight = target.port >= 1 && target.port <= PORT_MAX && target.host.length <= NAME_MAX_BYTES;
  return isRight ? target : undefined;
}

function urlOf(request: http.IncomingMessage): URL | undefined {
  const text = request.url ?? '';
  if (!/^http:\/\//iu.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  return url.hostname === '' || url.hostname.length > NAME_MAX_BYTES || url.port === '0' ? undefined : url;
}

function targetOfUrl(url: URL): Target {
  return { host: url.hostname.replace(/^\[|\]$/gu, ''), port: url.port === '' ? HTTP_PORT : Number(url.port) };
}

/** Without what is about one connection: those that are always, and those that `Connection` names. */
function endToEnd(rawHeaders: readonly string[]): string[] {
  const left = new Set(HOP_BY_HOP);
  for (let i = 0; i + 1 < rawHeaders.length; i += 2)
    if (rawHeaders[i]?.toLowerCase() === 'connection')
      for (const name of rawHeaders[i + 1]?.split(',') ?? []) left.add(name.trim().toLowerCase());
  const kept: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    if (!left.has(name.toLowerCase())) kept.push(name, rawHeaders[i + 1] ?? '');
  }
  return kept;
}

function onwardHeaders(request: http.IncomingMessage, url: URL): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  const kept = endToEnd(request.rawHeaders);
  for (let i = 0; i + 1 < kept.length; i += 2) {
    const name = kept[i] ?? '';
    const value = kept[i + 1] ?? '';
    // That of the URL takes its place.
    if (name.toLowerCase() === 'host') continue;
    const before = headers[name];
    headers[name] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  }
  headers['Host'] = url.host;
  headers['Connection'] = 'close';
  if (request.headers['transfer-encoding'] !== undefined) headers['Transfer-Encoding'] = 'chunked';
  return headers;
}
