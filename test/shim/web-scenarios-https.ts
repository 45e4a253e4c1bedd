/** Scenarios: https and fetch, over connections that are kept and sessions that are taken up again. */
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { type Log, type Scenario, until } from './scenario-kit';
import {
  closing,
  follow,
  gone,
  HOST,
  MESSAGE_EVENTS,
  other,
  read,
  RESPONSE_EVENTS,
  secure,
  shown,
  sleep,
  tell,
  trust,
} from './web-kit';
import { counts } from './web-http-kit';

/**
 * Each is over only where it is meant, also on a busy machine: a handshake takes its time there, as does what follows
 * it.
 */
const LIMITS = { headersTimeout: 300, requestTimeout: 400, handshakeTimeout: 1500, connectionsCheckingInterval: 20 };

/** Logs connections and requests, each with the number of its connection. */
function secureWebServer(log: Log, options: https.ServerOptions = {}): https.Server {
  const numbers = new WeakMap<object, string>();
  let connections = 0;
  const server = https.createServer({ ...secure, ...options }, (request, response) => {
    const who = numbers.get(request.socket) ?? '#?';
    log.add(
      who,
      request.method,
      request.url,
      request.socket.constructor.name,
      Reflect.get(request.socket, 'servername'),
      request.headers.host === undefined,
    );
    tell(request, log, `${who} request`, MESSAGE_EVENTS);
    tell(response, log, `${who} response`, RESPONSE_EVENTS);
    response.end(`hello ${request.url ?? ''}`);
  });
  server.on('secureConnection', (socket: tls.TLSSocket) => {
    connections += 1;
    numbers.set(socket, `#${connections}`);
    log.add(`#${connections}`, 'secureConnection', socket.isSessionReused());
    tell(socket, log, `#${connections} socket`, ['end', 'error', 'close']);
  });
  return server.on('tlsClientError', (error) => {
    log.add('tlsClientError', shown(error));
  });
}

/** What fetch fails with, and why. */
function failure(error: unknown): unknown[] {
  const { name, message, cause } = error as Error;
  return [name, message, cause instanceof Error ? [cause.name, (cause as NodeJS.ErrnoException).code] : cause];
}

async function* pieces(): AsyncGenerator<Uint8Array> {
  for (const text of ['one ', 'two ', 'three']) {
    await sleep(2);
    yield Buffer.from(text);
  }
}

/** Answers by the path; logs requests and how they end. Which of its connections fetch takes is chance. */
function fetched(log: Log): http.RequestListener {
  // Beside the requests: an end may come behind the next of them.
  const ends = log.part('ends');
  return (request, response) => {
    log.add(request.method, request.url, request.headers['content-length'], request.headers['transfer-encoding']);
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      if (request.url === '/redirect') response.writeHead(307, { Location: '/there' }).end();
      else if (request.url === '/never')
        response.on('close', () => {
          ends.add('/never', response.writableEnded, request.destroyed);
        });
      else if (request.url === '/half')
        response
          .on('close', () => {
            ends.add('/half', response.writableFinished);
          })
          .write('half');
      else if (request.url === '/cut')
        response.writeHead(200, { 'Content-Length': 9 }).write('half', () => request.socket.destroy());
      else if (request.url === '/gone') request.socket.destroy();
      else response.end(`${request.url ?? ''} ${text}`);
    });
  };
}

export const httpsScenarios: Record<string, Scenario> = {
  'https: an agent keeps a connection, and takes up its session in the next': {
    server: (log) => secureWebServer(log, { sessionIdContext: 'x' }),
    client: async (port, log) => {
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const agent = new https.Agent({ ...trust, keepAlive: true, maxSockets: 1, maxVersion });
        agent.on('keylog', () => undefined);
        for (const path of ['/1', '/2', '/closed', '/3']) {
          const request = https.get({
            port,
            agent,
            path,
            host: HOST,
            headers: path === '/closed' ? { Connection: 'close' } : {},
          });
          await follow(request, log, path);
          const socket = request.socket as tls.TLSSocket;
          log.add(
            path,
            request.reusedSocket,
            socket.isSessionReused(),
            socket.authorized,
            counts(agent),
            agent.getName({ host: HOST, port: 1 }),
          );
          if (path === '/closed') await gone(socket);
        }
        agent.destroy();
        await sleep(5);
      }
    },
  },

  'https: certificates that are wrong, and names': {
    server: (log) => secureWebServer(log, { maxVersion: 'TLSv1.2' }),
    client: async (port, log) => {
      const ways: Record<string, https.RequestOptions> = {
        right: {},
        'unknown issuer': { ca: other.cert },
        'never mind': { ca: other.cert, rejectUnauthorized: false },
        'another name': { servername: 'another.example' },
        'no name': { servername: '' },
        'own check': { checkServerIdentity: (name) => new Error(`not ${name}`) },
      };
      for (const [name, options] of Object.entries(ways)) {
        const request = await follow(https.get({ ...trust, port, agent: false, ...options }), log, name);
        const socket = request.socket as tls.TLSSocket | null;
        log.add(name, socket?.authorized, socket?.authorizationError);
        await sleep(5);
      }
    },
  },

  'https: headersTimeout, requestTimeout and handshakeTimeout': {
    server: (log) =>
      https
        .createServer({ ...secure, ...LIMITS }, (request) => {
          request.on('error', () => undefined).resume();
        })
        .on('clientError', (error: NodeJS.ErrnoException, socket) => {
          log.add('clientError', error.code, socket.constructor.name, socket.writable);
          socket.end('HTTP/1.1 408 Too late\r\n\r\n');
        })
        .on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
          log.add('tlsClientError', error.code, socket.destroyed);
          socket.destroy();
        }),
    client: async (port, log) => {
      for (const head of [
        'GET / HTTP/1.1\r\nHost: x\r\n',
        'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\na',
      ]) {
        const socket = tell(tls.connect({ port, ...trust }), log, 'client', ['secureConnect', 'end', 'error', 'close']);
        socket.write(head);
        log.add(await read(socket));
        await sleep(5);
      }
      // Says nothing: no handshake comes.
      const silent = net.connect(port, HOST);
      silent.on('error', () => undefined).resume();
      await closing(silent);
      await sleep(5);
    },
  },

  'https: timeouts of a request and of its agent, and a server that keeps a connection for a moment': {
    server: (log) =>
      https.createServer(
        { ...secure, keepAliveTimeout: 30, keepAliveTimeoutBuffer: 0 } as https.ServerOptions,
        (request, response) => {
          request.socket.once('close', () => {
            log.part(request.url ?? '').add('closed', response.writableEnded);
          });
          if (request.url !== '/never') response.end('x');
        },
      ),
    client: async (port, log) => {
      const never = https.get({ port, ...trust, path: '/never', agent: false });
      // Not while it connects: a handshake takes its time on a busy machine.
      never.once('finish', () =>
        never.setTimeout(40, () => {
          never.destroy(new Error('too slow'));
        }),
      );
      await follow(never, log, 'never');
      const agent = new https.Agent({ ...trust, keepAlive: true, timeout: 400 });
      const byAgent = https.get({ port, host: HOST, path: '/never', agent });
      byAgent.on('timeout', () => byAgent.destroy());
      await follow(byAgent, log, 'by agent');
      const kept = https.get({ port, host: HOST, path: '/kept', agent }, (response) => response.resume());
      await closing(kept);
      await until(() => counts(agent).every((count) => count === 0), 'an agent without sockets');
    },
  },

  'https: a server that speaks no TLS, and one that speaks nothing': {
    server: () => {
      const server = http.createServer((_request, response) => response.end('plain'));
      return server;
    },
    client: async (port, log) => {
      const request = tell(https.get({ ...trust, port, agent: false }), log, 'plain', ['timeout', 'close']);
      request.on('error', (error: NodeJS.ErrnoException) => {
        log.add(error.code);
      });
      await closing(request);
    },
  },

  'fetch: connections that are kept, bodies and redirects': {
    server: (log) => http.createServer(fetched(log)),
    client: async (port, log) => {
      const at = (path: string): string => `http://${HOST}:${port}${path}`;
      const settings: Record<string, RequestInit & { duplex?: string }> = {
        '/1': {},
        '/2': { method: 'POST', body: 'text' },
        '/3': { method: 'POST', body: pieces(), duplex: 'half' },
        '/redirect': { method: 'POST', body: 'again' },
        '/there': { redirect: 'manual' },
      };
      for (const [path, options] of Object.entries(settings)) {
        const response = await fetch(at(path), options);
        log.add(
          path,
          response.status,
          response.redirected,
          response.url,
          response.headers.get('keep-alive'),
          await response.text(),
        );
      }
      const manual = await fetch(at('/redirect'), { redirect: 'manual' });
      log.add(manual.status, manual.headers.get('location'), await manual.text());
      log.add(...(await fetch(at('/redirect'), { redirect: 'error' }).then(() => ['followed'], failure)));
    },
  },

  'fetch: aborts, and servers that break off': {
    server: (log) => {
      const server = http.createServer(fetched(log));
      return server.on('request', (request, response) => {
        // fetch keeps connections without a request, for which the server's end would wait.
        if (request.url === '/last')
          response.on('finish', () =>
            setTimeout(() => {
              server.closeAllConnections();
            }, 5),
          );
      });
    },
    client: async (port, log) => {
      const at = (path: string): string => `http://${HOST}:${port}${path}`;
      log.add(...(await fetch(at('/never'), { signal: AbortSignal.abort() }).then(() => ['no'], failure)));
      log.add(...(await fetch(at('/never'), { signal: AbortSignal.timeout(600) }).then(() => ['no'], failure)));
      await sleep(5);
      const controller = new AbortController();
      const half = await fetch(at('/half'), { signal: controller.signal });
      const text = half.text();
      controller.abort(new Error('reason'));
      log.add(half.status, ...(await text.then(() => ['no'], failure)));
      for (const path of ['/cut', '/gone']) {
        const answer = await fetch(at(path))
          .then((response) => response.text())
          .then(() => ['no'], failure);
        log.add(path, ...answer);
      }
      const cancelled = await fetch(at('/half'));
      await cancelled.body?.cancel();
      await (await fetch(at('/last'))).text();
      await sleep(5);
    },
  },
};
