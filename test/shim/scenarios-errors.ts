/** Scenarios: everything that goes wrong, and how TCP says it. */
import net from 'node:net';
import { closed, event, freePort, type Scenario, silent, watch } from './scenario-kit';

export const errorScenarios: Record<string, Scenario> = {
  'nobody listens': {
    server: silent,
    client: async (_port, log) => {
      const port = await freePort();
      log.name(port, 'FREE');
      const socket = watch(net.connect(port, '127.0.0.1'), log, 'client');
      socket.write('x', (error) => {
        log.add('write', error?.message);
      });
      await closed(socket);
      log.add(socket.remoteAddress, socket.destroyed, socket.errored?.message);
    },
  },

  'nobody listens, seen from a port of the program’s own': {
    server: silent,
    client: async (_port, log) => {
      const port = await freePort();
      const localPort = await freePort();
      log.name(port, 'FREE');
      log.name(localPort, 'LOCAL');
      await closed(
        watch(net.connect({ port, host: '127.0.0.1', localAddress: '127.0.0.1', localPort }), log, 'client'),
      );
    },
  },

  'a local address that is not this system’s': {
    server: silent,
    client: async (port, log) => {
      await closed(watch(net.connect({ port, host: '127.0.0.1', localAddress: '192.0.2.1' }), log, 'client'));
    },
  },

  'hints that there are none of, and a lookup that gives no address': {
    server: silent,
    client: async (port, log) => {
      try {
        net.connect({ port, host: 'localhost', hints: 1 << 20 });
      } catch (error) {
        const { name, code, message } = error as NodeJS.ErrnoException;
        log.add(name, code, message);
      }
      for (const [address, family] of [
        ['127.0.0.1', 100],
        ['127.0.0.256', 4],
        ['', 4],
      ] as const) {
        const lookup = ((
          _host: string,
          options: { all?: boolean },
          done: (error: null, address: unknown, family?: number) => void,
        ) => {
          if (options.all === true) done(null, [{ address, family }]);
          else done(null, address, family);
        }) as net.LookupFunction;
        const socket = watch(net.connect({ port, host: 'nowhere.example', lookup }), log, 'client');
        socket.once('error', (error) => {
          log.add(error instanceof RangeError, error instanceof TypeError, Object.keys(error).sort());
        });
        await closed(socket);
      }
    },
  },

  'a name of several addresses, where nobody listens at any': {
    server: silent,
    client: async (_port, log) => {
      const port = await freePort();
      log.name(port, 'FREE');
      const lists = [
        ['127.0.0.1', '127.0.0.2'],
        ['127.0.0.1', '127.0.0.1'],
        ['127.0.0.1', '127.0.0.2', '::1'],
      ];
      for (const list of lists) {
        const found = list.map((address) => ({ address, family: net.isIP(address) }));
        const lookup = ((
          _host: string,
          options: { all?: boolean },
          done: (error: null, address: unknown, family?: number) => void,
        ) => {
          if (options.all === true) setImmediate(done, null, found);
          else setImmediate(done, null, found[0]?.address, found[0]?.family);
        }) as net.LookupFunction;
        for (const options of [
          {},
          { autoSelectFamily: true, autoSelectFamilyAttemptTimeout: 2000 },
          { autoSelectFamily: false },
        ]) {
          const part = log.part(JSON.stringify([list, options]));
          const socket = watch(net.connect({ port, host: 'several.example', lookup, ...options }), part, 'client');
          socket.on('error', (error) => {
            const all = error instanceof AggregateError ? (error.errors as Error[]) : [];
            part.add(error.constructor === AggregateError, Object.keys(error), error.stack?.split('\n')[0], ...all);
          });
          await closed(socket);
          part.add(socket.autoSelectFamilyAttemptedAddresses);
        }
      }
      const socket = watch(
        net.connect({
          port,
          host: 'several.example',
          lookup: ((_host: string, _options: unknown, done: (error: null, found: unknown) => void) => {
            setImmediate(done, null, [
              { address: '127.0.0.1', family: 4 },
              { address: '127.0.0.2', family: 4 },
            ]);
          }) as net.LookupFunction,
          autoSelectFamily: true,
        }),
        log.part('left'),
        'client',
      );
      socket.once('connectionAttemptFailed', () => socket.destroy());
      await closed(socket);
    },
  },

  'the peer resets': {
    server: () =>
      net.createServer((socket) => {
        socket.on('error', () => undefined);
        socket.once('data', () => socket.resetAndDestroy());
      }),
    client: async (port, log) => {
      const socket = watch(net.connect(port, '127.0.0.1'), log, 'client');
      socket.write('x');
      await closed(socket);
      log.add(socket.destroyed, socket.errored?.message);
    },
  },

  'the client resets': {
    server: (log) =>
      net.createServer((socket) => {
        watch(socket, log, 'server');
      }),
    client: async (port, log) => {
      const socket = watch(net.connect(port, '127.0.0.1'), log, 'client');
      await event(socket, 'ready');
      log.add(socket.resetAndDestroy() === socket);
      await closed(socket);
      socket.resetAndDestroy();
    },
  },

  'a reset asked for before the connection stands': {
    server: silent,
    client: async (port, log) => {
      const socket = watch(net.connect(port, '127.0.0.1'), log, 'client');
      socket.resetAndDestroy();
      await closed(socket);
    },
  },

  'a reset of a socket that never connected': {
    server: silent,
    client: async (_port, log) => {
      const socket = watch(new net.Socket(), log, 'client');
      socket.resetAndDestroy();
      await closed(socket);
    },
  },

  'written after the peer has ended': {
    server: () =>
      net.createServer({ allowHalfOpen: true }, (socket) => {
        socket.on('error', () => undefined);
        socket.end('bye');
        socket.resume();
      }),
    client: async (port, log) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.resume();
      await event(socket, 'end');
      await new Promise(setImmediate);
      socket.on('error', (error) => {
        log.add('error', error);
      });
      log.add(
        socket.write('too late', (error) => {
          log.add('callback', error?.message);
        }),
      );
      await new Promise((resolve) => setTimeout(resolve, 20));
      log.add(socket.destroyed);
    },
  },

  'written after destroy and after end': {
    server: silent,
    client: async (port, log) => {
      const first = net.connect(port, '127.0.0.1');
      await event(first, 'connect');
      first.on('error', (error) => {
        log.add('first', error);
      });
      first.destroy();
      first.write('x', (error) => {
        log.add('first write', error);
      });
      await closed(first);
      const second = net.connect(port, '127.0.0.1');
      await event(second, 'connect');
      second.end();
      second.write('x', (error) => {
        log.add('second write', error);
      });
      log.add('second', (await event(second, 'error'))[0]);
      second.destroy();
    },
  },

  'written to a peer that has gone': {
    server: () =>
      net.createServer((socket) => {
        socket.on('error', () => undefined);
        socket.once('data', () => socket.destroy());
      }),
    client: async (port, log) => {
      const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      socket.on('error', (error: NodeJS.ErrnoException) => {
        log.add(
          ['EPIPE', 'ECONNRESET'].includes(error.code ?? ''),
          error.syscall === 'write' || error.syscall === 'read',
        );
      });
      socket.resume();
      socket.write('go');
      await event(socket, 'end');
      const timer = setInterval(() => socket.write('x'), 1);
      await closed(socket);
      clearInterval(timer);
    },
  },

  'listening where somebody listens': {
    server: silent,
    client: async (port, log) => {
      const server = net.createServer();
      server.listen(port, '127.0.0.1');
      log.add((await event(server, 'error'))[0], server.listening, server.address());
    },
  },

  'listening twice, closing twice, and again': {
    server: silent,
    client: async (_port, log) => {
      const server = net.createServer();
      log.add(server.address(), server.listening);
      server.close((error) => {
        log.add('close', error ?? 'fine');
      });
      await event(server, 'close');
      for (let round = 0; round < 2; round += 1) {
        server.listen(0, '127.0.0.1');
        await event(server, 'listening');
        try {
          server.listen(0);
        } catch (error) {
          log.add(error, String(error), (error as Error).constructor.name);
        }
        log.add(server.ref() === server, server.unref() === server, server.listening);
        server.close((error) => {
          log.add('close', error ?? 'fine');
        });
        await event(server, 'close');
        log.add(server.address(), server.listening);
      }
    },
  },

  'a listen ended by its signal': {
    server: silent,
    client: async (_port, log) => {
      const controller = new AbortController();
      const server = net.createServer().listen({ port: 0, host: '127.0.0.1', signal: controller.signal });
      await event(server, 'listening');
      controller.abort();
      await event(server, 'close');
      log.add(server.listening);
      const late = net.createServer().listen({ port: 0, host: '127.0.0.1', signal: controller.signal });
      await event(late, 'close');
      log.add(late.listening);
    },
  },

  'an address that is not this system’s': {
    server: silent,
    client: async (_port, log) => {
      const server = net.createServer();
      server.listen(12_345, '192.0.2.1');
      log.add((await event(server, 'error'))[0]);
    },
  },

  'arguments that are wrong': {
    server: silent,
    client: async (port, log) => {
      const tries: (() => unknown)[] = [
        () => net.connect({} as never),
        () => net.connect({ port: -1 }),
        () => net.connect({ port: 65_536 }),
        () => net.connect({ port: 'x' as never }),
        () => net.connect({ port: true as never }),
        () => net.connect({ port, host: 'localhost', lookup: 'x' as never }),
        () => net.connect({ port, host: 'localhost', family: 5 }),
        () => net.connect({ port, host: '127.0.0.1', localAddress: 'nowhere' }),
        () => net.connect({ port, host: '127.0.0.1', localPort: '1' as never }),
        () => net.connect({ port, host: '127.0.0.1', autoSelectFamily: 1 as never }),
        () => net.connect({ port, host: '127.0.0.1', signal: 1 as never }),
        () => net.createServer().listen(-1),
        () => net.createServer().listen({ port: 65_536 }),
        () => net.createServer().listen({} as never),
        () => net.createServer().listen({ port: 0, signal: 1 as never }),
        () => net.createServer(1 as never),
      ];
      for (const attempt of tries) {
        try {
          attempt();
          log.add(String(attempt), 'nothing thrown');
        } catch (error) {
          log.add(error);
        }
      }
      await Promise.resolve();
    },
  },
};
