/** Scenarios: connects, with arguments that are wrong, signals that are aborted, and once more. */
import net from 'node:net';
import { argumentText, closed, event, freePort, type Scenario, silent, until, watch } from './scenario-kit';

const HOST = '127.0.0.1';

export const connectScenarios: Record<string, Scenario> = {
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
        const what = values.map(argumentText).join(', ');
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
};
