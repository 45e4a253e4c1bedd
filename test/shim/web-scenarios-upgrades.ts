/** Scenarios: http that becomes something else (upgrade, CONNECT), and answers before the answer. */
import http from 'node:http';
import type net from 'node:net';
import { event, type Log, type Scenario } from './scenario-kit';
import { hello, webServer } from './web-http-kit';
import { follow, HOST, read, sendRaw, tell } from './web-kit';

/** A response with all that may come before and after it. */
function hint(response: http.ServerResponse, log: Log): void {
  response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' }, () => {
    log.add('hints written');
  });
  response.writeProcessing();
  response.writeHead(200, { Trailer: 'X-Sum' });
  response.write('in ');
  response.addTrailers({ 'X-Sum': '7' });
  response.end('pieces', () => {
    log.add('ended', response.writableFinished, response.socket?.constructor.name);
  });
}

export const upgradeScenarios: Record<string, Scenario> = {
  'http: upgrade, with bytes behind the head at both ends': {
    server: (log) =>
      webServer(log, hello).on('upgrade', (request, socket: net.Socket, head: Buffer) => {
        log.add(
          'server upgrade',
          request.url,
          request.headers.upgrade,
          head.toString(),
          socket.constructor.name,
          socket.readableFlowing,
          socket.allowHalfOpen,
        );
        // The end of the first connection may come behind the begin of the second.
        tell(socket, log.part('upgraded'), 'upgraded', ['data', 'end', 'close']);
        socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nfrom the server');
        socket.once('data', () => socket.end('bye'));
      }),
    client: async (port, log) => {
      const request = http.get({ port, host: HOST, headers: { Connection: 'Upgrade', Upgrade: 'echo' } });
      tell(request, log, 'client', ['response', 'error', 'close']);
      const [response, socket, head] = (await event(request, 'upgrade')) as [http.IncomingMessage, net.Socket, Buffer];
      log.add(
        response.statusCode,
        head.toString(),
        socket.readableFlowing,
        socket.listenerCount('data'),
        request.destroyed,
      );
      const text = read(socket);
      socket.write('from the client');
      log.add(await text);
      await sendRaw(
        port,
        log,
        'raw',
        'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhead',
        (socket) => {
          socket.once('data', () => socket.write('more'));
        },
      );
    },
  },

  'http: an upgrade that the server or the client does not know': {
    server: (log) =>
      webServer(log, (request, response) => {
        if (request.url !== '/forced') {
          response.end('plain');
          return;
        }
        request.socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n');
        request.socket.on('end', () => request.socket.destroy());
      }),
    client: async (port, log) => {
      await follow(http.get({ port, host: HOST, headers: { Connection: 'Upgrade', Upgrade: 'echo' } }), log, 'asked');
      await follow(http.get({ port, host: HOST, path: '/forced' }), log, 'forced');
    },
  },

  'http: CONNECT, through and refused': {
    server: (log) =>
      webServer(log, hello).on('connect', (request, socket: net.Socket, head: Buffer) => {
        log.add('server connect', request.url, head.toString(), socket.readableFlowing, socket.listenerCount('error'));
        if (request.url === 'closed:1') {
          socket.destroy();
          return;
        }
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        socket.pipe(socket);
      }),
    client: async (port, log) => {
      const request = http.request({ port, host: HOST, method: 'CONNECT', path: 'open:1' }).end();
      const [response, socket, head] = (await event(request, 'connect')) as [http.IncomingMessage, net.Socket, Buffer];
      log.add(response.statusCode, head.length, socket.readableFlowing, socket.connecting);
      const text = read(socket);
      socket.end('through the tunnel');
      log.add(await text);
      await follow(http.request({ port, host: HOST, method: 'CONNECT', path: 'closed:1' }).end(), log, 'refused');
    },
  },

  'http: CONNECT that nobody waits for': {
    server: (log) => webServer(log, hello),
    client: async (port, log) => {
      await follow(http.request({ port, host: HOST, method: 'CONNECT', path: 'open:1' }).end(), log, 'client');
    },
  },

  'http: Expect: 100-continue, and what the server does not expect': {
    server: (log) => {
      const server = webServer(log, (request, response) => {
        void read(request).then((text) => response.end(text));
      });
      server.on('checkContinue', (request, response) => {
        log.add('checkContinue', request.url);
        if (request.url === '/no') {
          response.writeHead(413, { Connection: 'close' }).end();
          return;
        }
        response.writeContinue();
        server.emit('request', request, response);
      });
      return server;
    },
    client: async (port, log) => {
      for (const path of ['/yes', '/no']) {
        const request = http.request({ port, host: HOST, path, method: 'POST', headers: { Expect: '100-continue' } });
        request.on('continue', () => request.end('the body'));
        request.flushHeaders();
        request.on('response', () => request.end());
        await follow(request, log, path);
      }
      await sendRaw(
        port,
        log,
        'raw',
        'GET / HTTP/1.1\r\nHost: x\r\nExpect: the-unexpected\r\nConnection: close\r\n\r\n',
      );
    },
  },

  'http: early hints, processing and trailers': {
    server: (log) =>
      webServer(log, (request, response) => {
        request.resume();
        request.on('end', () => {
          log.add('trailers', request.trailers, request.rawTrailers, request.complete);
          hint(response, log);
        });
      }),
    client: async (port, log) => {
      const request = http.request({
        port,
        host: HOST,
        method: 'POST',
        headers: { Trailer: 'X-Up', 'Transfer-Encoding': 'chunked' },
      });
      request.on('information', (information) => {
        log.add(information.statusCode, information.headers);
      });
      request.on('response', (response) => {
        response.on('end', () => {
          log.add(response.trailers, response.rawTrailers, response.complete);
        });
      });
      request.write('body');
      request.addTrailers({ 'X-Up': '8' });
      request.end();
      await follow(request, log, 'client');
    },
  },
};
