/**
 * Scenarios: http2 sessions that are told to go, clients that speak something else, and the interface of http on top of
 * http2.
 */
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { event, type Scenario } from './scenario-kit';
import { closing, HOST, read, secure, sleep, tell, trust } from './web-kit';
import { ask, connect, hello, SESSION_EVENTS, watchServer } from './web-scenarios-http2';

export const http2EndScenarios: Record<string, Scenario> = {
  'http2: goaway in the middle of a session, from the server': {
    server: (log) =>
      watchServer(http2.createServer(), log, (stream, who, headers) => {
        if (headers[':path'] === '/goaway')
          stream.session?.goaway(http2.constants.NGHTTP2_NO_ERROR, stream.id, Buffer.from('why'));
        if (headers[':path'] === '/harsh') stream.session?.goaway(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
        // A session that was told to go waits for the other end to close the connection.
        const { session } = stream;
        stream.once('close', () => {
          session?.close();
        });
        hello(stream, who, headers);
      }),
    client: async (port, log) => {
      for (const path of ['/goaway', '/harsh']) {
        const session = connect(port, log);
        const end = closing(session);
        session.once('goaway', (code: number, last: number, data: Buffer | undefined) => {
          log.add('goaway', code, last > 0, data?.toString());
        });
        await event(session, 'connect');
        const stream = session.request({ ':path': path });
        stream.on('error', (error) => {
          log.add(path, error);
        });
        const text = read(stream);
        log.add(path, await text, stream.rstCode, session.closed);
        session.close();
        await end;
        // Node 20 and 22 throw; later ones tell it on the stream.
        try {
          const late = tell(session.request({ ':path': '/late' }), log, 'late', ['error', 'close']);
          if (!late.closed) await closing(late);
        } catch (error) {
          log.add(error);
        }
        await sleep(5);
      }
    },
  },

  'http2: goaway and close from the client, while a stream goes on': {
    server: (log) =>
      watchServer(http2.createServer(), log, (stream) => {
        stream.respond();
        stream.write('begun ');
        stream.on('data', () => undefined);
        stream.once('end', () => stream.end('done'));
      }),
    client: async (port, log) => {
      const session = connect(port, log);
      const end = closing(session);
      const stream = session.request({ ':path': '/', ':method': 'POST' });
      const text = read(stream);
      await event(stream, 'data');
      session.goaway();
      session.close(() => {
        log.add('closed', session.closed, session.destroyed);
      });
      log.add(session.closed, session.destroyed);
      await sleep(10);
      stream.end('more');
      log.add(await text);
      await end;
    },
  },

  'http2: a client of another protocol': {
    server: (log) => {
      const server = watchServer(http2.createSecureServer(secure), log, hello);
      server.on('unknownProtocol', (socket: tls.TLSSocket) => {
        log.add(socket.alpnProtocol, socket.destroyed);
        // Nobody reads it any more, so its end would not be seen.
        socket.end('HTTP/1.1 403 Forbidden\r\n\r\n', () => socket.destroy());
      });
      return server;
    },
    client: async (port, log) => {
      for (const ALPNProtocols of [['other'], undefined]) {
        const socket = tell(
          tls.connect({ port, ...trust, ...(ALPNProtocols === undefined ? {} : { ALPNProtocols }) }),
          log,
          'tls',
          ['secureConnect', 'end', 'close'],
        );
        // How OpenSSL words it differs between versions.
        socket.on('error', (error: NodeJS.ErrnoException) => {
          log.add('error', error.code);
        });
        socket.write('GET / HTTP/1.1\r\n\r\n');
        log.add(await read(socket), socket.alpnProtocol);
        await sleep(5);
      }
    },
  },

  'http2: bytes that are no http2, and a preface that does not come': {
    // Time enough for the bytes of the first to come before it.
    server: (log) =>
      watchServer(http2.createServer(), log, hello)
        .setTimeout(1000)
        .on('timeout', (session?: http2.ServerHttp2Session) => {
          session?.destroy();
        }),
    client: async (port, log) => {
      const socket = net.connect(port, HOST);
      socket.on('error', () => undefined);
      socket.write('this is no preface of http2, by no means\r\n\r\n');
      socket.resume();
      await closing(socket);
      await sleep(5);
      const silent = net.connect(port, HOST);
      silent.on('error', () => undefined);
      silent.resume();
      await closing(silent);
      log.add('both were closed');
    },
  },

  'http2: the interface of http': {
    server: (log) =>
      tell(
        http2.createServer((request, response) => {
          log.add(
            request.httpVersion,
            request.method,
            request.url,
            request.authority,
            request.headers['x-mine'],
            request.socket.constructor.name.length > 0,
            request.complete,
          );
          log.add(request.socket.remoteAddress, response.socket.remotePort === request.socket.remotePort);
          tell(request, log, 'request', ['aborted', 'end', 'close']);
          tell(response, log, 'response', ['finish', 'close']);
          let text = '';
          request.on('data', (chunk: Buffer) => (text += chunk.toString()));
          request.on('end', () => {
            log.add(text, request.complete);
            response.setHeader('x-yours', '1');
            response.statusCode = 201;
            log.add(response.headersSent, response.getHeaderNames());
            response.write('first ');
            log.add(response.headersSent, response.writableEnded);
            response.addTrailers({ 'x-after': '2' });
            response.end('last', () => {
              log.add('ended', response.writableEnded);
            });
          });
        }),
        log,
        'server',
        ['sessionError', 'close'],
      ),
    client: async (port, log) => {
      const session = connect(port, log);
      const stream = session.request({ ':path': '/a?b', ':method': 'POST', 'x-mine': '0' });
      stream.on('response', (headers) => {
        log.add(headers[':status'], headers['x-yours']);
      });
      stream.on('trailers', (headers: http2.IncomingHttpHeaders) => {
        log.add('trailers', headers['x-after']);
      });
      const text = read(stream);
      stream.end('body');
      log.add(await text);
      session.close();
      await closing(session);
    },
  },

  'http2: the interface of http, aborted by the client': {
    server: (log) =>
      tell(
        http2.createServer((request, response) => {
          tell(request, log, 'request', ['aborted', 'close']);
          tell(response, log, 'response', ['close']);
          response.write('begun');
          response.once('close', () => {
            log.add(request.aborted, request.destroyed, response.writableEnded);
          });
        }),
        log,
        'server',
        ['sessionError', 'close'],
      ),
    client: async (port, log) => {
      const session = connect(port, log);
      const stream = tell(session.request({ ':path': '/' }), log, 'stream', ['aborted', 'error', 'close']);
      await event(stream, 'data');
      stream.close(http2.constants.NGHTTP2_CANCEL);
      await closing(stream);
      session.close();
      await closing(session);
    },
  },

  'http2: timeouts of the client, of the server, and of a stream': {
    server: (log) => {
      const server = watchServer(http2.createServer(), log, (stream, who, headers) => {
        if (headers[':path'] === '/stream')
          stream.setTimeout(30, () => {
            log.add(who, 'idle stream');
            stream.close(http2.constants.NGHTTP2_CANCEL);
          });
      });
      return server;
    },
    client: async (port, log) => {
      const session = connect(port, log);
      await ask(session, log, '/stream', { ':path': '/stream' });
      const stream = tell(session.request({ ':path': '/never' }), log, 'never', ['error', 'aborted', 'close']);
      session.setTimeout(30, () => {
        log.add('idle session');
        session.destroy();
      });
      await closing(stream);
      if (!session.closed) await closing(session);
    },
  },

  'http2: a session on a socket of the program’s, and by createConnection': {
    server: (log) => watchServer(http2.createServer(), log, hello),
    client: async (port, log) => {
      const socket = net.connect(port, HOST);
      await event(socket, 'connect');
      const own = tell(
        http2.connect(`http://${HOST}:${port}`, { createConnection: () => socket }),
        log,
        'own',
        SESSION_EVENTS,
      );
      await ask(own, log, 'stream');
      own.close();
      await closing(own);
      log.add(socket.destroyed);
      const early = tell(
        http2.connect(`http://${HOST}:${port}`, { createConnection: () => net.connect(port, HOST) }),
        log,
        'early',
        SESSION_EVENTS,
      );
      await ask(early, log, 'stream');
      early.close();
      await closing(early);
    },
  },
};
