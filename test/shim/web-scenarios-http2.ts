/** Scenarios: http2, with TLS and without, from both ends. */
import http2 from 'node:http2';
import net from 'node:net';
import { event, type Log, type Scenario } from './scenario-kit';
import { closing, HOST, read, secure, shown, sleep, tell, trust } from './web-kit';

/** Not 'goaway', of which a session that closes sends one or two. */
export const SESSION_EVENTS = ['connect', 'ping', 'timeout', 'frameError', 'error', 'close'];
const STREAM_EVENTS = ['response', 'trailers', 'push', 'aborted', 'timeout', 'end', 'error', 'close'];

type Answer = (stream: http2.ServerHttp2Stream, who: string, headers: http2.IncomingHttpHeaders) => void;

/** Logs sessions and streams, each with the number of its session. */
export function watchServer<T extends http2.Http2Server | http2.Http2SecureServer>(
  server: T,
  log: Log,
  answer: Answer,
): T {
  let sessions = 0;
  const names = new WeakMap<object, string>();
  server.on('session', (session: http2.ServerHttp2Session) => {
    sessions += 1;
    const who = `#${sessions}`;
    names.set(session, who);
    log.name(session.socket.remotePort, 'CLIENT');
    log.add(who, 'session', session.encrypted, session.alpnProtocol, session.type);
    tell(session, log, who, SESSION_EVENTS);
  });
  server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    const who = names.get(stream.session ?? {}) ?? '#?';
    log.add(who, 'stream', headers[':method'], headers[':path'], stream.id);
    tell(stream, log, `${who} stream`, ['aborted', 'end', 'error', 'close']);
    answer(stream, who, headers);
  });
  tell(server as net.Server, log, 'server', ['sessionError', 'timeout', 'unknownProtocol', 'close']);
  return server;
}

export const hello: Answer = (stream) => {
  stream.respond({ ':status': 200 }, {});
  stream.end('hello');
};

export async function ask(
  session: http2.ClientHttp2Session,
  log: Log,
  who: string,
  headers: http2.OutgoingHttpHeaders = {},
): Promise<void> {
  const stream = session.request({ ':path': '/', ...headers });
  for (const name of STREAM_EVENTS)
    stream.on(name, (...values: unknown[]) => {
      log.add(who, name, name === 'response' ? (values[0] as http2.IncomingHttpHeaders)[':status'] : values.map(shown));
    });
  const text = read(stream);
  stream.end();
  log.add(who, await text, stream.rstCode);
}

export const connect = (port: number, log: Log, options: http2.ClientSessionOptions = {}): http2.ClientHttp2Session =>
  tell(http2.connect(`http://${HOST}:${port}`, options), log, 'session', SESSION_EVENTS);

const place = (socket: net.Socket): unknown[] => [
  socket.remoteAddress,
  socket.remoteFamily,
  socket.remotePort,
  socket.localAddress,
  socket.localPort,
  socket.address(),
  socket.destroyed,
  socket instanceof net.Socket,
  socket.bytesRead > 0,
];

export const http2Scenarios: Record<string, Scenario> = {
  'http2: a session without TLS, with what its socket tells': {
    server: (log) =>
      watchServer(http2.createServer(), log, (stream, who) => {
        const { socket } = stream.session ?? {};
        if (socket !== undefined) log.add(who, ...place(socket));
        hello(stream, who, {});
      }),
    client: async (port, log) => {
      const session = connect(port, log);
      log.add(session.connecting, session.encrypted, session.alpnProtocol, session.destroyed, session.closed);
      await event(session, 'connect');
      log.name(session.socket.localPort, 'CLIENT');
      log.add(session.connecting, session.encrypted, session.alpnProtocol, ...place(session.socket));
      await ask(session, log, 'stream');
      for (const act of ['destroy', 'write', 'read', 'pause', 'resume', 'end'] as const) {
        try {
          Reflect.get(session.socket, act);
          log.add(act, 'allowed');
        } catch (error) {
          log.add(act, error);
        }
      }
      session.close(() => {
        log.add('closed');
      });
      await closing(session);
      log.add(session.connecting, session.destroyed, session.closed);
    },
  },

  'http2: a session over TLS': {
    server: (log) =>
      watchServer(http2.createSecureServer(secure), log, (stream, who) => {
        const { socket } = stream.session ?? {};
        if (socket !== undefined) log.add(who, ...place(socket), Reflect.get(socket, 'servername'));
        hello(stream, who, {});
      }),
    client: async (port, log) => {
      const session = tell(http2.connect(`https://${HOST}:${port}`, trust), log, 'session', SESSION_EVENTS);
      await event(session, 'connect');
      log.name(session.socket.localPort, 'CLIENT');
      log.add(session.encrypted, session.alpnProtocol, session.originSet?.length, ...place(session.socket));
      await ask(session, log, 'stream');
      session.close();
      await closing(session);
    },
  },

  'http2: settings, ping and push': {
    server: (log) =>
      watchServer(http2.createServer({ settings: { maxConcurrentStreams: 7 } }), log, (stream, who) => {
        log.add(who, stream.session?.remoteSettings.initialWindowSize);
        stream.pushStream({ ':path': '/pushed' }, (error, pushed) => {
          log.add(who, 'push', error);
          pushed.respond();
          pushed.end('pushed');
          hello(stream, who, {});
        });
      }),
    client: async (port, log) => {
      const session = connect(port, log, { settings: { initialWindowSize: 50_000 } });
      session.on('remoteSettings', (settings: http2.Settings) => {
        log.add('remote', settings.maxConcurrentStreams);
      });
      session.on('localSettings', (settings: http2.Settings) => {
        log.add('local', settings.initialWindowSize);
      });
      const pushed = new Promise<string>((resolve, reject) => {
        session.on('stream', (stream, headers) => {
          log.add('pushed', headers[':path']);
          read(stream).then(resolve, reject);
        });
      });
      await event(session, 'remoteSettings');
      await new Promise<void>((resolve) => {
        session.ping(Buffer.from('12345678'), (error, duration, payload) => {
          log.add('pong', error, duration > 0, payload.toString());
          resolve();
        });
      });
      await ask(session, log, 'stream');
      log.add(await pushed);
      session.close();
      await closing(session);
    },
  },

  'http2: resets, and a session that is destroyed': {
    server: (log) =>
      watchServer(http2.createServer(), log, (stream, _who, headers) => {
        if (headers[':path'] === '/reset') stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
        else if (headers[':path'] === '/destroy') stream.session?.destroy();
        else hello(stream, '', {});
      }),
    client: async (port, log) => {
      for (const path of ['/reset', '/destroy']) {
        const session = connect(port, log);
        await ask(session, log, path, { ':path': path });
        if (path === '/reset') session.close();
        if (!session.destroyed) await closing(session);
        await sleep(5);
      }
    },
  },

  'http2: a client that destroys its session or its socket': {
    server: (log) =>
      watchServer(http2.createServer(), log, (stream) => {
        stream.on('error', () => undefined);
        stream.respond();
        stream.write('begun');
      }),
    client: async (port, log) => {
      for (const how of ['session', 'error', 'stream']) {
        const session = connect(port, log);
        const end = closing(session);
        const stream = tell(session.request({ ':path': `/${how}` }), log, how, ['aborted', 'error', 'end', 'close']);
        await event(stream, 'data');
        if (how === 'session') session.destroy();
        else if (how === 'error') session.destroy(new Error('mine'));
        else stream.close(http2.constants.NGHTTP2_CANCEL);
        await closing(stream);
        if (how === 'stream') session.destroy();
        await end;
        await sleep(5);
      }
    },
  },

  'http2: timeouts of sessions and streams': {
    server: (log) =>
      watchServer(http2.createServer(), log, (stream, who) => {
        stream.session?.setTimeout(30, () => {
          log.add(who, 'idle');
          stream.session?.destroy();
        });
      }),
    client: async (port, log) => {
      const session = connect(port, log);
      await ask(session, log, 'stream');
      if (!session.destroyed) await closing(session);
    },
  },

  'http2: one server for http2 and http/1.1': {
    server: (log) =>
      tell(
        http2.createSecureServer({ ...secure, allowHTTP1: true }, (request, response) => {
          log.add(
            'request',
            request.httpVersion,
            request.url,
            request.socket.constructor.name,
            request.socket.remoteAddress,
          );
          response.end(request.httpVersion);
        }),
        log,
        'server',
        ['unknownProtocol', 'sessionError', 'close'],
      ),
    client: async (port, log) => {
      const { default: https } = await import('node:https');
      const session = tell(http2.connect(`https://${HOST}:${port}`, trust), log, 'session', SESSION_EVENTS);
      await ask(session, log, 'stream');
      session.close();
      await closing(session);
      const request = https.get({ port, ...trust, agent: false });
      const [response] = (await event(request, 'response')) as [NodeJS.ReadableStream];
      log.add(await read(response));
    },
  },

  'http2: much data in both directions': {
    server: (log) =>
      watchServer(http2.createServer(), log, (stream) => {
        stream.respond();
        stream.pipe(stream);
      }),
    client: async (port, log) => {
      const session = connect(port, log);
      const stream = session.request({ ':path': '/echo', ':method': 'POST' });
      const text = read(stream);
      for (let i = 0; i < 20; i += 1) if (!stream.write(Buffer.alloc(50_000, i))) await event(stream, 'drain');
      stream.end();
      log.add(await text, stream.rstCode);
      session.close();
      await closing(session);
    },
  },

  'http2: a server that is not there': {
    server: () => http2.createServer(),
    client: async (port, log) => {
      // The port below the server's own: nobody listens at port 1 of any machine that tests run on.
      log.name(port, 'SERVER');
      const session = tell(http2.connect(`http://${HOST}:1`), log, 'session', SESSION_EVENTS);
      const end = closing(session);
      const stream = tell(session.request({ ':path': '/' }), log, 'stream', ['error', 'close']);
      await Promise.all([closing(stream), end]);
    },
  },
};
