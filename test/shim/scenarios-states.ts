/**
 * Scenarios: end, destroy and reset of a socket in every state that it can be in, and half-open connections in every
 * combination.
 */
import net from 'node:net';
import { closed, event, freePort, type Log, type Scenario, silent, until, watch } from './scenario-kit';

/** More than what any kernel or region takes between two ends. */
const FULL_BYTES = 12 * 1024 * 1024;

/** One connection for each of the {@link actions}. */
const ALL = 5;

type Action = (socket: net.Socket, log: Log) => void;

const actions: Readonly<Record<string, Action>> = {
  end: (socket, log) => {
    socket.end('.', () => {
      log.add('end callback');
    });
  },
  destroy: (socket) => {
    socket.destroy();
  },
  'destroy with an error': (socket) => {
    socket.destroy(Object.assign(new Error('enough'), { code: 'EOWN' }));
  },
  destroySoon: (socket) => {
    socket.destroySoon();
  },
  resetAndDestroy: (socket) => {
    socket.resetAndDestroy();
  },
};

function tell(socket: net.Socket, log: Log): void {
  log.add(
    socket.destroyed,
    socket.connecting,
    socket.pending,
    socket.readyState,
    socket.errored?.message,
    socket.writableEnded,
    socket.writableFinished,
    socket.readableEnded,
    socket.closed,
  );
}

/**
 * Each action on a socket of its own that `arrange` has brought into the state; `release` lets a socket that goes on
 * come to its end.
 */
function eachAction(
  state: (port: number, log: Log) => Promise<net.Socket>,
  release: (socket: net.Socket, port: number) => void = () => undefined,
): Scenario['client'] {
  return async (port, log) => {
    for (const [name, act] of Object.entries(actions)) {
      const part = log.part(name);
      const socket = await state(port, part);
      socket.on('finish', () => {
        part.add('finish');
      });
      const end = closed(socket);
      act(socket, part);
      tell(socket, part);
      release(socket, port);
      await end;
      tell(socket, part);
    }
  };
}

/**
 * Makes a server's `serve` wait with what it returns until the client has done its part, which it tells by a connection
 * of its own ({@link over}): a time that is long enough for any machine would be too long for all.
 */
function whenOver(serve: (socket: net.Socket) => () => void): (socket: net.Socket) => void {
  let waiting: (() => void) | undefined;
  return (socket) => {
    if (waiting === undefined) {
      waiting = serve(socket);
      return;
    }
    socket
      .on('error', () => undefined)
      .resume()
      .end();
    waiting();
    waiting = undefined;
  };
}

function over(_socket: net.Socket, port: number): void {
  net
    .connect(port, '127.0.0.1')
    .on('error', () => undefined)
    .resume();
}

/** A server that logs each connection by itself, in the order in which they come. */
function logging(options: net.ServerOpts, serve: (socket: net.Socket, log: Log) => void): Scenario['server'] {
  return (log) => {
    let count = 0;
    return net.createServer(options, (socket) => {
      const part = log.part(`connection ${(count += 1)}`);
      serve(watch(socket, part, 'server'), part);
    });
  };
}

const connectedTo = async (options: net.TcpNetConnectOpts, log: Log): Promise<net.Socket> => {
  const socket = watch(net.connect({ host: '127.0.0.1', ...options }), log, 'client');
  await event(socket, 'ready');
  return socket;
};

export const stateScenarios: Record<string, Scenario> = {
  'every way to end, while the socket is yet to connect': {
    server: silent,
    client: eachAction((port, log) => Promise.resolve(watch(net.connect(port, '127.0.0.1'), log, 'client'))),
  },

  'every way to end, while the socket is yet to connect and has data to send': {
    server: silent,
    client: eachAction((port, log) => {
      const socket = watch(net.connect(port, '127.0.0.1'), log, 'client');
      socket.write('early', (error) => {
        log.add('written', error ?? 'fine');
      });
      return Promise.resolve(socket);
    }),
  },

  'every way to end, in the listener of connect': {
    connections: ALL,
    server: logging({}, () => undefined),
    client: async (port, log) => {
      for (const [name, act] of Object.entries(actions)) {
        const part = log.part(name);
        const socket = watch(net.connect(port, '127.0.0.1'), part, 'client');
        socket.once('connect', () => {
          act(socket, part);
          tell(socket, part);
        });
        await closed(socket);
        tell(socket, part);
      }
    },
  },

  'every way to end, when connected': {
    connections: ALL,
    server: logging({}, () => undefined),
    client: eachAction((port, log) => connectedTo({ port }, log)),
  },

  'every way to end, half-closed by this end': {
    connections: 2 * ALL,
    server: (log) => {
      let count = 0;
      return net.createServer(
        { allowHalfOpen: true },
        whenOver((socket) => {
          watch(socket, log.part(`connection ${(count += 1)}`), 'server');
          return () => {
            if (socket.readableEnded) socket.end('late');
            else socket.once('end', () => socket.end('late'));
          };
        }),
      );
    },
    client: eachAction(async (port, log) => {
      const socket = await connectedTo({ port }, log);
      await new Promise<void>((resolve) => socket.end('first', resolve));
      return socket;
    }, over),
  },

  'every way to end, half-closed by the other end': {
    connections: ALL,
    server: logging({ allowHalfOpen: true }, (socket) => socket.end('bye')),
    client: eachAction(async (port, log) => {
      const socket = watch(net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }), log, 'client');
      await event(socket, 'end');
      return socket;
    }),
  },

  'every way to end, with more written than the other end reads': {
    connections: 2 * ALL,
    server: (log) => {
      let count = 0;
      return net.createServer(
        { pauseOnConnect: true },
        whenOver((socket) => {
          const part = log.part(`connection ${(count += 1)}`);
          let bytes = 0;
          socket.on('data', (chunk) => (bytes += chunk.length));
          // Not how it ended: libuv takes a reset behind data for an end.
          socket
            .on('error', () => undefined)
            .on('close', () => {
              part.add(bytes >= FULL_BYTES ? 'all' : 'not all');
            });
          socket.pause();
          return () => {
            socket.resume();
          };
        }),
      );
    },
    client: eachAction(async (port, log) => {
      const socket = await connectedTo({ port }, log);
      log.add(
        socket.write(Buffer.alloc(FULL_BYTES), (error) => {
          log.add('written', error ?? 'fine');
        }),
      );
      await new Promise((resolve) => setTimeout(resolve, 10));
      log.add('waiting', socket.writableLength);
      return socket;
    }, over),
  },

  'every way to end, with what came left unread': {
    connections: ALL,
    server: logging({}, (socket) => socket.write(Buffer.alloc(128 * 1024))),
    client: eachAction(
      async (port, log) => {
        const socket = net.connect(port, '127.0.0.1');
        for (const name of ['error', 'end', 'close'])
          socket.on(name, (...values: unknown[]) => {
            log.add(name, ...values);
          });
        await until(() => socket.bytesRead > 0, 'something came');
        // What is still under way is answered by a reset too, but behind the end.
        await new Promise((resolve) => setTimeout(resolve, 30));
        return socket;
      },
      (socket) => setTimeout(() => socket.resume(), 20),
    ),
  },

  'every way to end, in the listener of an error': {
    server: silent,
    client: async (_port, log) => {
      const port = await freePort();
      log.name(port, 'FREE');
      for (const [name, act] of Object.entries(actions)) {
        const part = log.part(name);
        const socket = watch(net.connect(port, '127.0.0.1'), part, 'client');
        socket.once('error', () => {
          act(socket, part);
          tell(socket, part);
        });
        await closed(socket);
        tell(socket, part);
      }
    },
  },

  'every way to end, when the socket has closed': {
    server: silent,
    client: async (port, log) => {
      for (const [name, act] of Object.entries(actions)) {
        const part = log.part(name);
        const socket = await connectedTo({ port }, part);
        socket.destroy();
        await closed(socket);
        act(socket, part);
        await new Promise(setImmediate);
        tell(socket, part);
      }
    },
  },

  'allowHalfOpen in all four combinations, whoever ends first': {
    server: (log) => {
      let count = 0;
      const server = net.createServer({ allowHalfOpen: true }, (socket) => {
        const part = log.part(`connection ${(count += 1)}`);
        watch(socket, part, 'server');
        // The first byte says what this end is to be.
        socket.once('data', (chunk) => {
          const [halfOpen, first] = [chunk[0] === 49, chunk[1] === 49];
          socket.allowHalfOpen = halfOpen;
          if (first) socket.end('server');
          socket.once('end', () => {
            part.add(socket.readyState, socket.writable, socket.writableEnded);
            if (halfOpen && !first) setTimeout(() => socket.end('server'), 10);
          });
        });
      });
      return server;
    },
    client: async (port, log) => {
      for (const server of ['0', '1']) {
        for (const allowHalfOpen of [false, true]) {
          for (const serverFirst of ['0', '1']) {
            const part = log.part(`server ${server}, client ${String(allowHalfOpen)}, server first ${serverFirst}`);
            const socket = watch(net.connect({ port, host: '127.0.0.1', allowHalfOpen }), part, 'client');
            socket.write(server + serverFirst);
            socket.once('end', () => {
              part.add(socket.readyState, socket.writable, socket.writableEnded);
              if (allowHalfOpen && serverFirst === '1') setTimeout(() => socket.end('client'), 10);
            });
            if (serverFirst === '0') socket.end('client');
            await closed(socket);
          }
        }
      }
    },
  },
};
