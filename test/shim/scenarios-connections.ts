/** Scenarios: how connections begin and end, and what sockets tell of themselves. */
import { AsyncLocalStorage } from 'node:async_hooks';
import dns from 'node:dns';
import net from 'node:net';
import { closed, errorText, event, freePort, type Scenario, watch } from './scenario-kit';

const echo = (): net.Server =>
  net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });

/** Deprecated, and still looked at by programs. */
const bufferSize = (socket: net.Socket): unknown => (socket as { bufferSize?: unknown })['bufferSize'];

export const connectionScenarios: Record<string, Scenario> = {
  'an echo, with all events of both ends': {
    server: (log) =>
      net.createServer((socket) => {
        log.name(socket.remotePort, 'CLIENT');
        watch(socket, log, 'server');
        socket.on('data', (chunk) => socket.write(chunk));
      }),
    client: async (port, log) => {
      const socket = watch(net.connect(port, '127.0.0.1'), log, 'client');
      await event(socket, 'ready');
      socket.write('hello, ');
      socket.end('world');
      await closed(socket);
      log.add(socket.bytesRead, socket.bytesWritten, socket.destroyed, socket.readyState);
    },
  },

  'what a socket tells of itself before, in and after the connection': {
    server: (log) =>
      net.createServer((socket) => {
        log.name(socket.remotePort, 'CLIENT');
        log.add(
          socket.address(),
          socket.remoteAddress,
          socket.remoteFamily,
          socket.remotePort,
          socket.localAddress,
          socket.localFamily,
          socket.localPort,
        );
        log.add(
          socket.pending,
          socket.connecting,
          socket.readyState,
          bufferSize(socket),
          socket.allowHalfOpen,
          socket.timeout,
        );
        socket.end('x');
      }),
    client: async (port, log) => {
      const tell = (): void => {
        log.add(
          socket.pending,
          socket.connecting,
          socket.readyState,
          bufferSize(socket),
          socket.bytesRead,
          socket.bytesWritten,
          socket.remoteAddress,
          socket.remotePort,
          socket.destroyed,
        );
      };
      const socket = new net.Socket();
      tell();
      socket.connect(port, '127.0.0.1');
      tell();
      await event(socket, 'connect');
      log.name(socket.localPort, 'CLIENT');
      tell();
      log.add(socket.address(), socket.localFamily, socket.remoteFamily);
      socket.resume();
      await closed(socket);
      tell();
      log.add(socket.address(), socket.localPort);
    },
  },

  'half-open: the server goes on after the client has ended': {
    server: (log) =>
      net.createServer({ allowHalfOpen: true }, (socket) => {
        watch(socket, log, 'server');
        socket.once('end', () => {
          log.add(socket.readyState, socket.writable, socket.readable);
          socket.write('one ');
          setImmediate(() => socket.end('two'));
        });
      }),
    client: async (port, log) => {
      const socket = watch(net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }), log, 'client');
      socket.end('done');
      await closed(socket);
    },
  },

  'half-open client: it may write when the server has ended': {
    server: (log) =>
      net.createServer({ allowHalfOpen: true }, (socket) => {
        watch(socket, log, 'server');
        socket.end('bye');
      }),
    client: async (port, log) => {
      const socket = watch(net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }), log, 'client');
      await event(socket, 'end');
      log.add(socket.readyState);
      socket.end('still here');
      await closed(socket);
    },
  },

  'writes, an end and options before the connection stands': {
    server: echo,
    client: async (port, log) => {
      const socket = watch(net.connect(port, '127.0.0.1'), log, 'client');
      log.add(
        socket.setNoDelay() === socket,
        socket.setKeepAlive(true, 2000) === socket,
        socket.ref() === socket,
        socket.setTimeout(60_000) === socket,
      );
      log.add(socket.write('a'), socket.write('bc'), socket.bytesWritten, socket.writableLength);
      socket.end('d', () => {
        log.add('ended');
      });
      await closed(socket);
      log.add(socket.bytesWritten);
    },
  },

  'destroyed before the connection stands': {
    server: () => net.createServer((socket) => socket.resume().on('error', () => undefined)),
    client: async (port, log) => {
      const socket = watch(net.connect(port, '127.0.0.1'), log, 'client');
      socket.write('lost', (error) => {
        log.add('write', error ?? 'fine');
      });
      socket.destroy();
      log.add(socket.connecting, socket.pending);
      await closed(socket);
    },
  },

  'destroyed with an error by the program': {
    server: (log) =>
      net.createServer((socket) => {
        watch(socket, log, 'server');
      }),
    client: async (port, log) => {
      const socket = watch(net.connect(port, '127.0.0.1'), log, 'client');
      await event(socket, 'ready');
      socket.destroy(Object.assign(new Error('enough'), { code: 'EOWN' }));
      await closed(socket);
    },
  },

  'destroySoon sends what waits': {
    server: (log) =>
      net.createServer((socket) => {
        watch(socket, log, 'server');
      }),
    client: async (port, log) => {
      const socket = watch(net.connect(port, '127.0.0.1'), log, 'client');
      await event(socket, 'ready');
      socket.write('last words');
      socket.destroySoon();
      await closed(socket);
    },
  },

  'a socket connects a second time': {
    server: echo,
    client: async (port, log) => {
      const socket = watch(new net.Socket(), log, 'client');
      for (const text of ['first', 'second']) {
        socket.connect(port, '127.0.0.1');
        await event(socket, 'connect');
        socket.end(text);
        await closed(socket);
        log.add(text, socket.bytesRead, socket.bytesWritten);
      }
    },
  },

  'a timeout without traffic': {
    server: () => net.createServer((socket) => socket.on('error', () => undefined).on('end', () => socket.end())),
    client: async (port, log) => {
      // Enough for a connect on a busy machine, which must not time out.
      const socket = watch(net.connect({ port, host: '127.0.0.1', timeout: 1000 }), log, 'client');
      await event(socket, 'timeout');
      log.add(socket.timeout);
      socket.end();
      await closed(socket);
    },
  },

  'an abort signal destroys the socket': {
    server: () => net.createServer((socket) => socket.resume().on('error', () => undefined)),
    client: async (port, log) => {
      const controller = new AbortController();
      const socket = watch(net.connect({ port, host: '127.0.0.1', signal: controller.signal }), log, 'client');
      await event(socket, 'ready');
      controller.abort();
      await closed(socket);
    },
  },

  'a refused connect to localhost, which has several addresses': {
    server: () => net.createServer(),
    client: async (_port, log) => {
      const port = await freePort();
      log.name(port, 'PORT');
      const { lookup } = dns;
      // As caches of names do it. What localhost is here is chance.
      dns.lookup = ((host: string, { all }: dns.LookupOptions, callback: (...values: unknown[]) => void) => {
        log.add('lookup of', host);
        setImmediate(() => {
          if (all === true)
            callback(null, [
              { address: '127.0.0.1', family: 4 },
              { address: '127.0.0.2', family: 4 },
            ]);
          else callback(null, '127.0.0.1', 4);
        });
      }) as unknown as typeof dns.lookup;
      try {
        for (const options of [{}, { host: 'localhost' }, { autoSelectFamily: false }, { localAddress: '127.0.0.1' }]) {
          const socket = watch(net.connect({ port, ...options }), log, 'client');
          socket.on('error', (error: NodeJS.ErrnoException & { errors?: Error[] }) => {
            log.add(error.errors?.map(errorText) ?? 'one error');
          });
          await closed(socket);
          log.add(socket.autoSelectFamilyAttemptedAddresses);
        }
      } finally {
        dns.lookup = lookup;
      }
    },
  },

  'connect events of the name localhost, and of a lookup of the program’s own': {
    server: echo,
    client: async (port, log) => {
      const lookup = ((host: string, options: { all?: boolean }, callback: (...values: unknown[]) => void) => {
        log.add('lookup of', host);
        setImmediate(() => {
          if (options.all === true) callback(null, [{ address: '127.0.0.1', family: 4 }]);
          else callback(null, '127.0.0.1', 4);
        });
      }) as unknown as net.LookupFunction;
      for (const options of [
        { host: 'somewhere.example', lookup },
        { host: 'somewhere.example', lookup, autoSelectFamily: false },
        { host: 'localhost', family: 4 },
      ]) {
        const socket = watch(net.connect({ port, ...options }), log, 'client');
        socket.end('x');
        await closed(socket);
      }
    },
  },

  'maxConnections drops those above it': {
    server: (log) => {
      const server = net.createServer((socket) => {
        socket
          .on('error', () => undefined)
          .resume()
          .on('end', () => socket.end());
      });
      server.maxConnections = 1;
      server.on('drop', (data) => {
        log.name(data?.remotePort, 'CLIENT');
        log.add('drop', data);
      });
      return server;
    },
    client: async (port, log) => {
      const first = net.connect(port, '127.0.0.1');
      await event(first, 'connect');
      const second = net.connect(port, '127.0.0.1').on('error', () => undefined);
      second.resume();
      await closed(second);
      log.add('second closed');
      first.end();
      first.resume();
      await closed(first);
      const third = net.connect(port, '127.0.0.1');
      await event(third, 'connect');
      third.end();
      third.resume();
      await closed(third);
      log.add('third served');
    },
  },

  'connections are counted, and close waits for them': {
    server: (log) => {
      const server = net.createServer({ allowHalfOpen: true }, (socket) => {
        server.getConnections((error, count) => {
          log.add('connections', error, count, (socket as net.Socket & { server?: net.Server }).server === server);
        });
        socket.resume().on('end', () => {
          log.add('listening', server.listening);
          server.close((closeError) => {
            log.add('closed', closeError ?? 'fine');
          });
          log.add('listening', server.listening, server.address());
          server.close((closeError) => {
            log.add('closed again', closeError ?? 'fine');
          });
          setImmediate(() => {
            log.add('ends');
            socket.end();
          });
        });
      });
      server.on('close', () => {
        log.add('close');
      });
      return server;
    },
    client: async (port) => {
      const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      socket.end();
      await event(socket.resume(), 'end');
      await closed(socket);
    },
  },

  'async contexts: of the connect for the client, of the listen for what is accepted': {
    server: (log) => {
      const storage = new AsyncLocalStorage<string>();
      const server = net.createServer((socket) => {
        log.add('connection', storage.getStore());
        socket.on('data', (chunk) => {
          log.add('data', storage.getStore());
          storage.run('handler', () => socket.end(chunk));
        });
        socket.on('close', () => {
          log.add('close', storage.getStore());
        });
      });
      const listen = server.listen.bind(server);
      server.listen = ((...args: []) => storage.run('listen', () => listen(...args))) as typeof server.listen;
      return server;
    },
    client: async (port, log) => {
      const storage = new AsyncLocalStorage<string>();
      const socket = storage.run('connect', () => net.connect(port, '127.0.0.1'));
      for (const name of ['connect', 'data', 'end', 'close'])
        socket.on(name, () => {
          log.add(name, storage.getStore());
        });
      await event(socket, 'connect');
      storage.run('write', () =>
        socket.write('x', () => {
          log.add('written', storage.getStore());
        }),
      );
      await closed(socket);
    },
  },
};
