/** Scenarios: servers, how they are told to listen, and by what names and addresses they are reached. */
import net from 'node:net';
import os from 'node:os';
import { closed, event, freePort, type Log, type Scenario, silent, until, watch } from './scenario-kit';

function shown(value: unknown): string {
  return typeof value === 'function'
    ? 'function'
    : typeof value === 'symbol'
      ? String(value)
      : Array.isArray(value)
        ? `[${value.map(shown).join()}]`
        : value === undefined
          ? 'undefined'
          : JSON.stringify(value);
}

/** The outcome of one listen: what it throws, its error, or its address, the port by a name. */
async function listened(values: readonly unknown[], log: Log): Promise<void> {
  const server = net.createServer();
  const what = values.map(shown).join(', ');
  let called = false;
  const callback = (): void => {
    called = true;
  };
  try {
    const result: unknown = Reflect.apply(
      Reflect.get(server, 'listen'),
      server,
      values.map((value) => (value === CALLBACK ? callback : value)),
    );
    if (result !== server) log.add('gives something else');
  } catch (error) {
    log.add(what, 'throws', error);
    return;
  }
  const [end] = (await Promise.race([event(server, 'listening').then(() => []), event(server, 'error')])) as [Error?];
  const address = server.address() as net.AddressInfo | null;
  log.name(address?.port, 'PORT');
  log.add(what, end ?? 'listens', address, server.listening, called);
  if (!server.listening) return;
  server.close();
  await event(server, 'close');
}

const CALLBACK = (): undefined => undefined;
const HOST = '127.0.0.1';

const listens = (values: (port: number) => readonly (readonly unknown[])[]): Scenario => ({
  server: silent,
  client: async (_port, log) => {
    const port = await freePort();
    log.name(port, 'FREE');
    for (const each of values(port)) await listened(each, log);
  },
});

async function visit(options: net.TcpNetConnectOpts, log: Log): Promise<void> {
  const socket = net.connect(options);
  try {
    await event(socket, 'connect');
  } catch (error) {
    log.add(options.host, error);
    return;
  }
  log.name(socket.localPort, 'CLIENT');
  log.add(options.host === os.hostname() ? 'HOSTNAME' : options.host, socket.remotePort, socket.localPort);
  log.add(socket.remoteAddress, socket.remoteFamily, socket.localAddress, socket.localFamily);
  socket.end();
  socket.resume();
  await closed(socket);
}

const tellPeers = (log: Log): net.Server =>
  net.createServer((socket) => {
    log.add(socket.remoteAddress, socket.remoteFamily, socket.localAddress, socket.localFamily);
    socket.resume();
  });

export const serverScenarios: Record<string, Scenario> = {
  'listen in every shape': listens((port) => [
    [],
    [CALLBACK],
    [0],
    [0, CALLBACK],
    [port],
    [port, CALLBACK],
    [String(port)],
    [port, HOST],
    [port, HOST, CALLBACK],
    [port, 10],
    [port, 10, CALLBACK],
    [port, HOST, 10],
    [port, HOST, 10, CALLBACK],
    [port, null],
    [port, undefined, 5, CALLBACK],
    [null],
    [undefined],
    [null, CALLBACK],
    [undefined, HOST],
    [port, ''],
    [port, 'localhost'],
    [port, '0.0.0.0'],
    [port, '::1'],
    [port, '::'],
    [{ port }],
    [{ port }, CALLBACK],
    [{ port: String(port) }],
    [{ port, host: HOST }],
    [{ port, host: HOST, backlog: 3, exclusive: true }],
    [{ port: 0, host: '::1', ipv6Only: true }],
    [{ port: undefined }],
    [{ port: null }],
    [{ port, host: '' }],
    [{ port, host: null }],
    [{ port, backlog: 'x' }],
    [{ port, backlog: -1 }],
    [{ port: 0, readableAll: true, writableAll: true }],
    [port, HOST, -1],
    [port, HOST, 1e9],
  ]),

  'listen with what it can not take': listens((port) => [
    [-1],
    [65_536],
    [1.5],
    [NaN],
    [Infinity],
    [''],
    [' '],
    [true],
    [false],
    [{}],
    [[]],
    [[1]],
    [{ host: HOST }],
    [{ fd: -1 }],
    [{ fd: 'x' }],
    [{ path: 1 }],
    [{ path: undefined }],
    [{ port: -1 }],
    [{ port: 65_536 }],
    [{ port: 'x' }],
    [{ port: '' }],
    [{ port: true }],
    [{ port: false }],
    [{ port: {} }],
    [{ port: [] }],
    [{ port: NaN }],
    [{ port: Infinity }],
    [{ port: 1.5 }],
    [{ port, host: 1 }],
    [{ port, host: {} }],
    [{ port, host: [] }],
    [{ port, host: true }],
    [{ port, signal: 'x' }],
    [{ port, signal: {} }],
    [{ port, signal: null }],
    [{ exclusive: true }],
    [port, '192.0.2.1'],
    [{ port, host: '2001:db8::1' }],
    [port, '127.0.0.1.'],
  ]),

  'every listen option beside a signal that is aborted': {
    server: silent,
    client: async (_port, log) => {
      for (const options of [{ port: 0 }, { port: 0, host: HOST }, { port: 0, host: '::1' }]) {
        const server = net.createServer();
        for (const name of ['listening', 'error', 'close'])
          server.on(name, (...values: unknown[]) => {
            log.add(name, ...values);
          });
        server.listen({ ...options, signal: AbortSignal.abort() }, () => {
          log.add('callback');
        });
        await event(server, 'close');
        log.add(server.listening, server.address());
      }
    },
  },

  'a server at an IPv4 address, reached by every name that leads there': {
    server: tellPeers,
    host: '127.0.0.1',
    client: async (port, log) => {
      for (const host of ['127.0.0.1', '0.0.0.0', '::ffff:127.0.0.1']) await visit({ port, host }, log);
      await visit({ port, host: 'localhost', family: 4 }, log);
    },
  },

  'a server at ::1': {
    server: tellPeers,
    host: '::1',
    client: async (port, log) => {
      for (const host of ['::1', '::']) await visit({ port, host }, log);
    },
  },

  'a server at 0.0.0.0': {
    server: tellPeers,
    host: '0.0.0.0',
    client: async (port, log) => {
      for (const host of ['127.0.0.1', '0.0.0.0']) await visit({ port, host }, log);
    },
  },

  'a server at any address, reached at one that is neither 127.0.0.1 nor ::1': {
    server: tellPeers,
    host: '0.0.0.0',
    client: async (port, log) => visit({ port, host: '127.0.0.2' }, log),
  },

  'a server at ::, reached by IPv4': {
    server: tellPeers,
    host: '::',
    client: async (port, log) => {
      for (const host of ['127.0.0.1', '0.0.0.0']) await visit({ port, host }, log);
    },
  },

  'a server at ::, reached by IPv6': {
    server: tellPeers,
    host: '::',
    client: async (port, log) => {
      for (const host of ['::1', '::']) await visit({ port, host }, log);
    },
  },

  'a local address that is another loopback one': {
    server: tellPeers,
    client: async (port, log) => visit({ port, host: HOST, localAddress: '127.0.0.3' }, log),
  },

  'a server at localhost, and the machine by its own name': {
    server: (log) =>
      net.createServer((socket) => {
        log.add('reached');
        socket.resume();
      }),
    host: '0.0.0.0',
    client: async (port, log) => {
      for (const host of ['localhost', 'LOCALHOST', os.hostname()]) {
        const socket = net.connect({ port, host, family: 4 });
        await event(socket, 'connect');
        log.add('connected', socket.remotePort, socket.remoteFamily);
        socket.end();
        await closed(socket.resume());
      }
    },
  },

  'a port and an address of the client’s own': {
    server: (log) =>
      net.createServer((socket) => {
        log.add(socket.remoteAddress, socket.remotePort === undefined);
        socket.end(String(socket.remotePort));
      }),
    client: async (port, log) => {
      for (const localAddress of [undefined, '127.0.0.1', '0.0.0.0']) {
        const localPort = await freePort();
        const socket = net.connect({
          port,
          host: HOST,
          localPort,
          ...(localAddress === undefined ? {} : { localAddress }),
        });
        let text = '';
        socket.on('data', (chunk) => (text += String(chunk)));
        await event(socket, 'connect');
        log.add(socket.localPort === localPort, socket.localAddress);
        await closed(socket);
        log.add(text === String(localPort));
      }
      const taken = net.connect({ port, host: HOST, localPort: port });
      log.name(port, 'SERVER');
      log.add((await event(taken, 'error'))[0]);
    },
  },

  'connect with what it can not take': {
    server: silent,
    client: async (port, log) => {
      const host = HOST;
      const name = 'localhost';
      const shapes: unknown[][] = [
        [],
        [{}],
        [null],
        [undefined],
        [NaN],
        [-1],
        [65_536],
        ['x'],
        [''],
        [true],
        [[]],
        [{ host }],
        [{ port: null }],
        [{ port: undefined }],
        [{ port: '' }],
        [{ port: ' ' }],
        [{ port: 'x' }],
        [{ port: {} }],
        [{ port: true }],
        [{ port: 1.5 }],
        [{ port: -1 }],
        [{ port: 65_536 }],
        [{ port: '65536' }],
        [{ port, host: 1 }],
        [{ port, host: {} }],
        [{ port, host: true }],
        [{ port, host: 'a\0b' }],
        [{ port, host, localAddress: 1 }],
        [{ port, host, localAddress: 'x' }],
        [{ port, host, localAddress: {} }],
        [{ port, host, localPort: 'x' }],
        [{ port, host, localPort: true }],
        [{ port, host, localPort: {} }],
        [{ port, host: name, family: 5 }],
        [{ port, host: name, family: 'x' }],
        [{ port, host: name, hints: 'x' }],
        [{ port, host: name, hints: 1e9 }],
        [{ port, host: name, lookup: 1 }],
        [{ port, host: name, lookup: {} }],
        [{ port, host, autoSelectFamily: 'x' }],
        [{ port, host, autoSelectFamilyAttemptTimeout: 'x' }],
        [{ port, host, autoSelectFamilyAttemptTimeout: 0 }],
        [{ port, host, autoSelectFamilyAttemptTimeout: -1 }],
        [{ port, host, timeout: 'x' }],
        [{ port, host, timeout: -1 }],
        [{ port, host, signal: 'x' }],
        [{ port, host, signal: {} }],
        [{ port, host, onread: 'x' }],
        [{ port, host, onread: {} }],
        [{ port, host, onread: { buffer: 1, callback: () => true } }],
        [{ port, host, keepAliveInitialDelay: 'x', keepAlive: 1 }],
        [{ port, host, noDelay: 'x' }],
        [{ port, host, highWaterMark: -1 }],
        [{ port, host, highWaterMark: 'x' }],
        [{ port, host, blockList: 1 }],
        [{ port, host, fd: -1 }],
        [{ port, host, fd: 'x' }],
        [{ port, host, objectMode: true }],
        [{ path: 1 }],
        [{ path: {} }],
        [port, host, 'x'],
        [port, 1],
      ];
      for (const values of shapes) {
        const what = values.map(shown).join(', ');
        let socket: net.Socket;
        try {
          socket = Reflect.apply(net.connect, net, values) as net.Socket;
        } catch (error) {
          log.add(what, 'throws', error);
          continue;
        }
        const end = await Promise.race([
          event(socket, 'connect').then(() => 'connects'),
          event(socket, 'error').then(([error]) => error),
        ]);
        log.add(what, end);
        socket.destroy();
      }
    },
  },

  'an abort signal before the connection, and in it': {
    server: silent,
    client: async (port, log) => {
      // Node destroys it, and connects it for all that.
      const aborted = watch(
        net.connect({ port, host: HOST, signal: AbortSignal.abort() }),
        log.part('aborted before'),
        'client',
      );
      await until(() => !aborted.connecting, 'connected or destroyed');
      log.add(aborted.destroyed, aborted.errored?.name);
      if (!aborted.closed) await closed(aborted.destroy());
      const controller = new AbortController();
      const socket = watch(
        net.connect({ port, host: HOST, signal: controller.signal }),
        log.part('aborted in the tick of connect'),
        'client',
      );
      controller.abort(new Error('enough'));
      await closed(socket);
    },
  },

  'refused: a socket connects again, after an error and in the listener of close': {
    server: (log) =>
      net.createServer((socket) => {
        watch(socket, log, 'server').end('hello');
      }),
    client: async (port, log) => {
      const free = await freePort();
      log.name(free, 'FREE');
      const socket = watch(new net.Socket(), log, 'client');
      socket.connect(free, HOST);
      await closed(socket);
      log.add(socket.destroyed, socket.errored?.message);
      socket.connect(free, HOST);
      log.add(socket.destroyed, socket.connecting);
      await new Promise<void>((resolve) => {
        socket.once('close', () => {
          socket.connect(port, HOST);
          socket.end('again');
          resolve();
        });
      });
      await closed(socket);
      log.add(socket.bytesRead, socket.bytesWritten, socket.errored?.message);
    },
  },

  'refused, with every name of this machine': {
    server: silent,
    client: async (_port, log) => {
      const port = await freePort();
      log.name(port, 'FREE');
      for (const options of [
        { host: '127.0.0.1' },
        { host: '::1' },
        { host: '0.0.0.0' },
        { host: '::' },
        { host: 'localhost', family: 4 },
        { host: 'localhost', autoSelectFamily: false, family: 4 },
      ]) {
        await closed(watch(net.connect({ port, ...options }), log.part(JSON.stringify(options)), 'client'));
      }
    },
  },

  'maxConnections: what a drop tells, a limit of none, and a limit that changes': {
    server: (log) => {
      const server = net.createServer((socket) => {
        log.add('connection');
        socket
          .on('error', () => undefined)
          .resume()
          .write('hello');
        socket.on('end', () => {
          server.maxConnections = 0;
        });
      });
      server.maxConnections = 1;
      server.on('drop', (data) => {
        log.name(data?.remotePort, 'CLIENT');
        log.add('drop', Object.keys(data ?? {}), data);
        server.getConnections((error, count) => {
          log.add('counted', error, count);
        });
      });
      return server;
    },
    client: async (port, log) => {
      const dropped = async (name: string): Promise<void> => {
        const part = log.part(name);
        const socket = watch(net.connect(port, HOST), part, 'client');
        await closed(socket);
        part.add(socket.bytesRead);
      };
      const first = net.connect(port, HOST).resume();
      await event(first, 'data');
      await dropped('above one');
      first.end();
      await closed(first);
      if (Number(process.versions.node.split('.')[0]) >= 22) await dropped('none allowed');
    },
  },

  'close with open connections, and getConnections meanwhile': {
    server: (log) => {
      const sockets: net.Socket[] = [];
      const server = net.createServer((socket) => {
        sockets.push(socket);
        socket.on('error', () => undefined).resume();
        if (sockets.length < 3) return;
        server.close((error) => {
          log.add('callback', error ?? 'fine');
        });
        log.add('still listening', server.listening, server.address());
        const count = (): void => {
          server.getConnections((error, left) => {
            log.add('left', error, left);
            if (left === 0) return;
            sockets[left - 1]?.once('close', count).destroy();
          });
        };
        count();
      });
      server.on('close', () => {
        log.add('close');
      });
      return server;
    },
    client: async (port, log) => {
      const sockets = [1, 2, 3].map(() =>
        net
          .connect(port, HOST)
          .on('error', () => undefined)
          .resume(),
      );
      await Promise.all(sockets.map(closed));
      const late = watch(net.connect(port, HOST), log, 'late');
      await closed(late);
    },
  },
};
