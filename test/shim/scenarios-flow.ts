/** Scenarios: when data flows and when it stops, and what time does to a socket. */
import net from 'node:net';
import { closed, event, type Log, type Scenario, silent, watch } from './scenario-kit';

const hello = (): net.Server => net.createServer((socket) => socket.on('error', () => undefined).end('hello'));

/** Deprecated, and still looked at by programs. */
const bufferSize = (socket: net.Socket): unknown => (socket as { bufferSize?: unknown })['bufferSize'];

/**
 * When the timeout came, measured from the last sign of life: never too early. Told once, for on a busy machine there
 * may be one between two signs of life as well.
 */
function judge(socket: net.Socket, log: Log, timeoutMs: number): (what: string) => void {
  const told = new Set<string>();
  let lastMs = performance.now();
  socket.on('timeout', () => {
    const when = performance.now() - lastMs >= timeoutMs - 2 ? 'in time' : 'too early';
    if (!told.has(when)) log.add('timeout', when);
    told.add(when);
  });
  return () => {
    lastMs = performance.now();
  };
}

export const flowScenarios: Record<string, Scenario> = {
  'pause before the connection stands, and resume after it': {
    server: hello,
    client: async (port, log) => {
      const socket = watch(net.connect(port, '127.0.0.1').pause(), log, 'client');
      socket.pause();
      log.add(socket.isPaused(), socket.readableFlowing);
      await event(socket, 'ready');
      await new Promise((resolve) => setTimeout(resolve, 10));
      log.add(socket.isPaused(), socket.readableEnded);
      socket.resume();
      await closed(socket);
    },
  },

  'pause and resume in one turn, before and after the connection': {
    server: hello,
    client: async (port, log) => {
      const socket = watch(net.connect(port, '127.0.0.1'), log, 'client');
      socket.pause().resume().pause();
      log.add(socket.isPaused());
      await event(socket, 'connect');
      socket.resume().pause().resume();
      log.add(socket.isPaused());
      await closed(socket);
    },
  },

  'resume before the connection, and pause in the listener of connect': {
    server: hello,
    client: async (port, log) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.resume();
      watch(socket, log, 'client');
      socket.once('connect', () => {
        socket.pause();
        setTimeout(() => {
          log.add('resumed');
          socket.resume();
        }, 20);
      });
      await closed(socket);
    },
  },

  'paused in the listener of data': {
    server: () =>
      net.createServer((socket) => {
        socket.write('a');
        socket.once('data', () => {
          socket.end('b');
        });
      }),
    client: async (port, log) => {
      const socket = watch(net.connect(port, '127.0.0.1'), log, 'client');
      socket.on('data', (chunk) => {
        log.add('data', String(chunk));
        socket.pause();
        socket.write('next');
        setTimeout(() => socket.resume(), 10);
      });
      await closed(socket);
    },
  },

  'the server speaks first': {
    server: (log) =>
      net.createServer((socket) => {
        log.add(socket.write('220 ready\r\n'), socket.bytesWritten);
        watch(socket, log, 'server');
      }),
    client: async (port, log) => {
      const socket = watch(net.connect(port, '127.0.0.1'), log, 'client', { data: false });
      log.add(String((await event(socket, 'data'))[0]), socket.bytesRead, socket.bytesWritten);
      socket.end('QUIT\r\n');
      await closed(socket);
    },
  },

  'writableLength, bufferSize and drain under pressure': {
    server: () => {
      const server = net.createServer({ pauseOnConnect: true }, (socket) => {
        socket.once('close', () => undefined).on('error', () => undefined);
        setTimeout(() => socket.resume(), 20);
      });
      return server;
    },
    client: async (port, log) => {
      const socket = net.connect(port, '127.0.0.1');
      await event(socket, 'connect');
      // Whether it comes before or behind the callbacks depends on what the kernel takes at once.
      const drain = log.part('drain');
      socket.on('drain', () => {
        drain.add('drain', socket.writableLength, bufferSize(socket), socket.writableNeedDrain);
      });
      log.add(socket.writableLength, bufferSize(socket), socket.writableNeedDrain);
      const bytes = 12 * 1024 * 1024;
      log.add(
        socket.write(Buffer.alloc(bytes), () => {
          log.add('written');
        }),
        socket.writableLength === bytes,
        bufferSize(socket) === bytes,
        socket.bytesWritten === bytes,
        socket.writableNeedDrain,
      );
      log.add(
        socket.write('abc', () => {
          log.add('second written');
        }),
        socket.writableLength === bytes + 3,
        socket.bytesWritten === bytes + 3,
      );
      await event(socket, 'drain');
      socket.end();
      socket.resume();
      await closed(socket);
      log.add(socket.writableLength, bufferSize(socket), socket.bytesWritten === bytes + 3);
    },
  },

  'cork, before the connection and nested': {
    server: (log) =>
      net.createServer((socket) => {
        watch(socket, log, 'server');
      }),
    client: async (port, log) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.cork();
      socket.write('a', () => {
        log.add('a written');
      });
      socket.write('b', 'latin1', () => {
        log.add('b written');
      });
      await event(socket, 'connect');
      log.add(socket.writableCorked, socket.writableLength, socket.bytesWritten);
      socket.cork();
      socket.write(Buffer.from('c'));
      socket.uncork();
      log.add(socket.writableCorked, socket.writableLength, socket.bytesWritten);
      socket.uncork();
      log.add(socket.writableCorked, socket.bytesWritten);
      socket.cork();
      socket.end('d', () => {
        log.add('ended');
      });
      await closed(socket.resume());
      log.add(socket.bytesWritten);
    },
  },

  'highWaterMark of both ends': {
    server: (log) =>
      net.createServer({ highWaterMark: 1234 }, (socket) => {
        log.add(socket.readableHighWaterMark, socket.writableHighWaterMark);
        socket
          .on('error', () => undefined)
          .resume()
          .end('x'.repeat(9000));
      }),
    client: async (port, log) => {
      for (const options of [
        {},
        { highWaterMark: 777 },
        { readableHighWaterMark: 11, writableHighWaterMark: 22 },
        { writableHighWaterMark: 3 },
      ]) {
        const socket = net.connect({ port, host: '127.0.0.1', ...options } as net.NetConnectOpts);
        log.add(socket.readableHighWaterMark, socket.writableHighWaterMark, socket.write('1234'), socket.write('5'));
        await event(socket, 'connect');
        let bytes = 0;
        for await (const chunk of socket) bytes += (chunk as Buffer).length;
        log.add(bytes);
      }
    },
  },

  'setTimeout: its arguments, and what it gives back': {
    server: silent,
    client: async (port, log) => {
      const socket = new net.Socket();
      const noop = (): void => undefined;
      const tries: unknown[][] = [
        [],
        ['x'],
        [-1],
        [NaN],
        [Infinity],
        [1.5],
        [null],
        [2 ** 31],
        [10, 'x'],
        [0, 'x'],
        [50_000],
        [50_000, noop],
        [0, noop],
        [0],
      ];
      const warnings: string[] = [];
      const onWarning = ({ name }: Error): void => {
        warnings.push(name);
      };
      process.on('warning', onWarning);
      for (const state of ['unused', 'connecting', 'connected', 'destroyed']) {
        if (state === 'connecting') socket.connect(port, '127.0.0.1');
        if (state === 'connected') await event(socket, 'connect');
        if (state === 'destroyed') socket.destroy();
        for (const values of tries) {
          try {
            const result: unknown = Reflect.apply(Reflect.get(socket, 'setTimeout'), socket, values);
            log.add(state, values.map(String), result === socket, socket.timeout, socket.listenerCount('timeout'));
          } catch (error) {
            log.add(state, values.map(String), error);
          }
        }
      }
      await closed(socket);
      process.off('warning', onWarning);
      log.add(warnings);
    },
  },

  'a timeout while the socket is yet to connect': {
    server: silent,
    client: async (port, log) => {
      const lookup = ((_host: string, options: { all?: boolean }, callback: (...values: unknown[]) => void) => {
        setTimeout(() => {
          if (options.all === true) callback(null, [{ address: '127.0.0.1', family: 4 }]);
          else callback(null, '127.0.0.1', 4);
        }, 60);
      }) as unknown as net.LookupFunction;
      const socket = watch(net.connect({ port, host: 'somewhere.example', lookup }), log, 'client');
      socket.setTimeout(20);
      await event(socket, 'timeout');
      log.add(socket.connecting, socket.destroyed);
      socket.setTimeout(0);
      await event(socket, 'ready');
      socket.end();
      await closed(socket);
    },
  },

  'a timeout that what is sent puts off': {
    server: silent,
    client: async (port, log) => {
      const socket = net.connect(port, '127.0.0.1');
      await event(socket, 'connect');
      const alive = judge(socket, log, 60);
      socket.setTimeout(60);
      for (let i = 0; i < 4; i += 1) {
        await new Promise((resolve) => setTimeout(resolve, 25));
        alive('write');
        socket.write('x');
      }
      await event(socket, 'timeout');
      socket.destroy();
    },
  },

  'a timeout that what arrives puts off': {
    server: () =>
      net.createServer((socket) => {
        let left = 4;
        const timer = setInterval(() => {
          left -= 1;
          socket.write('x');
          if (left === 0) clearInterval(timer);
        }, 25);
        socket.on('error', () => undefined).resume();
      }),
    client: async (port, log) => {
      const socket = net.connect(port, '127.0.0.1');
      await event(socket, 'connect');
      const alive = judge(socket, log, 60);
      socket.setTimeout(60);
      socket.on('data', () => {
        alive('read');
      });
      await new Promise<void>((resolve) => {
        socket.on('timeout', () => {
          if (socket.bytesRead === 4) resolve();
        });
      });
      socket.destroy();
    },
  },

  'a timeout after each end, paused, and none when closed': {
    server: () =>
      net.createServer({ allowHalfOpen: true }, (socket) => {
        socket.on('error', () => undefined).resume();
        socket.once('end', () => setTimeout(() => socket.end(), 80));
      }),
    client: async (port, log) => {
      const socket = watch(net.connect(port, '127.0.0.1').pause(), log, 'client');
      socket.pause();
      await event(socket, 'ready');
      socket.setTimeout(20, () => {
        log.add('callback');
      });
      await event(socket, 'timeout');
      log.add('half-closed');
      socket.setTimeout(20);
      socket.end();
      await event(socket, 'timeout');
      socket.resume();
      await closed(socket);
      log.add(socket.timeout);
      let late = false;
      socket.on('timeout', () => (late = true));
      await new Promise((resolve) => setTimeout(resolve, 30));
      log.add(late);
    },
  },

  'keep-alive and no-delay: as options and as calls, in every state': {
    server: () =>
      net.createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 1000 }, (socket) =>
        socket
          .on('error', () => undefined)
          .end(String(socket.setNoDelay(false) === socket && socket.setKeepAlive(false) === socket)),
      ),
    client: async (port, log) => {
      const socket = watch(
        net.connect({ port, host: '127.0.0.1', noDelay: true, keepAlive: true, keepAliveInitialDelay: 5000 }),
        log,
        'client',
      );
      const set = (): void => {
        log.add(
          socket.setNoDelay() === socket,
          socket.setNoDelay(false) === socket,
          socket.setNoDelay(1 as never) === socket,
        );
        log.add(
          socket.setKeepAlive() === socket,
          socket.setKeepAlive(true) === socket,
          socket.setKeepAlive(true, 1500) === socket,
          socket.setKeepAlive(false, -1) === socket,
        );
      };
      set();
      await event(socket, 'ready');
      set();
      await closed(socket);
      set();
      for (const options of [
        { noDelay: 'x' },
        { keepAlive: 1, keepAliveInitialDelay: 'x' },
        { keepAliveInitialDelay: -1 },
      ]) {
        try {
          net.createServer(options as never);
          log.add('made', options);
        } catch (error) {
          log.add(error);
        }
      }
    },
  },
};
