/** Scenarios: http over one connection and many, from both ends. */
import http from 'node:http';
import type net from 'node:net';
import { event, type Scenario, until } from './scenario-kit';
import { agentOf, counts, hello, webServer } from './web-http-kit';
import { closing, follow, gone, HOST, plain, read, sendRaw, tell, turns } from './web-kit';

export const httpScenarios: Record<string, Scenario> = {
  'http: one connection kept alive for three requests': {
    server: (log) => webServer(log, hello),
    client: async (port, log) => {
      const agent = agentOf(log, { maxSockets: 1 });
      let socket: net.Socket | undefined;
      for (const path of ['/1', '/2', '/3']) {
        const request = await follow(http.get({ port, host: HOST, agent, path }), log, path);
        socket ??= tell(request.socket as net.Socket, log, 'socket', [
          'free',
          'agentRemove',
          'timeout',
          'end',
          'close',
        ]);
        log.add(
          request.socket === socket,
          counts(agent),
          socket.bytesRead > 0,
          socket.bytesWritten,
          socket.timeout,
          socket.destroyed,
        );
      }
      await turns(2);
      log.add(counts(agent));
      if (socket !== undefined) {
        const end = closing(socket);
        agent.destroy();
        await end;
        log.add(socket.bytesWritten, socket.listenerCount('error'));
      }
      log.add(counts(agent));
    },
  },

  'http: requests wait for one of two sockets': {
    server: () => http.createServer(hello),
    client: async (port, log) => {
      const agent = agentOf(log, { maxSockets: 2, maxFreeSockets: 1, scheduling: 'fifo' });
      const all = ['/1', '/2', '/3', '/4', '/5'].map((path) =>
        http.get({ port, host: HOST, agent, path }, (response) => response.resume()),
      );
      log.add(counts(agent));
      const sockets = new Set<unknown>();
      for (const request of all) request.on('socket', (socket) => sockets.add(socket));
      await Promise.all(all.map(closing));
      await turns(2);
      log.add(sockets.size, all.filter((request) => request.reusedSocket).length, counts(agent));
      agent.destroy();
    },
  },

  'http: a request on a connection that the server has just closed hangs up': {
    server: (log) => {
      let requests = 0;
      return webServer(log, (request, response) => {
        requests += 1;
        if (requests === 2) request.socket.destroy();
        else response.end('first');
      });
    },
    client: async (port, log) => {
      const agent = agentOf(log);
      await follow(http.get({ port, host: HOST, agent, path: '/1' }), log, '1');
      await turns(2);
      const again = await follow(http.get({ port, host: HOST, agent, path: '/2' }), log, '2');
      log.add(again.reusedSocket, again.destroyed);
      agent.destroy();
    },
  },

  'http: a socket that the server closes while idle is not used again': {
    server: (log) => {
      const server = webServer(log, (_request, response) => {
        response.on('close', () =>
          setTimeout(() => {
            server.closeIdleConnections();
          }, 20),
        );
        response.end('x');
      });
      return server;
    },
    client: async (port, log) => {
      const agent = agentOf(log);
      const first = await follow(http.get({ port, host: HOST, agent }), log, '1');
      if (first.socket !== null) {
        // Not 'end': from Node 22 on TCP closes a free socket without it, and STP tells it.
        tell(first.socket, log, 'socket', ['error', 'close', 'agentRemove']);
        await gone(first.socket);
      }
      log.add(counts(agent));
      const second = await follow(http.get({ port, host: HOST, agent }), log, '2');
      log.add(second.reusedSocket);
      await gone(second.socket);
    },
  },

  'http: pipelined requests are answered in order': {
    server: (log) =>
      webServer(log, (request, response) => {
        // The first is answered last.
        if (request.url === '/1') setTimeout(() => response.end('one'), 20);
        else response.end(request.url);
      }),
    client: (port, log) =>
      sendRaw(
        port,
        log,
        'raw',
        ['/1', '/2', '/3']
          .map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n${path === '/3' ? 'Connection: close\r\n' : ''}\r\n`)
          .join(''),
      ),
  },

  'http: requests in pieces, with a body, by HTTP/1.0, and one that is none': {
    server: (log) =>
      webServer(log, (request, response) => {
        void read(request).then((text) => response.end(`got ${text}`));
      }),
    client: async (port, log) => {
      await sendRaw(port, log, 'pieces', 'POST / HT', (socket) => {
        socket.once('connect', () =>
          setTimeout(() => {
            socket.write('TP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nab');
            setTimeout(() => socket.write('cde'), 10);
          }, 10),
        );
      });
      await sendRaw(port, log, 'old', 'GET /old HTTP/1.0\r\n\r\n');
      await sendRaw(port, log, 'wrong', 'this is no http\r\n\r\n');
      await sendRaw(port, log, 'no host', 'GET / HTTP/1.1\r\n\r\n');
      await sendRaw(port, log, 'long', `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`);
    },
  },

  'http: clientError, and what may be done with it': {
    server: (log) => {
      let connections = 0;
      return webServer(log, hello)
        .on('clientError', (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket: net.Socket) => {
          log.add('clientError', error.code, error.message, error.rawPacket?.length, socket.writable, socket.bytesRead);
          socket.end('HTTP/1.1 400 Not so\r\n\r\n');
        })
        .on('connection', (socket) => {
          connections += 1;
          // A reset that overtakes the bytes before it takes them away.
          if (connections === 4)
            void until(() => socket.bytesRead === 10, 'the bytes before the reset').then(() => socket.write('seen'));
        });
    },
    client: async (port, log) => {
      await sendRaw(port, log, 'wrong', 'this is no http\r\n\r\n');
      await sendRaw(port, log, 'within', 'GET / HTT', (socket) => socket.end());
      await sendRaw(port, log, 'second', 'GET /1 HTTP/1.1\r\nHost: x\r\n\r\nwrong\r\n\r\n');
      await sendRaw(port, log, 'reset', 'GET / HTTP', (socket) => {
        socket.once('data', () => socket.resetAndDestroy());
      });
    },
  },

  'http: a client that ends within a request, and one that ends behind it': {
    server: (log) =>
      webServer(log, (request, response) => {
        request.resume();
        response.end('answered');
      }),
    client: async (port, log) => {
      await sendRaw(port, log, 'within', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\na', (socket) =>
        socket.end(),
      );
      await sendRaw(port, log, 'in the head', 'GET / HTT', (socket) => socket.end());
      await sendRaw(port, log, 'behind', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', (socket) => socket.end());
      await sendRaw(port, log, 'nothing', '', (socket) => socket.end());
    },
  },

  'http: maxRequestsPerSocket': {
    server: (log) => Object.assign(webServer(log, hello), { maxRequestsPerSocket: 2 }),
    client: async (port, log) => {
      const agent = agentOf(log, { maxSockets: 1 });
      for (const path of ['/1', '/2', '/3']) {
        const request = await follow(http.get({ port, host: HOST, agent, path }), log, path);
        log.add(request.reusedSocket);
        if (request.socket !== null && !request.shouldKeepAlive && !request.socket.closed)
          await closing(request.socket);
      }
      agent.destroy();
      await sendRaw(port, log, 'raw', 'GET /a HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3), (socket) => socket.end());
    },
  },

  'http: HEAD, 204, 304, and Connection: close': {
    server: (log) =>
      webServer(log, (request, response) => {
        const status = Number(request.url?.slice(1));
        response.writeHead(status === 0 ? 200 : status, request.url === '/200' ? { Connection: 'close' } : {});
        response.end(request.method === 'GET' && status === 200 ? 'with a body' : undefined);
      }),
    client: async (port, log) => {
      const agent = agentOf(log, { maxSockets: 1 });
      for (const path of ['/204', '/304', '/200']) await follow(http.get({ port, host: HOST, agent, path }), log, path);
      await follow(http.request({ port, host: HOST, agent, path: '/200', method: 'HEAD' }).end(), log, 'head');
      agent.destroy();
    },
  },

  'http: much data, with backpressure, in both directions': {
    server: (log) =>
      webServer(log, (request, response) => {
        log.add(request.socket.readableHighWaterMark, response.writableHighWaterMark, response.writableObjectMode);
        const chunks: Buffer[] = [];
        request
          .on('data', (chunk: Buffer) => chunks.push(chunk))
          .on('close', () => response.end(Buffer.concat(chunks)));
      }),
    client: async (port, log) => {
      const request = http.request({ port, host: HOST, method: 'PUT' });
      const followed = follow(request, log, 'client');
      let drained = 0;
      for (let i = 0; i < 40; i += 1) {
        if (request.write(Buffer.alloc(50_000, i))) continue;
        drained += 1;
        await event(request, 'drain');
      }
      request.end();
      await followed;
      log.add(drained > 0, request.writableFinished, request.writableLength);
    },
  },

  'http: what request and response tell of their socket': {
    server: (log) =>
      webServer(log, (request, response) => {
        const { socket } = request;
        log.name(socket.remotePort, 'CLIENT');
        log.add(
          socket.remoteAddress,
          socket.remotePort,
          socket.localAddress,
          socket.localPort,
          socket.address(),
          'encrypted' in socket,
        );
        log.add(
          socket.timeout,
          socket.allowHalfOpen,
          socket.readyState,
          socket.pending,
          socket.connecting,
          socket.bytesRead,
          socket.bytesWritten,
        );
        log.add(
          response.socket === socket,
          (response as unknown as { connection: unknown }).connection === socket,
          Reflect.get(socket, 'server') === Reflect.get(socket, '_server'),
        );
        response.on('close', () => {
          log.add(response.socket, request.socket === socket, socket.bytesWritten > 0, socket.writableLength);
        });
        response.end('x');
        log.add(response.headersSent, response.writableEnded, socket.writableCorked, socket.isPaused());
      }),
    client: async (port, log) => {
      const request = http.get({ port, host: HOST, agent: false });
      request.on('socket', (socket) => {
        log.add(socket.connecting, socket.pending, socket.timeout, socket.readyState);
        socket.on('connect', () => {
          log.name(socket.localPort, 'CLIENT');
          log.add(
            socket.localAddress,
            socket.remoteAddress,
            socket.remotePort,
            Reflect.get(socket, 'parser') !== null,
            Reflect.get(socket, '_httpMessage') === request,
          );
        });
      });
      await follow(request, log, 'client');
      log.add(
        request.socket?.destroyed,
        request.socket?.bytesWritten,
        request.host,
        request.protocol,
        plain(request.getRawHeaderNames().join()),
      );
    },
  },
};
