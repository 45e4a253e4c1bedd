/** TLS over STP, where Node's own wrapping of a socket without a handle needs help. */
import t from 'tap';
import { CERTIFICATE, KEY } from './certificate';
import { node, REGISTER, scratch } from './kit';

const PRELUDE = `
  const net = require('node:net');
  const tls = require('node:tls');
  const { once } = require('node:events');
  const secure = { key: ${JSON.stringify(KEY)}, cert: ${JSON.stringify(CERTIFICATE)} };
  const trust = { ca: secure.cert, servername: 'localhost' };
  const text = async (stream) => {
    let all = '';
    for await (const chunk of stream.iterator ? stream.iterator({ destroyOnReturn: false }) : stream) all += chunk;
    return all;
  };
`;

/** Runs over STP and over TCP; both must print the same. */
async function both(program: string): Promise<{ stp: string[]; tcp: string[]; stderr: string }> {
  const place = scratch();
  const run = async (mode: string): Promise<{ stdout: string; stderr: string }> =>
    node(
      [
        '--require',
        REGISTER,
        '-e',
        `${PRELUDE}(async () => {${program}})().catch((error) => { console.log('FAILED', error); process.exit(1); });`,
      ],
      { STP_REGION: place.region, STP_NET: mode },
    );
  const [stp, tcp] = [await run('stp'), await run('tcp')];
  place.remove();
  return { stp: stp.stdout.trim().split('\n'), tcp: tcp.stdout.trim().split('\n'), stderr: stp.stderr };
}

const SCENARIOS: Record<string, string> = {
  'an http2 session without TLS that is released lets the process end': `
    const http2 = require('node:http2');
    const server = http2.createServer().on('session', (session) => session.unref()).listen(0, '127.0.0.1', () => {
      const session = http2.connect('http://127.0.0.1:' + server.address().port);
      session.on('remoteSettings', () => { session.unref(); server.unref(); console.log('released'); });
    });
  `,
  'events, addresses and properties of both ends': `
    const server = tls.createServer(secure, (socket) => {
      console.log('server', socket.remoteAddress, socket.remotePort > 0, socket.localPort === server.address().port,
        socket.encrypted, socket.connecting, socket.getProtocol());
      socket.end(socket.servername);
    }).listen(0, '127.0.0.1', async () => {
      const socket = tls.connect({ port: server.address().port, host: '127.0.0.1', ...trust });
      console.log(socket.connecting, socket.pending, socket.remoteAddress);
      const bare = ['session', 'connectionAttempt'];
      const events = [
        'lookup', 'connectionAttempt', 'connect', 'ready', 'secureConnect', 'session', 'end', 'close', 'error',
      ];
      for (const event of events)
        socket.on(event, (...values) => console.log(event, bare.includes(event) ? '' : values.join()));
      await once(socket, 'secureConnect');
      console.log(socket.remoteAddress, socket.remoteFamily, socket.remotePort === server.address().port,
        socket.localAddress, socket.localPort > 0, socket.authorized, socket.connecting,
        socket.getPeerCertificate().subject.CN);
      console.log(socket.setNoDelay() === socket, socket.setKeepAlive(true) === socket,
        socket.ref() === socket, socket.unref() === socket, socket.ref() === socket);
      console.log(await text(socket));
      server.close();
    });
  `,
  'the second address of a name, and buffers that a program makes': `
    const server = tls.createServer(secure, (socket) => socket.end('hello')).listen(0, '127.0.0.1', () => {
      let made = 0;
      const onread = {
        buffer: () => { made += 1; return Buffer.alloc(8); },
        callback: (bytes) => console.log('read', bytes),
      };
      const both = ['127.0.0.3', '127.0.0.1'].map((address) => ({ address, family: 4 }));
      const lookup = (name, options, done) => done(null, both);
      const { port } = server.address();
      const socket = tls.connect({ port, host: 'localhost', autoSelectFamily: true, lookup, onread, ...trust });
      socket.on('secureConnect', () => console.log(socket.remoteAddress));
      socket.on('end', () => console.log(made)).on('close', () => server.close());
    });
  `,
  'half-open, much data, both ways': `
    const server = tls.createServer({ ...secure, allowHalfOpen: true }, (socket) => socket.pipe(socket));
    server.listen(0, async () => {
      const socket = tls.connect({ port: server.address().port, allowHalfOpen: true, ...trust });
      const back = text(socket);
      for (let i = 0; i < 40; i += 1) if (!socket.write(String(i % 10).repeat(50_000))) await once(socket, 'drain');
      socket.end('done');
      const all = await back;
      console.log(all.length, all.slice(-6));
      server.close();
    });
  `,
  'STARTTLS: TLS begins on connected sockets': `
    const server = net.createServer((raw) => {
      raw.once('data', (line) => {
        raw.write('go ahead');
        const socket = new tls.TLSSocket(raw, { isServer: true, ...secure });
        socket.on('data', (chunk) => {
          console.log('server', String(line), String(chunk), socket.remoteAddress);
          socket.end('over tls');
        });
      });
      server.close();
    }).listen(0, '127.0.0.1', async () => {
      const raw = net.connect(server.address().port, '127.0.0.1');
      raw.write('STARTTLS');
      await once(raw, 'data');
      const socket = tls.connect({ socket: raw, ...trust });
      socket.write('hello');
      console.log(await text(socket));
    });
  `,
  'errors: nobody listens, no trust, no TLS at the other end': `
    const failed = (socket) => new Promise((resolve) => {
      const seen = [];
      socket.on('error', (error) => seen.push(error.code, error.syscall, error.address));
      socket.on('close', (hadError) => resolve(seen.join() + ' ' + socket.destroyed));
    });
    const gone = net.createServer().listen(0, '127.0.0.1');
    await once(gone, 'listening');
    const { port } = gone.address();
    gone.close();
    await once(gone, 'close');
    console.log(await failed(tls.connect(port, '127.0.0.1')));
    const server = tls.createServer(secure).on('tlsClientError', () => {}).listen(0, '127.0.0.1');
    await once(server, 'listening');
    console.log(await failed(tls.connect(server.address().port, '127.0.0.1')));
    server.close();
    const plain = net.createServer((socket) => { socket.on('error', () => {}); socket.end('this is not TLS'); });
    plain.listen(0, '127.0.0.1');
    await once(plain, 'listening');
    console.log((await failed(tls.connect(plain.address().port, '127.0.0.1'))).split(',')[0]);
    plain.close();
  `,
  'arguments in all their forms, and wrong ones': `
    const server = tls.createServer(secure, (socket) => socket.end('x')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    const options = { ...trust, rejectUnauthorized: true };
    const host = '127.0.0.1';
    for (const args of [[port, host, options], [port, { host, ...options }], [{ port, host, ...options }]]) {
      const socket = tls.connect(...args, () => console.log('secure'));
      console.log(await text(socket));
    }
    for (const wrong of [{}, { port: -1 }, { port, ca: 7 }, { port, minDHSize: -1 }]) {
      try { tls.connect(wrong).destroy(); } catch (error) { console.log(error.code, error.message.slice(0, 40)); }
    }
    server.close();
  `,
  'onread, a timeout and an abort signal': `
    const server = tls.createServer(secure, (socket) => { socket.on('error', () => {}); socket.write('0123456789'); });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    let got = '';
    const callback = (bytes, buffer) => {
      got += buffer.subarray(0, bytes);
      if (got.length === 10) reader.destroy();
      return true;
    };
    const onread = { buffer: Buffer.alloc(4), callback };
    const reader = tls.connect({ port, host: '127.0.0.1', ...trust, onread });
    await once(reader, 'close');
    console.log(got);
    const waiting = tls.connect({ port, host: '127.0.0.1', ...trust, timeout: 50 });
    await once(waiting, 'timeout');
    console.log('timeout', waiting.timeout);
    waiting.destroy();
    const controller = new AbortController();
    const aborted = tls.connect({ port, host: '127.0.0.1', ...trust, signal: controller.signal });
    aborted.on('error', (error) => console.log(error.name));
    await once(aborted, 'secureConnect');
    controller.abort();
    await once(aborted, 'close').catch(() => {});
    server.close();
  `,
};

for (const [name, program] of Object.entries(SCENARIOS)) {
  void t.test(name, async (t) => {
    const { stp, tcp, stderr } = await both(program);
    t.same(stp, tcp, stderr);
    t.notMatch(stp.join(), /FAILED/);
    t.not(stp.join(), '');
  });
}
