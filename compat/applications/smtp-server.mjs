import { once } from 'node:events';
import { SMTPServer } from 'smtp-server';
import { checksum, tell } from './kit.mjs';

const server = new SMTPServer({
  size: 1 << 24,
  authMethods: ['PLAIN', 'LOGIN'],
  onAuth: ({ username, password }, session, done) => {
    // Nobody may tell a password in the clear.
    if (!session.secure || username !== 'user' || password !== 'secret') done(new Error('Invalid login'));
    else done(null, { user: username });
  },
  onData: async (stream, session, done) => {
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString('latin1');
    const [, attached] = /Content-Disposition: attachment[^]*?\r\n\r\n([A-Za-z0-9+/=\r\n]+)/u.exec(text) ?? [];
    const data = attached === undefined ? Buffer.alloc(0) : Buffer.from(attached.trim(), 'base64');
    done(
      null,
      `${session.envelope.rcptTo.length} recipients, ${session.tlsOptions.version ?? session.tlsOptions.name}, ` +
        `${data.length} ${checksum(data)}`,
    );
  },
});
server.on('error', () => {});
server.listen(0, '127.0.0.1');
await once(server.server, 'listening');
tell({ port: server.server.address().port });
