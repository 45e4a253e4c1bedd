/** Scenarios: bytes in every form that streams know, and pressure back. */
import { createHash } from 'node:crypto';
import net from 'node:net';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { closed, event, type Log, type Scenario, until, watch } from './scenario-kit';

const MEBIBYTE = 1024 * 1024;

const collect = (log: Log): net.Server =>
  net.createServer((socket) => {
    const hash = createHash('sha256');
    let bytes = 0;
    socket.on('data', (chunk) => {
      hash.update(chunk);
      bytes += chunk.length;
    });
    socket.on('end', () => {
      log.add(bytes, hash.digest('hex'));
      socket.end(String(bytes));
    });
  });

function* chunks(count: number, size: number): Generator<Buffer> {
  for (let i = 0; i < count; i += 1) yield Buffer.alloc(size, i);
}

export const streamScenarios: Record<string, Scenario> = {
  'strings in every encoding, alone and corked': {
    server: (log) =>
      net.createServer((socket) => {
        const all: Buffer[] = [];
        socket.on('data', (chunk) => all.push(chunk));
        socket.on('end', () => {
          log.add(Buffer.concat(all).toString('hex'));
        });
      }),
    client: async (port, log) => {
      const socket = watch(net.connect(port, '127.0.0.1'), log, 'client');
      await event(socket, 'ready');
      const texts: [string, BufferEncoding][] = [
        ['plain', 'ascii'],
        ['grün ✓ 🎉', 'utf8'],
        ['caf\u00e9', 'latin1'],
        ['b\u00efn', 'binary'],
        ['wide ✓', 'utf16le'],
        ['ucs', 'ucs2'],
        ['00ff10', 'hex'],
        ['aGVsbG8=', 'base64'],
        ['aGVsbG8', 'base64url'],
        ['', 'utf8'],
      ];
      for (const [text, encoding] of texts) socket.write(text, encoding);
      socket.setDefaultEncoding('latin1');
      socket.cork();
      for (const [text, encoding] of texts) socket.write(text, encoding);
      socket.write('d\u00e9faut');
      socket.write(Buffer.from('buffer'));
      socket.write(new Uint8Array([1, 2, 3]));
      socket.write(Buffer.alloc(20_000, 0x61));
      socket.write('z');
      log.add(socket.writableLength, socket.bytesWritten);
      socket.uncork();
      await new Promise((resolve) => socket.write('last', resolve));
      log.add(socket.bytesWritten);
      socket.end();
      await closed(socket);
    },
  },

  'sixteen mebibytes to a slow reader, with pressure back': {
    server: (log) =>
      net.createServer((socket) => {
        const hash = createHash('sha256');
        let bytes = 0;
        socket.on('data', (chunk) => {
          hash.update(chunk);
          bytes += chunk.length;
          if (bytes % (4 * MEBIBYTE) < chunk.length) {
            socket.pause();
            setTimeout(() => socket.resume(), 20);
          }
        });
        socket.on('end', () => {
          log.add(bytes, hash.digest('hex'), socket.bytesRead);
          socket.end('done');
        });
      }),
    client: async (port, log) => {
      const socket = watch(net.connect(port, '127.0.0.1'), log, 'client');
      let refused = 0;
      for (const chunk of chunks(256, 65_536)) {
        if (socket.write(chunk)) continue;
        refused += 1;
        await event(socket, 'drain');
      }
      log.add('refused', refused > 0);
      socket.end();
      await closed(socket);
      log.add(socket.bytesWritten);
    },
  },

  'one write of eight mebibytes': {
    server: collect,
    client: async (port, log) => {
      const socket = watch(net.connect(port, '127.0.0.1'), log, 'client');
      socket.write(Buffer.alloc(8 * MEBIBYTE, 'abc'), () => {
        log.add('written', socket.bytesWritten);
      });
      socket.write('é'.repeat(MEBIBYTE));
      socket.end();
      await closed(socket);
      log.add(socket.bytesWritten);
    },
  },

  'destroyed with a write under way and others behind it': {
    connections: 2,
    server: () => {
      let stuck: net.Socket | undefined;
      return net.createServer({ pauseOnConnect: true }, (socket) => {
        socket.on('error', () => undefined);
        // The second one tells that the first is over.
        stuck?.destroy();
        if (stuck !== undefined) socket.resume().end();
        stuck = socket;
      });
    },
    client: async (port, log) => {
      const socket = net.connect(port, '127.0.0.1');
      await event(socket, 'connect');
      socket.on('close', (hadError) => {
        log.add('close', hadError);
      });
      log.add(
        socket.write(Buffer.alloc(16 * MEBIBYTE), (error) => {
          log.add('first', error ?? 'fine');
        }),
      );
      socket.write('x', (error) => {
        log.add('second', error ?? 'fine');
      });
      socket.end('y', () => {
        log.add('end');
      });
      setTimeout(() => socket.destroy(), 20);
      await closed(socket);
      log.add(socket.bytesWritten > 16 * MEBIBYTE, socket.writableLength);
      await new Promise((resolve) => setTimeout(resolve, 10));
      const over = net.connect(port, '127.0.0.1');
      await closed(over.on('error', () => undefined).resume());
    },
  },

  'pipeline, async iteration and setEncoding': {
    server: (log) =>
      net.createServer({ allowHalfOpen: true }, (socket) => {
        void (async () => {
          let text = '';
          for await (const chunk of socket.setEncoding('utf8').iterator({ destroyOnReturn: false }))
            text += String(chunk);
          log.add(text.length, text.slice(0, 5));
          await pipeline(Readable.from(['a', 'b', 'c']), socket);
          log.add('pipeline done');
        })();
      }),
    client: async (port, log) => {
      const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      for (const chunk of chunks(10, 3)) socket.write(chunk.toString('latin1').replace(/./gsu, '✓'));
      socket.end();
      let text = '';
      for await (const chunk of socket) text += String(chunk);
      log.add(text, socket.destroyed);
    },
  },

  'onread with one buffer, paused by its callback': {
    server: () => net.createServer((socket) => socket.end(Buffer.from('0123456789'.repeat(100)))),
    client: async (port, log) => {
      let received = '';
      let calls = 0;
      const buffer = Buffer.alloc(64);
      const socket: net.Socket = net.connect({
        port,
        host: '127.0.0.1',
        onread: {
          buffer,
          callback: (bytes, into) => {
            calls += 1;
            received += Buffer.from(into.subarray(0, bytes)).toString();
            if (calls === 3) setTimeout(() => socket.resume(), 10);
            return calls !== 3;
          },
        },
      });
      socket.on('data', () => {
        log.add('data event');
      });
      watch(socket, log, 'client', { data: false });
      await closed(socket);
      log.add(received.length, received === '0123456789'.repeat(100), socket.bytesRead, calls >= 16);
    },
  },

  'onread with a function that gives buffers': {
    server: () => net.createServer((socket) => socket.end('x'.repeat(100))),
    client: async (port, log) => {
      const made: Uint8Array[] = [];
      let bytes = 0;
      const socket: net.Socket = net.connect({
        port,
        host: '127.0.0.1',
        onread: {
          buffer: () => {
            const buffer = new Uint8Array(32);
            made.push(buffer);
            return buffer;
          },
          callback(this: unknown, count, into) {
            if (this !== socket) log.add('called on something else');
            bytes += count;
            if (into !== made.at(-1)) log.add('another buffer');
            return true;
          },
        },
      });
      await closed(watch(socket, log, 'client', { data: false }));
      log.add(bytes, made.length >= 4);
    },
  },

  'paused on connect': {
    server: (log) =>
      net.createServer({ pauseOnConnect: true }, (socket) => {
        let early = true;
        socket.on('data', (chunk) => {
          log.add(early ? 'early' : 'in time', String(chunk));
        });
        log.add(socket.isPaused(), socket.readableFlowing);
        setTimeout(() => {
          early = false;
          socket.resume();
        }, 30);
      }),
    client: async (port) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.end('hello');
      socket.resume();
      await closed(socket);
    },
  },

  'read by hand, with readable events, unshift and peeks at the state': {
    server: () => net.createServer((socket) => socket.end('abcdefghij')),
    client: async (port, log) => {
      const socket = net.connect(port, '127.0.0.1');
      let text = '';
      socket.on('readable', () => {
        const next = (): Buffer | null => (socket.read(3) ?? socket.read()) as Buffer | null;
        for (let part = next(); part !== null; part = next()) {
          if (text === '') socket.unshift(Buffer.from('>'));
          text += part.toString();
        }
      });
      await closed(socket);
      log.add(text);
    },
  },

  'what comes while nobody listens is kept': {
    server: () =>
      net.createServer((socket) => {
        socket.write('one');
        setTimeout(() => socket.end('two'), 10);
      }),
    client: async (port, log) => {
      const socket = net.connect(port, '127.0.0.1');
      await until(() => socket.bytesRead === 6, 'both words');
      log.add(socket.bytesRead > 0, socket.readableLength > 0, socket.destroyed);
      watch(socket, log, 'client');
      await closed(socket);
    },
  },

  'a thrown listener is an uncaught exception and costs no bytes': {
    server: collect,
    client: async (port, log) => {
      const socket = net.connect(port, '127.0.0.1');
      const caught = new Promise((resolve) => process.once('uncaughtException', resolve));
      socket.once('connect', () => {
        throw new Error('in connect');
      });
      log.add(await caught);
      const again = new Promise((resolve) => process.once('uncaughtException', resolve));
      socket.once('data', () => {
        throw new Error('in data');
      });
      let text = '';
      socket.on('data', (chunk) => (text += String(chunk)));
      socket.end('12345');
      log.add(await again);
      await closed(socket);
      log.add(text === '' || text === '5');
    },
  },
};
