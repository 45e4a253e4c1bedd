/** Scenarios: what of TLS is agreed upon anew, from both ends: the keys of tickets, and renegotiation. */
import { type Scenario } from './scenario-kit';
import { secureServer, visit } from './web-tls-kit';

export const renewalScenarios: Record<string, Scenario> = {
  'tls: ticket keys that are set, and set anew': {
    server: (log) => {
      const server = secureServer(log, { ticketKeys: Buffer.alloc(48, 1) }, (socket, who) => {
        log.add(who, socket.isSessionReused(), server.getTicketKeys().equals(Buffer.alloc(48, 1)));
        socket.on('data', (chunk: Buffer) => {
          if (chunk.toString() === 'anew') server.setTicketKeys(Buffer.alloc(48, 2));
          socket.end('x');
        });
      });
      for (const wrong of [Buffer.alloc(47), 'text' as unknown as Buffer]) {
        try {
          server.setTicketKeys(wrong);
          log.add('taken');
        } catch (error) {
          log.add(error);
        }
      }
      return server;
    },
    client: async (port, log) => {
      let session: Buffer | undefined;
      // TLS 1.2: the ticket comes with the handshake, before any data.
      for (const word of ['first', 'again', 'anew', 'last']) {
        const socket = await visit(
          port,
          log,
          word,
          { maxVersion: 'TLSv1.2', ...(session === undefined ? {} : { session }) },
          (each) => {
            each.once('secureConnect', () => {
              session ??= each.getSession();
              each.write(word);
            });
          },
        );
        log.add(word, socket.isSessionReused());
      }
    },
  },

  'tls: renegotiation in TLS 1.2, and none in TLS 1.3': {
    server: (log) =>
      secureServer(log, {}, (socket, who) => {
        socket.on('data', (chunk: Buffer) => {
          log.add(who, chunk.toString());
          socket.end('answer');
        });
      }),
    client: async (port, log) => {
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        await visit(port, log, maxVersion, { maxVersion }, (socket) => {
          socket.once('secureConnect', () => {
            const began = socket.renegotiate({ rejectUnauthorized: false }, (error) => {
              log.add(maxVersion, 'renegotiated', error?.message.replace(/^.*:SSL/, 'SSL'), socket.authorized);
              if (!socket.destroyed) socket.write('question');
            });
            log.add(maxVersion, began);
          });
        });
      }
    },
  },

  'tls: a server that takes no renegotiation': {
    server: (log) =>
      secureServer(log, {}, (socket, who) => {
        socket.disableRenegotiation();
        socket.on('error', () => socket.destroy());
        socket.on('data', (chunk: Buffer) => {
          log.add(who, chunk.toString());
        });
      }),
    client: async (port, log) => {
      await visit(port, log, 'client', { maxVersion: 'TLSv1.2' }, (socket) => {
        socket.once('secureConnect', () => {
          socket.renegotiate({ rejectUnauthorized: false }, (error) => {
            log.add('renegotiated', error?.message);
          });
        });
      });
    },
  },
};
