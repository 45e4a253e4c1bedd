/**
 * Everything of Node that stands on net, as two ordinary programs: `serve` prints its ports, `call PORTS` prints what
 * it got.
 */
import { createHash } from 'node:crypto';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { WebSocket, WebSocketServer } from 'ws';
import { CERTIFICATE, KEY } from './certificate';

const BODY_BYTES = 3_000_000;
const secure = { key: KEY, cert: CERTIFICATE };
const trust = { ca: CERTIFICATE, servername: 'localhost' };

const answer: http.RequestListener = (request, response) => {
  const hash = createHash('sha256');
  request.on('data', (chunk: Buffer) => hash.update(chunk));
  request.on('end', () => {
    response.end(
      `${request.method ?? ''} ${request.url ?? ''} ${request.socket.remoteAddress ?? ''} ` +
        hash.digest('hex').slice(0, 8),
    );
  });
};

function servers(): net.Server[] {
  const web = http.createServer(answer);
  new WebSocketServer({ server: web }).on('connection', (socket) => {
    socket.on('message', (data: Buffer, binary) => {
      socket.send(data, { binary });
    });
  });
  const streams = (server: http2.Http2Server | http2.Http2SecureServer): net.Server => {
    server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
      stream.respond({ ':status': 200 });
      stream.end(`h2 ${headers[':path'] ?? ''} ${stream.session?.socket.remoteAddress ?? 'nowhere'}`);
    });
    return server;
  };
  return [
    net.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)),
    web,
    https.createServer(secure, answer),
    tls.createServer(secure, (socket) => socket.pipe(socket)),
    streams(http2.createServer()),
    streams(http2.createSecureServer(secure)),
  ];
}

async function serve(): Promise<void> {
  const ports: number[] = [];
  for (const server of servers()) {
    await new Promise<void>((resolve) => {
      server.listen(0, resolve);
    });
    ports.push((server.address() as net.AddressInfo).port);
  }
  console.log(ports.join());
  process.stdin.resume().on('end', () => {
    process.exit();
  });
}

async function text(stream: AsyncIterable<unknown>): Promise<string> {
  let all = '';
  for await (const chunk of stream) all += String(chunk);
  return all;
}

function request(module: typeof http | typeof https, options: https.RequestOptions, body?: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = module.request({ ...options, ...trust, method: body === undefined ? 'GET' : 'PUT' }, (response) => {
      text(response).then(resolve, reject);
    });
    sent.on('error', reject).end(body);
  });
}

async function h2(url: string): Promise<string> {
  const session = http2.connect(url, trust);
  try {
    return await text(session.request({ ':path': '/two' }).end());
  } finally {
    session.close();
  }
}

function webSocket(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://localhost:${port}`);
    socket.on('error', reject).on('open', () => {
      socket.send('over ws');
    });
    socket.on('message', (data: Buffer) => {
      socket.close();
      resolve(data.toString());
    });
  });
}

async function echo(socket: net.Socket): Promise<string> {
  const sent = createHash('sha256');
  const back = createHash('sha256');
  const all = text(
    (async function* read() {
      for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
        back.update(chunk as Buffer);
        yield '';
      }
    })(),
  );
  for (let at = 0; at < BODY_BYTES; at += 100_000) {
    const chunk = Buffer.alloc(100_000, String(at));
    sent.update(chunk);
    if (!socket.write(chunk)) await new Promise((resolve) => socket.once('drain', resolve));
  }
  socket.end();
  await all;
  return String(sent.digest('hex') === back.digest('hex'));
}

async function call(ports: readonly number[]): Promise<void> {
  const [raw = 0, web = 0, secureWeb = 0, secureRaw = 0, two = 0, secureTwo = 0] = ports;
  const body = Buffer.alloc(BODY_BYTES, 'body');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  console.log('net', await echo(net.connect({ port: raw, allowHalfOpen: true })));
  console.log(
    'http',
    await request(http, { port: web, path: '/one', agent }),
    await request(http, { port: web, path: '/one', agent }, body),
  );
  agent.destroy();
  console.log(
    'fetch',
    await (await fetch(`http://localhost:${web}/f`)).text(),
    await (await fetch(`http://127.0.0.1:${web}/f`, { method: 'POST', body: 'x' })).text(),
  );
  console.log('https', await request(https, { port: secureWeb, path: '/s' }, body));
  console.log(
    'tls',
    await echo(tls.connect({ port: secureRaw, allowHalfOpen: true, ...trust } as tls.ConnectionOptions)),
  );
  console.log('h2', await h2(`https://localhost:${secureTwo}`));
  console.log('h2c', await h2(`http://localhost:${two}`));
  console.log('ws', await webSocket(web));
}

const [what, ports = ''] = process.argv.slice(-2);
void (what === 'call' ? call(ports.split(',').map(Number)) : serve());
