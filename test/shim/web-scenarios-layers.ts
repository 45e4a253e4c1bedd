/** Scenarios: TLS on a socket that spoke something else before (STARTTLS), and TLS inside TLS, from both ends. */
import net from 'node:net';
import { Duplex } from 'node:stream';
import tls from 'node:tls';
import { event, type Log, type Scenario } from './scenario-kit';
import { closing, HOST, other, read, secure, sleep, tell, trust } from './web-kit';
import { place, SECURE_EVENTS, secureServer, state } from './web-tls-kit';

const PLAIN_EVENTS = ['connect', 'end', 'timeout', 'error', 'close'];
const TOP_EVENTS = ['secure', 'secureConnect', 'end', 'timeout', 'error', 'close'];

/** A server that says hello in plain text, and speaks TLS from the client's STARTTLS on. */
function startTlsServer(
  log: Log,
  options: tls.TLSSocketOptions,
  use: (socket: tls.TLSSocket, who: string) => void,
): net.Server {
  let connections = 0;
  const server = net.createServer((socket) => {
    connections += 1;
    const who = `#${connections}`;
    log.name(socket.remotePort, 'CLIENT');
    tell(socket, log, `${who} plain`, PLAIN_EVENTS);
    socket.write('220 hello\r\n');
    socket.once('data', (chunk: Buffer) => {
      log.add(who, chunk.toString());
      socket.write('220 go ahead\r\n', () => {
        const top = tell(
          new tls.TLSSocket(socket, { isServer: true, ...secure, ...options }),
          log,
          `${who} tls`,
          TOP_EVENTS,
        );
        log.add(who, top.encrypted, ...place(top));
        use(top, who);
      });
    });
  });
  return tell(server, log, 'server', ['close', 'error']);
}

/** Up to and with the answer to STARTTLS. */
async function startTls(port: number, log: Log, options: net.TcpNetConnectOpts = { port }): Promise<net.Socket> {
  const socket = tell(net.connect({ host: HOST, ...options, port }), log, 'plain', PLAIN_EVENTS);
  const [hello] = (await event(socket, 'data')) as [Buffer];
  log.add(hello.toString());
  log.name(socket.localPort, 'CLIENT');
  socket.write('STARTTLS\r\n');
  const [answer] = (await event(socket, 'data')) as [Buffer];
  log.add(answer.toString(), socket.bytesRead, socket.bytesWritten);
  return socket;
}

/** The socket as a stream that TLS does not know as a socket. */
function wrapped(socket: net.Socket): Duplex {
  const stream = new Duplex({
    read: () => socket.resume(),
    write: (chunk: Buffer, _encoding, done) => {
      socket.write(chunk, done);
    },
    final: (done) => {
      socket.end(done);
    },
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk: Buffer) => {
    if (!stream.push(chunk)) socket.pause();
  });
  socket.on('end', () => stream.push(null));
  socket.on('close', () => {
    if (!stream.destroyed) stream.destroy();
  });
  return stream;
}

export const layerScenarios: Record<string, Scenario> = {
  'starttls: both ends go over to TLS, with data before and after': {
    server: (log) =>
      startTlsServer(log, {}, (top, who) => {
        top.on('data', (chunk: Buffer) => {
          log.add(who, chunk.toString(), ...state(top), top.bytesRead, top.bytesWritten);
          top.end('secret answer');
        });
      }),
    client: async (port, log) => {
      const socket = await startTls(port, log);
      const top = tell(tls.connect({ ...trust, socket }), log, 'tls', SECURE_EVENTS);
      log.add(...state(top), ...place(top));
      await event(top, 'secureConnect');
      log.add(...state(top), ...place(top), top.getProtocol());
      const text = read(top);
      top.write('secret question', () => {
        log.add('written', top.bytesWritten);
      });
      log.add(await text, top.bytesRead, top.bytesWritten, socket.destroyed, ...state(top));
    },
  },

  'starttls: what the socket below still tells of its addresses when all is over': {
    server: (log) =>
      startTlsServer(log, {}, (top) => {
        top.resume();
      }),
    client: async (port, log) => {
      const socket = await startTls(port, log);
      const top = tls.connect({ ...trust, socket });
      await event(top, 'secureConnect');
      const over = closing(socket);
      log.add(...place(top));
      top.resume().end();
      await closing(top);
      await over;
      log.add(...place(top));
      log.add(...place(socket));
    },
  },

  'starttls: a certificate that is not trusted, a client that leaves, and plain text in place of TLS': {
    server: (log) =>
      startTlsServer(log, {}, (top, who) => {
        top.on('data', (chunk: Buffer) => {
          log.add(who, chunk.toString());
        });
      }),
    client: async (port, log) => {
      const strict = tell(
        tls.connect({ servername: 'localhost', socket: await startTls(port, log) }),
        log,
        'strict',
        SECURE_EVENTS,
      );
      await closing(strict);
      log.add(strict.authorized, strict.authorizationError);
      await sleep(5);
      const leaves = await startTls(port, log);
      leaves.destroy();
      await closing(leaves);
      await sleep(5);
      const plain = await startTls(port, log);
      plain.end('this is no TLS at all, as anybody can see');
      plain.resume();
      await closing(plain);
      await sleep(5);
    },
  },

  'starttls: a handshake that does not come, and one that is timed out': {
    server: (log) =>
      startTlsServer(log, {}, (top, who) => {
        top.setTimeout(30, () => {
          log.add(who, 'timeout', top.destroyed);
          top.destroy();
        });
      }),
    client: async (port, log) => {
      const socket = await startTls(port, log);
      socket.resume();
      await closing(socket);
    },
  },

  'starttls: only one of the ends is half-open': {
    server: (log) =>
      startTlsServer(log, {}, (top, who) => {
        void read(top).then((text) => {
          log.add(who, text);
        });
        top.once('secure', () => top.end('bye'));
      }),
    client: async (port, log) => {
      const socket = await startTls(port, log, { port, allowHalfOpen: true });
      const top = tell(tls.connect({ ...trust, socket }), log, 'tls', SECURE_EVENTS);
      const text = read(top);
      top.once('end', () => {
        log.add(top.readyState, top.allowHalfOpen, socket.allowHalfOpen);
        if (!top.destroyed) top.end('last words');
      });
      log.add(await text);
    },
  },

  'starttls: listeners, encoding and reads of the plain socket do not see what is secret': {
    server: (log) =>
      tell(
        net.createServer((socket) => {
          socket.on('error', () => undefined);
          socket.setEncoding('latin1');
          socket.on('readable', () => {
            const text = socket.read() as string | null;
            if (text === null) return;
            log.add('plain', text);
            if (!text.includes('STARTTLS')) return;
            socket.write('220 go ahead\r\n');
            const top = tell(new tls.TLSSocket(socket, { isServer: true, ...secure }), log, 'server tls', TOP_EVENTS);
            top.setEncoding('utf8');
            top.on('data', (chunk: string) => {
              log.add(chunk);
              top.end('answer');
            });
          });
          socket.write('220 hello\r\n');
        }),
        log,
        'server',
        ['close', 'error'],
      ),
    client: async (port, log) => {
      const socket = net.connect(port, HOST);
      const got: string[] = [];
      socket.setEncoding('utf8');
      socket.on('data', (chunk: string) => got.push(chunk));
      socket.on('end', () => got.push('end'));
      await event(socket, 'data');
      socket.write('STARTTLS\r\n');
      await event(socket, 'data');
      const top = tell(tls.connect({ ...trust, socket }), log, 'tls', SECURE_EVENTS);
      socket.on('data', () => got.push('late'));
      const text = read(top);
      top.write('question');
      log.add(await text, got, socket.bytesRead > 0, socket.readableEncoding);
    },
  },

  'starttls: much data in both directions': {
    server: (log) =>
      startTlsServer(log, {}, (top) => {
        top.pipe(top);
      }),
    client: async (port, log) => {
      const top = tls.connect({ ...trust, socket: await startTls(port, log) });
      const text = read(top);
      for (let i = 0; i < 20; i += 1) if (!top.write(Buffer.alloc(100_000, i))) await event(top, 'drain');
      top.end();
      log.add(await text);
    },
  },

  'tls inside tls': {
    server: (log) =>
      secureServer(log, {}, (outer, who) => {
        const inner = tell(new tls.TLSSocket(outer, { isServer: true, ...other }), log, `${who} inner`, TOP_EVENTS);
        inner.on('data', (chunk: Buffer) => {
          log.add(who, chunk.toString(), ...place(inner), inner.encrypted, inner.bytesRead);
          inner.end('inner answer');
        });
      }),
    client: async (port, log) => {
      const outer = tell(tls.connect({ port, ...trust }), log, 'outer', SECURE_EVENTS);
      await event(outer, 'secureConnect');
      log.name(outer.localPort, 'CLIENT');
      const inner = tell(
        tls.connect({ socket: outer, ca: other.cert, servername: 'localhost', checkServerIdentity: () => undefined }),
        log,
        'inner',
        SECURE_EVENTS,
      );
      await event(inner, 'secureConnect');
      log.add(
        ...state(inner),
        ...place(inner),
        inner.getPeerCertificate().subject !== outer.getPeerCertificate().subject,
      );
      const text = read(inner);
      inner.write('inner question');
      log.add(await text, inner.bytesRead, inner.bytesWritten, outer.destroyed);
    },
  },

  'tls inside tls: much data, and an inner certificate that is not trusted': {
    server: (log) =>
      secureServer(log, {}, (outer) => {
        const inner = new tls.TLSSocket(outer, { isServer: true, ...other });
        inner.on('error', () => undefined);
        inner.pipe(inner);
      }),
    client: async (port, log) => {
      for (const options of [{ ca: other.cert, checkServerIdentity: () => undefined }, {}]) {
        const outer = tls.connect({ port, ...trust });
        outer.on('error', () => undefined);
        await event(outer, 'secureConnect');
        const inner = tell(tls.connect({ socket: outer, servername: 'localhost', ...options }), log, 'inner', [
          'secureConnect',
          'end',
          'error',
          'close',
        ]);
        const text = read(inner);
        const over = closing(inner);
        for (let i = 0; i < 10 && !inner.destroyed; i += 1)
          if (!inner.write(Buffer.alloc(100_000, i)))
            await Promise.race([event(inner, 'drain').catch(() => undefined), over]);
        inner.end();
        log.add(await text);
        await sleep(5);
      }
    },
  },

  'tls on a stream that is no socket': {
    server: (log) =>
      tell(
        net.createServer((socket) => {
          socket.on('error', () => undefined);
          // The server may be told to close before the connection has, or behind it.
          const part = log.part('tls');
          const top = tell(
            new tls.TLSSocket(wrapped(socket), { isServer: true, ...secure }),
            part,
            'server tls',
            TOP_EVENTS,
          );
          top.on('data', (chunk: Buffer) => {
            part.add(chunk.toString(), top.remoteAddress, top.encrypted);
            top.end('answer');
          });
        }),
        log,
        'server',
        ['close', 'error'],
      ),
    client: async (port, log) => {
      const socket = net.connect(port, HOST);
      await event(socket, 'connect');
      const top = tell(tls.connect({ ...trust, socket: wrapped(socket) }), log, 'tls', SECURE_EVENTS);
      const text = read(top);
      top.write('question');
      log.add(await text, top.remoteAddress, top.bytesRead > 0);
    },
  },
};
