/** Scenarios: servers, how they are told to listen, and how they drop and close. */
import net from 'node:net';
import { argumentText, closed, event, freePort, type Log, type Scenario, silent, watch } from './scenario-kit';

const HOST = '127.0.0.1';

/** The outcome of one listen: what it throws, its error, or its address, the port by a name. */
async function listened(values: readonly unknown[], log: Log): Promise<void> {
  const server = net.createServer();
  const what = values.map(argumentText).join(', ');
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

const listens = (values: (port: number) => readonly (readonly unknown[])[]): Scenario => ({
  server: silent,
  client: async (_port, log) => {
    const port = await freePort();
    log.name(port, 'FREE');
    for (const each of values(port)) await listened(each, log);
  },
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
