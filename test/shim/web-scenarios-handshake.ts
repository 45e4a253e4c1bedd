/** Scenarios: the handshake of TLS, from both ends. */
import net from 'node:net';
import tls from 'node:tls';
import { event, Log, type Scenario } from './scenario-kit';
import { closing, HOST, other, secure, shown, sleep, tell } from './web-kit';
import { secureServer, visit } from './web-tls-kit';

export const handshakeScenarios: Record<string, Scenario> = {
  'tls: certificates of both ends': {
    server: (log) =>
      secureServer(log, { requestCert: true, rejectUnauthorized: false, ca: other.cert }, (socket, who) => {
        log.add(
          who,
          socket.authorized,
          socket.authorizationError,
          socket.getPeerCertificate().subject,
          socket.getCertificate(),
          socket.getPeerX509Certificate()?.subject,
        );
        socket.end('x');
      }),
    client: async (port, log) => {
      await visit(port, log, 'with', other, (socket) => {
        socket.on('secureConnect', () => {
          const { subject, issuer, subjectaltname, serialNumber, fingerprint256 } = socket.getPeerCertificate(true);
          log.add(
            subject,
            issuer,
            subjectaltname,
            serialNumber,
            fingerprint256,
            socket.getX509Certificate()?.subject,
            socket.getPeerX509Certificate()?.checkHost('localhost'),
          );
        });
      });
      await visit(port, log, 'without');
      await visit(port, log, 'wrong', secure);
    },
  },

  'tls: a server that insists on a certificate': {
    server: (log) => secureServer(log, { requestCert: true, ca: other.cert, maxVersion: 'TLSv1.2' }),
    client: async (port, log) => {
      await visit(port, log, 'with', other);
      await visit(port, log, 'without');
    },
  },

  'tls: servers of several names': {
    server: (log) => {
      const server = secureServer(
        log,
        {
          SNICallback: (name, done) => {
            log.add('SNI', name);
            if (name === 'failing.example') done(new Error('no such name'));
            else if (name === 'later.example') setImmediate(done, null, tls.createSecureContext(other));
            else done(null, undefined);
          },
        },
        (socket, who) => {
          log.add(who, socket.servername);
          socket.end('x');
        },
      );
      return server;
    },
    client: async (port, log) => {
      const see = (socket: tls.TLSSocket): void => {
        socket.on('secureConnect', () => {
          log.add(socket.getPeerCertificate().subject.CN, socket.servername);
        });
      };
      for (const servername of ['localhost', 'later.example', 'failing.example']) {
        await visit(port, log, servername, { servername, rejectUnauthorized: false }, see);
      }
    },
  },

  'tls: addContext and setSecureContext': {
    server: (log) => {
      const server = secureServer(log, {}, (socket) => {
        socket.end('x');
        if (socket.servername === 'change.example') server.setSecureContext(other);
      });
      server.addContext('*.other.example', other);
      return server;
    },
    client: async (port, log) => {
      for (const servername of ['localhost', 'a.other.example', 'change.example', 'localhost']) {
        await visit(port, log, servername, { servername, rejectUnauthorized: false }, (socket) => {
          socket.on('secureConnect', () => {
            log.add(socket.getPeerCertificate().subject.CN);
          });
        });
      }
    },
  },

  'tls: ALPN': {
    server: (log) =>
      secureServer(log, { ALPNProtocols: ['h9', 'h8'] }, (socket, who) => {
        log.add(who, socket.alpnProtocol);
        socket.end('x');
      }),
    client: async (port, log) => {
      for (const ALPNProtocols of [['h8'], ['h7', 'h8', 'h9'], ['h7'], []]) {
        await visit(port, log, ALPNProtocols.join(), { ALPNProtocols }, (socket) => {
          socket.on('secureConnect', () => {
            log.add(socket.alpnProtocol);
          });
        });
      }
    },
  },

  'tls: ALPN by a callback': {
    server: (log) =>
      secureServer(
        log,
        {
          ALPNCallback: ({ servername, protocols }) => {
            log.add('ALPN', servername, protocols);
            return protocols.find((protocol) => protocol === 'h2');
          },
        },
        (socket, who) => {
          log.add(who, socket.alpnProtocol);
          socket.end('x');
        },
      ),
    client: async (port, log) => {
      for (const ALPNProtocols of [['h1', 'h2'], ['h3']])
        await visit(port, log, ALPNProtocols.join(), { ALPNProtocols });
    },
  },

  'tls: sessions are taken up again': {
    server: (log) =>
      secureServer(log, { sessionIdContext: 'x' }, (socket, who) => {
        log.add(who, socket.isSessionReused());
        socket.end('x');
      }),
    client: async (port, log) => {
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        let session: Buffer | undefined;
        const settings = { minVersion: version, maxVersion: version };
        await visit(port, log, 'first', settings, (socket) => {
          socket.on('session', (given: Buffer) => {
            session ??= given;
            log.add('session', given.length > 0);
          });
        });
        await visit(port, log, 'again', { ...settings, ...(session === undefined ? {} : { session }) }, (socket) => {
          socket.on('secureConnect', () => {
            log.add(socket.isSessionReused(), socket.getTLSTicket() !== undefined, socket.getSession() !== undefined);
          });
        });
      }
    },
  },

  'tls: a server that keeps the sessions itself': {
    server: (log) => {
      const kept = new Map<string, Buffer>();
      const server = secureServer(log, { maxVersion: 'TLSv1.2', secureOptions: 1 << 14 }, (socket, who) => {
        log.add(who, socket.isSessionReused());
        socket.end('x');
      });
      server.on('newSession', (id: Buffer, data: Buffer, done: () => void) => {
        log.add('newSession', id.length);
        kept.set(id.toString('hex'), data);
        setImmediate(done);
      });
      server.on('resumeSession', (id: Buffer, done: (error: Error | null, data: Buffer | null) => void) => {
        log.add('resumeSession', id.length);
        setImmediate(done, null, kept.get(id.toString('hex')) ?? null);
      });
      return server;
    },
    client: async (port, log) => {
      let session: Buffer | undefined;
      await visit(port, log, 'first', {}, (socket) => {
        socket.on('session', (given: Buffer) => (session ??= given));
      });
      await visit(port, log, 'again', session === undefined ? {} : { session }, (socket) => {
        socket.on('secureConnect', () => {
          log.add(socket.isSessionReused());
        });
      });
    },
  },

  'tls: key log': {
    server: (log) =>
      secureServer(log, {}).on('keylog', (line: Buffer, socket: tls.TLSSocket) => {
        log.add('keylog', line.toString().split(' ')[0], socket.constructor.name, socket.remotePort !== undefined);
      }),
    client: async (port, log) => {
      await visit(port, log, 'client', {}, (socket) => {
        socket.on('keylog', (line: Buffer) => {
          log.add('keylog', line.toString().split(' ')[0]);
        });
      });
    },
  },

  'tls: checkServerIdentity and no trust': {
    // A client that does not trust leaves with data unread: whether the server sees an end or a reset is chance with
    // TCP.
    server: () => secureServer(new Log(), { maxVersion: 'TLSv1.2' }),
    client: async (port, log) => {
      await visit(port, log, 'another name', { servername: 'another.example' });
      await visit(port, log, 'own check', {
        checkServerIdentity: (name, certificate) => {
          log.add('check', name, certificate.subject);
          return new Error('I do not like it');
        },
      });
      await visit(port, log, 'unknown', { ca: other.cert });
      await visit(port, log, 'unknown, and never mind', { ca: other.cert, rejectUnauthorized: false });
    },
  },

  'tls: a pre-shared key, right and wrong': {
    server: (log) =>
      tls
        .createServer(
          {
            ciphers: 'PSK',
            maxVersion: 'TLSv1.2',
            pskIdentityHint: 'hint',
            pskCallback: (_socket: tls.TLSSocket, identity: string) => {
              log.add('identity', identity);
              return identity === 'me' ? Buffer.alloc(16, 7) : null;
            },
          } as tls.TlsOptions,
          (socket) => {
            log.add('authorized', socket.authorized);
            socket.end('x');
          },
        )
        .on('tlsClientError', (error) => {
          log.add('tlsClientError', shown(error));
        }),
    client: async (port, log) => {
      for (const identity of ['me', 'you']) {
        await visit(port, log, identity, {
          ciphers: 'PSK',
          maxVersion: 'TLSv1.2',
          checkServerIdentity: () => undefined,
          pskCallback: (hint: string | null) => {
            log.add('hint', hint);
            return { psk: Buffer.alloc(16, 7), identity };
          },
        });
      }
    },
  },

  'tls: a client that does not speak TLS, one that leaves, and one that says nothing': {
    // Only for the one that says nothing: the others have time enough on a busy machine.
    server: (log) => secureServer(log, { handshakeTimeout: 1500 }),
    client: async (port, log) => {
      for (const what of ['GET / HTTP/1.1\r\n\r\n', 'leave', '']) {
        const socket = tell(net.connect(port, HOST), log, what.slice(0, 5), ['end', 'error', 'close']);
        socket.resume();
        await event(socket, 'connect');
        if (what === 'leave') {
          await sleep(5);
          socket.end();
        } else if (what !== '') socket.write(what);
        await closing(socket);
        // The server tells of the one before the next one comes.
        await sleep(50);
      }
    },
  },

  'tls: a server that does not speak TLS, or another version of it': {
    server: (log) => {
      let visits = 0;
      return net.createServer((raw) => {
        visits += 1;
        if (visits === 1) {
          raw.on('error', () => undefined);
          raw.resume().end('this is not TLS');
        } else if (visits === 2) raw.once('data', () => raw.destroy());
        else {
          const socket = tell(
            new tls.TLSSocket(raw, { isServer: true, ...secure, minVersion: 'TLSv1.3' }),
            log,
            'server',
            ['secure', 'end', 'close', '_tlsError'],
          );
          socket.on('_tlsError', () => raw.destroy());
        }
      });
    },
    client: async (port, log) => {
      await visit(port, log, 'no tls');
      await visit(port, log, 'gone');
      await visit(port, log, 'old', { maxVersion: 'TLSv1.2' });
    },
  },
};
