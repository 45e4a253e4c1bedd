/**
 * Scenarios: what looks at sockets from outside: async contexts, diagnostics channels, performance entries, rejections
 * and disposal.
 */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import diagnostics from 'node:diagnostics_channel';
import { captureRejectionSymbol, EventEmitter } from 'node:events';
import net from 'node:net';
import { type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { closed, event, freePort, type Scenario, silent } from './scenario-kit';

const HOST = '127.0.0.1';

const storage = new AsyncLocalStorage<string>();
const here = (): string => storage.getStore() ?? 'none';

/** Subscribes for the time of `run`. */
async function subscribed(
  listeners: Readonly<Record<string, (message: unknown) => void>>,
  run: () => Promise<void>,
): Promise<void> {
  for (const [name, listener] of Object.entries(listeners)) diagnostics.subscribe(name, listener);
  try {
    await run();
  } finally {
    for (const [name, listener] of Object.entries(listeners)) diagnostics.unsubscribe(name, listener);
  }
}

/**
 * A server that catches what its async listeners reject with; @note Node 20 to 26: net.Server takes no such option,
 * only the default.
 */
function rejecting(listener?: (socket: net.Socket) => void): net.Server {
  EventEmitter.captureRejections = true;
  try {
    return net.createServer(listener);
  } finally {
    EventEmitter.captureRejections = false;
  }
}

const rejects =
  (text: string): (() => void) =>
  () =>
    Promise.reject(new Error(text));

export const contextScenarios: Record<string, Scenario> = {
  'the async context of every callback of a client': {
    server: () =>
      net.createServer((socket) => {
        socket
          .on('error', () => undefined)
          .on('data', (chunk) => socket.write(chunk))
          .on('end', () => socket.end());
      }),
    client: async (port, log) => {
      const socket = storage.run('made', () => new net.Socket());
      storage.run('listeners', () => {
        for (const name of [
          'lookup',
          'connectionAttempt',
          'connect',
          'ready',
          'data',
          'drain',
          'timeout',
          'finish',
          'end',
          'close',
        ]) {
          socket.once(name, () => {
            log.add(name, here());
          });
        }
      });
      storage.run('connect', () =>
        socket.connect({ port, host: 'localhost', family: 4 }, () => {
          log.add('connect callback', here());
        }),
      );
      storage.run('early write', () =>
        socket.write('early', () => {
          log.add('early write callback', here());
        }),
      );
      await event(socket, 'data');
      storage.run('timeout', () =>
        socket.setTimeout(10, () => {
          log.add('timeout callback', here());
        }),
      );
      await event(socket, 'timeout');
      socket.setTimeout(0);
      storage.run('write', () =>
        socket.write('late', () => {
          log.add('write callback', here());
        }),
      );
      await event(socket, 'data');
      storage.run('end', () =>
        socket.end(() => {
          log.add('end callback', here());
        }),
      );
      await closed(socket);
    },
  },

  'the async context of an error, and of a socket bound to a resource': {
    server: silent,
    client: async (port, log) => {
      const free = await freePort();
      const refused = storage.run('refused', () => net.connect(free, HOST));
      for (const name of ['connectionAttemptFailed', 'error', 'close'])
        refused.on(name, () => {
          log.add(name, here());
        });
      await closed(refused);
      const resource = storage.run('resource', () => new AsyncResource('TEST'));
      const socket = net.connect(port, HOST);
      await new Promise<void>((resolve) => {
        socket.on(
          'connect',
          resource.bind(() => {
            log.add('bound', here());
            resolve();
          }),
        );
      });
      storage.run('destroy', () => socket.destroy());
      socket.on('close', () => {
        log.add('close', here());
      });
      await closed(socket);
    },
  },

  'the async context of every callback of a server': {
    server: silent,
    client: async (_port, log) => {
      const server = storage.run('made', () =>
        net.createServer((socket) => {
          log.add('connection', here());
          for (const name of ['data', 'end', 'close'])
            socket.once(name, () => {
              log.add('socket', name, here());
            });
          storage.run('handler', () =>
            socket.write('x', () => {
              log.add('write callback', here());
            }),
          );
        }),
      );
      for (const name of ['listening', 'close', 'drop'])
        server.on(name, () => {
          log.add(name, here());
        });
      storage.run('listen', () =>
        server.listen(0, HOST, () => {
          log.add('listen callback', here());
        }),
      );
      await event(server, 'listening');
      const socket = storage.run('client', () => net.connect((server.address() as net.AddressInfo).port, HOST));
      await event(socket, 'data');
      storage.run('count', () => {
        server.getConnections(() => {
          log.add('getConnections', here());
        });
      });
      await new Promise(setImmediate);
      const part = log.part('end');
      socket.on('close', () => {
        part.add('client', here());
      });
      socket.end('bye');
      await closed(socket);
      storage.run('close', () =>
        server.close(() => {
          log.add('close callback', here());
        }),
      );
      await event(server, 'close');
    },
  },

  'diagnostics channels of sockets': {
    server: (log) => {
      const seen = (message: unknown): void => {
        const { socket } = message as { socket: net.Socket };
        log.add(
          'net.server.socket',
          Object.keys(message as object),
          socket instanceof net.Socket,
          socket.connecting,
          socket.remoteFamily,
        );
      };
      diagnostics.subscribe('net.server.socket', seen);
      const server = net.createServer((socket) => {
        log.add('connection');
        socket.resume();
      });
      server.on('close', () => {
        diagnostics.unsubscribe('net.server.socket', seen);
      });
      return server;
    },
    client: async (port, log) => {
      const seen = (message: unknown): void => {
        const { socket } = message as { socket: net.Socket };
        log.add(
          'net.client.socket',
          Object.keys(message as object),
          socket instanceof net.Socket,
          socket.connecting,
          socket.pending,
          socket.destroyed,
        );
      };
      await subscribed({ 'net.client.socket': seen }, async () => {
        for (const connect of [
          (): net.Socket => net.connect(port, HOST),
          (): net.Socket => new net.Socket().connect(port, HOST),
          (): net.Socket => net.createConnection({ port, host: 'localhost', family: 4 }),
        ]) {
          const socket = connect();
          log.add('made');
          await event(socket, 'connect');
          socket.end();
          await closed(socket.resume());
        }
      });
    },
  },

  'tracing channels of listen': {
    server: silent,
    client: async (port, log) => {
      const tell =
        (name: string) =>
        (message: unknown): void => {
          const { server, options, error } = message as { server: net.Server; options?: object; error?: Error };
          log.add(name, Object.keys(message as object), server instanceof net.Server, server.listening, options, error);
        };
      const names = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'];
      await subscribed(
        Object.fromEntries(names.map((name) => [`tracing:net.server.listen:${name}`, tell(name)])),
        async () => {
          const server = net.createServer().listen({ port: 0, host: HOST, backlog: 7 });
          log.add('called');
          await event(server, 'listening');
          server.close();
          await event(server, 'close');
          const taken = net.createServer().listen(port, HOST);
          await event(taken, 'error');
          await event(net.createServer().listen(0, '192.0.2.1'), 'error');
        },
      );
    },
  },

  'performance entries of connects': {
    server: silent,
    client: async (port, log) => {
      const entries: PerformanceEntry[] = [];
      let observer: PerformanceObserver | undefined;
      // Node hands entries over in the phase of immediates: a timer that is due before it would find none.
      const told = new Promise<void>((resolve) => {
        observer = new PerformanceObserver((list) => {
          entries.push(...list.getEntries());
          resolve();
        });
      });
      observer?.observe({ type: 'net' as never });
      const socket = net.connect(port, HOST);
      await Promise.all([event(socket, 'connect'), told]);
      observer?.disconnect();
      const made = entries.length;
      log.add(
        'entries:',
        ...entries.map((entry): unknown[] => [
          entry.name,
          entry.entryType,
          entry.startTime > 0,
          entry.duration > 0,
          (entry as { detail?: unknown }).detail,
        ]),
      );
      const quiet = net.connect(port, HOST);
      await event(quiet, 'connect');
      await new Promise((resolve) => setTimeout(resolve, 5));
      log.add('more', entries.length - made);
      for (const each of [socket, quiet]) each.destroy();
    },
  },

  'rejections of async listeners': {
    server: (log) => {
      const server = rejecting((socket) => {
        socket.on('error', (error) => {
          log.add('socket', error);
        });
        socket.on('close', (hadError) => {
          log.add('socket close', hadError);
        });
        return Promise.reject(new Error('in connection')) as never;
      });
      log.add(typeof (server as unknown as Record<symbol, unknown>)[captureRejectionSymbol]);
      return server;
    },
    client: async (port, log) => {
      const socket = net.connect({ port, host: HOST, captureRejections: true } as net.NetConnectOpts);
      socket.on('connect', rejects('in connect'));
      socket.on('error', (error) => {
        log.add('client', error);
      });
      await closed(socket);
      log.add(socket.destroyed);
      const server = rejecting();
      server.on('listening', rejects('in listening'));
      server.listen(0, HOST);
      log.add((await event(server, 'error'))[0]);
      server.close();
      await event(server, 'close');
    },
  },

  'disposal of servers and sockets': {
    server: silent,
    client: async (port, log) => {
      const server = net.createServer((socket) => socket.resume()).listen(0, HOST);
      const dispose = (target: object): Promise<unknown> | undefined =>
        (target as Record<symbol, (() => Promise<unknown>) | undefined>)[Symbol.asyncDispose]?.();
      server.on('close', () => {
        log.add('close');
      });
      await event(server, 'listening');
      log.add(String(await dispose(server)), server.listening);
      log.add(await dispose(server)?.then(String, (error: unknown) => error));
      log.add(await dispose(net.createServer())?.then(String, (error: unknown) => error));
      const socket = net.connect(port, HOST);
      for (const name of ['error', 'close'])
        socket.on(name, (...values: unknown[]) => {
          log.add('socket', name, ...values);
        });
      await event(socket, 'connect');
      log.add(await dispose(socket)?.then(String, (error: unknown) => error));
      log.add(socket.destroyed);
    },
  },
};
