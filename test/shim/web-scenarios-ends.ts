/** Scenarios: http that ends early, by timeouts, aborts and servers that close, from both ends. */
import diagnostics from 'node:diagnostics_channel';
import http from 'node:http';
import type net from 'node:net';
import { event, type Log, type Scenario, until } from './scenario-kit';
import { agentOf, counts, webServer } from './web-http-kit';
import { closing, follow, gone, HOST, sendRaw, sleep, tell } from './web-kit';

/** Not 'finish' and 'socket': whether a short time is over before the connection stands is chance. */
const LATE_EVENTS = ['timeout', 'abort', 'error', 'close'];

/**
 * How long a server waits for bytes that are on their way: a client on a busy machine takes its time, and what comes
 * behind the end resets.
 */
const PATIENT_MS = 400;

/** Takes requests and answers none; what it sees of their ends is chance. */
const mute = (): http.Server =>
  http.createServer((request) => {
    request.on('error', () => undefined).resume();
  });

/** Begins an answer and does not end it. */
const begin: http.RequestListener = (request, response) => {
  request.resume();
  response.write('begun');
};

const STAGES = ['now', 'socket', 'connect', 'finish', 'response', 'data'];

/** Calls `act` when a request has come so far. */
function atStage(request: http.ClientRequest, stage: string, act: () => void): void {
  if (stage === 'now') act();
  else if (stage === 'connect') request.on('socket', (socket) => socket.once('connect', act));
  else if (stage === 'data') request.on('response', (response) => response.once('data', act));
  else request.once(stage, act);
}

const CHANNELS = [
  'http.client.request.created',
  'http.client.request.start',
  'http.client.request.error',
  'http.client.response.finish',
  'http.server.request.start',
  'http.server.response.created',
  'http.server.response.finish',
];

interface Announced {
  readonly request?: { readonly method?: string; readonly url?: string; readonly path?: string };
  readonly response?: { readonly statusCode: number };
  readonly socket?: net.Socket;
  readonly error?: unknown;
}

/** Logs the channels of one end, until the function that it returns is called. */
function listen(end: string, log: Log): () => void {
  const names = CHANNELS.filter((name) => name.startsWith(end));
  const write = (message: unknown, name: string | symbol): void => {
    const { request, response, socket, error } = message as Announced;
    log.add(
      String(name),
      Object.keys(message as object).sort(),
      request?.method,
      request?.path ?? request?.url,
      response?.statusCode,
      socket?.constructor.name,
      error,
    );
  };
  for (const name of names) diagnostics.subscribe(name, write);
  return () => {
    for (const name of names) diagnostics.unsubscribe(name, write);
  };
}

export const endScenarios: Record<string, Scenario> = {
  'http: timeouts of a request, in every way to set them': {
    server: mute,
    client: async (port, log) => {
      const to = { port, host: HOST };
      const agent = new http.Agent({ timeout: 30 });
      const ways: Record<string, () => http.ClientRequest> = {
        option: () => http.get({ ...to, timeout: 30 }),
        agent: () => http.get({ ...to, agent }),
        'agent and option': () => http.get({ ...to, agent, timeout: 20 }),
        method: () =>
          http.get(to).setTimeout(30, () => {
            log.add('called');
          }),
        'method, when connected': () =>
          http.get(to).on('socket', function connected(this: http.ClientRequest, socket) {
            socket.on('connect', () => this.setTimeout(30));
          }),
        socket: () =>
          http.get(to).on('socket', function given(this: http.ClientRequest, socket) {
            socket.setTimeout(30, () => this.destroy(new Error('mine')));
          }),
      };
      for (const [name, make] of Object.entries(ways)) {
        const request = tell(make(), log, name, LATE_EVENTS);
        request.on('timeout', () => {
          log.add(name, request.socket?.timeout, request.destroyed);
          request.destroy();
        });
        await closing(request);
      }
    },
  },

  'http: a request to a server that accepts nothing for a while': {
    server: () =>
      http.createServer((request, response) => {
        if (request.url !== '/sleep') return;
        // Behind the answer nothing moves in this process, neither TCP nor STP.
        response.end('good night', () =>
          setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150), 5),
        );
      }),
    client: async (port, log) => {
      await follow(http.get({ port, host: HOST, path: '/sleep', agent: false }), log, 'sleep');
      await sleep(15);
      const request = tell(http.get({ port, host: HOST, agent: false, timeout: 40 }), log, 'late', LATE_EVENTS);
      request.on('timeout', () => request.destroy());
      await closing(request);
    },
  },

  'http: timeouts of the server, of requests and of responses': {
    server: (log) => {
      const server = webServer(log, (request, response) => {
        const over = (who: string) => (): void => {
          log.add(who, 'idle', request.complete, request.socket.timeout);
          request.socket.destroy();
        };
        if (request.url === '/request') request.setTimeout(30, over('request'));
        else if (request.url === '/response') response.setTimeout(30, over('response'));
        else {
          server.once('timeout', over('server'));
          request.socket.setTimeout(30);
        }
      });
      return server;
    },
    client: async (port, log) => {
      for (const path of ['/request', '/response', '/server']) {
        await sendRaw(port, log, path, `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\na`);
        await sleep(5);
      }
    },
  },

  'http: a server’s timeout that nobody listens to': {
    server: () => Object.assign(mute(), { timeout: PATIENT_MS }),
    client: async (port, log) => {
      await sendRaw(port, log, 'asked', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      await sendRaw(port, log, 'said nothing', '');
    },
  },

  'http: headersTimeout': {
    server: () =>
      http.createServer(
        { headersTimeout: PATIENT_MS, requestTimeout: 2 * PATIENT_MS, connectionsCheckingInterval: 20 },
        (_request, response) => response.end(),
      ),
    client: async (port, log) => {
      await sendRaw(port, log, 'nothing', '');
      await sendRaw(port, log, 'the head', 'GET / HTTP/1.1\r\nHost: x\r\n');
    },
  },

  'http: requestTimeout': {
    server: (log) =>
      http
        .createServer({ headersTimeout: 0, requestTimeout: PATIENT_MS, connectionsCheckingInterval: 20 }, (request) => {
          request.on('error', () => undefined).resume();
        })
        .on('clientError', (error: NodeJS.ErrnoException, socket) => {
          log.add('clientError', error.code, error.message, socket.writable, socket.destroyed);
          socket.end('HTTP/1.1 408 Too late\r\n\r\n');
        }),
    client: (port, log) => sendRaw(port, log, 'the body', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\na'),
  },

  'http: keepAliveTimeout, with and without a hint to the agent': {
    // Where the buffer is an option, which is a second else.
    server: () =>
      http.createServer(
        { keepAliveTimeout: 30, keepAliveTimeoutBuffer: 0 } as http.ServerOptions,
        (request, response) => {
          if (request.url === '/long') response.setHeader('Keep-Alive', 'timeout=5');
          response.end('x');
        },
      ),
    client: async (port, log) => {
      const get = async (path: string, part: Log): Promise<void> => {
        const agent = agentOf(part, { timeout: 1000 });
        const request = http.get({ port, host: HOST, agent, path }, (response) => response.resume());
        await closing(request);
        await until(() => counts(agent).every((count) => count === 0), 'an agent without sockets');
        part.add(path, request.socket?.destroyed);
      };
      // Beside each other: some versions of Node add a second to each.
      const raw = sendRaw(port, log.part('raw'), 'raw', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      await Promise.all([raw, ...['/short', '/long'].map((path) => get(path, log.part(path)))]);
    },
  },

  'http: an agent’s timeout of free sockets': {
    server: () => http.createServer((_request, response) => response.end('x')),
    client: async (port, log) => {
      const agent = agentOf(log, { timeout: 50 });
      const request = http.get({ port, host: HOST, agent }, (response) => response.resume());
      await closing(request);
      const { socket } = request;
      await gone(socket);
      log.add(counts(agent), socket?.timeout);
    },
  },

  'http: a request that is destroyed at each stage': {
    server: () => http.createServer(begin),
    client: async (port, log) => {
      for (const stage of STAGES) {
        for (const error of [undefined, new Error('mine')]) {
          const request = http.get({ port, host: HOST, agent: false });
          atStage(request, stage, () => request.destroy(error));
          await follow(request, log, stage);
          log.add(
            stage,
            request.destroyed,
            request.writableFinished,
            request.socket?.destroyed,
            request.socket?.readyState,
          );
        }
      }
    },
  },

  'http: an abort signal at each stage': {
    server: () => http.createServer(begin),
    client: async (port, log) => {
      await follow(
        http.get({ port, host: HOST, agent: false, signal: AbortSignal.abort(new Error('before')) }),
        log,
        'before',
      );
      for (const stage of STAGES) {
        const controller = new AbortController();
        const request = http.get({ port, host: HOST, agent: false, signal: controller.signal });
        atStage(request, stage, () => {
          controller.abort(new Error('reason'));
        });
        await follow(request, log, stage);
      }
    },
  },

  'http: a client that leaves within the answer, as the server sees it': {
    server: (log) => webServer(log, begin),
    client: async (port, log) => {
      for (const how of ['destroy', 'end'] as const) {
        const request = http.get({ port, host: HOST, agent: false });
        atStage(request, 'data', () => {
          if (how === 'destroy') request.destroy();
          else request.socket?.end();
        });
        await follow(request, log, how);
        await sleep(5);
      }
    },
  },

  'http: a response that is destroyed at each stage': {
    server: (log) =>
      webServer(log, (request, response) => {
        request.resume();
        const ways: Record<string, () => unknown> = {
          '/before': () => response.destroy(),
          '/error': () => response.destroy(new Error('mine')),
          '/request': () => request.destroy(),
          '/request-error': () => request.destroy(new Error('mine')),
          '/reset': () => request.socket.resetAndDestroy(),
          '/socket': () => request.socket.end(),
          '/body': () => response.write('begun', () => response.destroy()),
          '/body-end': () => response.write('begun', () => response.socket?.end()),
          '/length': () => response.writeHead(200, { 'Content-Length': 9 }).write('begun', () => response.destroy()),
        };
        ways[request.url ?? '']?.();
      }),
    client: async (port, log) => {
      for (const path of [
        '/before',
        '/error',
        '/request',
        '/request-error',
        '/reset',
        '/socket',
        '/body',
        '/body-end',
        '/length',
      ]) {
        await follow(http.get({ port, host: HOST, agent: false, path }), log, path);
        await sleep(5);
      }
    },
  },

  'http: connections above maxConnections are dropped': {
    server: (log) => {
      const server = http.createServer((_request, response) => response.end('x'));
      server.maxConnections = 1;
      return server.on('drop', (data) => {
        log.add('drop', { ...data, remotePort: 'some' });
      });
    },
    client: async (port, log) => {
      const agent = agentOf(log);
      await follow(http.get({ port, host: HOST, agent }), log, 'first');
      await sendRaw(port, log, 'second', '');
      const third = http.get({ port, host: HOST, agent: false });
      // By what its message tells is chance: the server's end may come before the request.
      third.on('error', (error: NodeJS.ErrnoException) => {
        log.add('third', error.code);
      });
      await closing(third);
      await follow(http.get({ port, host: HOST, agent }), log, 'first again');
      agent.destroy();
    },
  },

  'http: closeIdleConnections and closeAllConnections': {
    server: (log) => {
      const server = webServer(log, (request, response) => {
        if (request.url === '/idle') response.end('x');
        else response.write('x');
        if (request.url === '/close-idle') server.closeIdleConnections();
        if (request.url === '/close-all')
          setTimeout(() => {
            server.closeAllConnections();
          }, 10);
      });
      return server;
    },
    client: async (port, log) => {
      const agent = agentOf(log);
      const idle = await follow(http.get({ port, host: HOST, agent, path: '/idle' }), log, 'idle');
      const waiting = http.get({ port, host: HOST, agent: false, path: '/wait' });
      const waited = follow(waiting, log.part('wait'), 'wait');
      await event(waiting, 'response');
      const other = http.get({ port, host: HOST, agent: false, path: '/close-idle' });
      const otherEnd = follow(other, log.part('close-idle'), 'close-idle');
      await event(other, 'response');
      await gone(idle.socket);
      log.add(counts(agent), waiting.destroyed);
      await follow(
        http.get({ port, host: HOST, agent: false, path: '/close-all' }),
        log.part('close-all'),
        'close-all',
      );
      await Promise.all([waited, otherEnd]);
    },
  },

  'http: the channels of diagnostics_channel': {
    server: (log) => {
      const stop = listen('http.server', log);
      return http
        .createServer((request, response) => {
          if (request.url === '/gone') request.socket.destroy();
          else response.end('x');
        })
        .on('close', stop);
    },
    client: async (port, log) => {
      const stop = listen('http.client', log);
      for (const path of ['/', '/gone']) {
        await follow(http.get({ port, host: HOST, agent: false, path }), log, path);
        await sleep(5);
      }
      stop();
    },
  },
};
