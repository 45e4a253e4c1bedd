/** Scenarios: what sockets of TLS do once they are connected, from both ends. */
import net from 'node:net';
import tls from 'node:tls';
import { event, freePort, Log, type Scenario } from './scenario-kit';
import { closing, read, sleep, tell, trust, turns } from './web-kit';
import { connect, place, SECURE_EVENTS, secureServer, state, visit } from './web-tls-kit';

export const tlsScenarios: Record<string, Scenario> = {
  'tls: what a socket tells before, in and after the connection': {
    server: (log) =>
      secureServer(log, {}, (socket, who) => {
        log.add(who, ...state(socket), ...place(socket));
        log.add(
          who,
          socket.bytesRead,
          socket.bytesWritten,
          socket.servername,
          socket.alpnProtocol,
          socket.getProtocol(),
          socket.isSessionReused(),
        );
        socket.on('data', (chunk: Buffer) => {
          log.add(who, chunk.toString(), socket.bytesRead, socket.bytesWritten);
          socket.end('answer', () => {
            log.add(who, 'ended', socket.bytesWritten, socket.writableFinished, socket.readyState);
          });
        });
        socket.on('close', () => {
          log.add(who, ...state(socket), ...place(socket), socket.bytesRead, socket.bytesWritten);
        });
      }),
    client: async (port, log) => {
      const socket = tell(connect({ port, ...trust }), log, 'client', SECURE_EVENTS);
      log.add(...state(socket), ...place(socket), socket.bytesRead, socket.bytesWritten);
      await event(socket, 'connect');
      log.name(socket.localPort, 'CLIENT');
      log.add(...state(socket), ...place(socket));
      await event(socket, 'secureConnect');
      log.add(
        ...state(socket),
        ...place(socket),
        socket.servername,
        socket.alpnProtocol,
        socket.getCipher().name,
        socket.getProtocol(),
      );
      log.add(
        socket.getEphemeralKeyInfo(),
        socket.getSharedSigalgs(),
        socket.getFinished()?.length,
        socket.getPeerFinished()?.length,
      );
      const text = read(socket);
      socket.write('question', () => {
        log.add('written', socket.bytesWritten);
      });
      log.add(socket.bytesWritten, socket.writableLength);
      log.add(await text, ...state(socket), ...place(socket), socket.bytesRead, socket.bytesWritten);
    },
  },

  'tls: half-open in both directions': {
    server: (log) =>
      secureServer(log, { allowHalfOpen: true }, (socket, who) => {
        socket.on('data', (chunk: Buffer) => {
          log.add(who, chunk.toString());
        });
        socket.once('end', () => {
          log.add(who, socket.readyState, socket.writable);
          socket.write('still ');
          setImmediate(() => socket.end('here'));
        });
      }),
    client: async (port, log) => {
      await visit(port, log, 'client', { allowHalfOpen: true }, (socket) => {
        socket.end('done');
        socket.on('end', () => {
          log.add(socket.readyState, socket.writable, socket.destroyed);
        });
      });
      await visit(port, log, 'not half-open', {}, (socket) => socket.end('done'));
    },
  },

  'tls: onread into a buffer of the program’s': {
    server: (log) =>
      secureServer(log, {}, (socket) => {
        socket.end('0123456789');
      }),
    client: async (port, log) => {
      let got = '';
      const socket = tell(
        connect({
          port,
          ...trust,
          onread: {
            buffer: Buffer.alloc(4),
            callback: (bytes, buffer) => {
              got += `${Buffer.from(buffer).toString('latin1', 0, bytes)},`;
              return true;
            },
          },
        }),
        log,
        'client',
        ['secureConnect', 'end', 'error', 'close'],
      );
      await closing(socket);
      log.add(got.replaceAll(',', ''), socket.bytesRead);
    },
  },

  'tls: data written before the handshake, in all forms': {
    server: (log) =>
      secureServer(log, {}, (socket, who) => {
        void read(socket).then((text) => {
          log.add(who, text);
        });
      }),
    client: async (port, log) => {
      await visit(port, log, 'client', {}, (socket) => {
        socket.cork();
        socket.write('one ', () => {
          log.add('first written');
        });
        socket.write(Buffer.from('two '));
        socket.uncork();
        socket.end('746872656520', 'hex', () => {
          log.add('all written', socket.bytesWritten);
        });
      });
    },
  },

  'tls: much data, with backpressure': {
    server: (log) =>
      secureServer(log, { allowHalfOpen: true }, (socket) => {
        socket.pipe(socket);
      }),
    client: async (port, log) => {
      const socket = tell(connect({ port, ...trust, allowHalfOpen: true }), log, 'client', [
        'secureConnect',
        'end',
        'error',
        'close',
      ]);
      const text = read(socket);
      let drained = 0;
      for (let i = 0; i < 30; i += 1) {
        if (socket.write(Buffer.alloc(100_000, i))) continue;
        drained += 1;
        await event(socket, 'drain');
      }
      socket.end();
      log.add(await text, drained, socket.bytesRead, socket.bytesWritten);
    },
  },

  'tls: a timeout, and one that activity puts off': {
    server: (log) =>
      secureServer(log, {}, (socket, who) => {
        socket.setTimeout(600, () => {
          log.add(who, 'was idle', socket.timeout);
          socket.end();
        });
      }),
    client: async (port, log) => {
      await visit(port, log, 'client', {}, (socket) => {
        socket.once('secureConnect', () => socket.setTimeout(20));
        socket.once('timeout', () => {
          log.add('idle', socket.timeout, socket.destroyed);
          // Or there is another between the end and the close, where these are far apart.
          socket.setTimeout(0);
        });
      });
    },
  },

  'tls: destroy in every state': {
    // How much of the handshake the server has seen is chance.
    server: () =>
      secureServer(new Log(), {}, (socket) => {
        socket.write('x');
      }),
    client: async (port, log) => {
      const open = (): tls.TLSSocket =>
        tell(connect({ port, ...trust }), log, 'client', ['connect', 'secureConnect', 'error', 'close']);
      for (const name of ['', 'connect', 'secureConnect', 'data']) {
        for (const error of [undefined, new Error('mine')]) {
          const socket = open();
          const end = (): void => {
            socket.destroy(error);
            log.add(name, socket.destroyed, socket.readyState, socket.writable);
          };
          if (name === '') end();
          else socket.once(name, end);
          await closing(socket);
          await sleep(3);
        }
      }
    },
  },

  'tls: an abort signal in and after the handshake': {
    server: () =>
      secureServer(new Log(), {}, (socket) => {
        socket.write('x');
      }),
    client: async (port, log) => {
      for (const name of ['connect', 'secureConnect']) {
        const controller = new AbortController();
        const socket = tell(connect({ port, ...trust, signal: controller.signal }), log, name, [
          'connect',
          'secureConnect',
          'error',
          'close',
        ]);
        socket.once(name, () => {
          controller.abort(new Error('reason'));
        });
        await closing(socket);
        await sleep(3);
      }
    },
  },

  'tls: pauseOnConnect, and a socket that is not read': {
    server: (log) =>
      secureServer(log, { pauseOnConnect: true }, (socket, who) => {
        log.add(who, socket.isPaused(), socket.readableFlowing);
        setTimeout(() => {
          void read(socket).then((text) => {
            log.add(who, text);
          });
          socket.resume();
        }, 20);
      }),
    client: async (port, log) => {
      await visit(port, log, 'client', {}, (socket) => {
        socket.end('waited for');
      });
    },
  },

  'tls: a connection that is refused': {
    server: () => net.createServer(),
    client: async (_port, log) => {
      const port = await freePort();
      log.name(port, 'GONE');
      const socket = tell(connect({ port, ...trust }), log, 'client', SECURE_EVENTS);
      await closing(socket);
      log.add(...state(socket));
    },
  },

  'tls: what a socket can not do, and wrong arguments': {
    server: (log) =>
      secureServer(log, {}, (socket, who) => {
        for (const act of [
          () => socket.setMaxSendFragment(600),
          () => socket.exportKeyingMaterial(8, 'label', Buffer.alloc(0)).length,
        ]) {
          try {
            log.add(who, act());
          } catch (error) {
            log.add(who, error);
          }
        }
        socket.end('x');
      }),
    client: async (port, log) => {
      const wrong: unknown[] = [{}, { port: -1 }, { port, ca: 7 }, { port, minDHSize: -1 }, { port, minVersion: 'x' }];
      for (const options of wrong) {
        try {
          tls
            .connect(options as tls.ConnectionOptions)
            .on('error', () => undefined)
            .destroy();
          log.add('nothing thrown');
        } catch (error) {
          log.add(error);
        }
      }
      await visit(port, log, 'client', {}, (socket) => {
        socket.on('secureConnect', () => {
          try {
            socket.resetAndDestroy();
          } catch (error) {
            log.add(error);
          }
          log.add(socket.getTLSTicket() !== undefined, socket.getSession() !== undefined);
        });
      });
    },
  },

  'tls: unref and ref': {
    server: (log) => secureServer(log, {}),
    client: async (port, log) => {
      await visit(port, log, 'client', {}, (socket) => {
        log.add(
          socket.unref() === socket,
          socket.ref() === socket,
          socket.setNoDelay() === socket,
          socket.setKeepAlive(true, 1000) === socket,
        );
      });
      await turns(1);
    },
  },
};
