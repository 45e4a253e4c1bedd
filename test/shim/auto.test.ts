/** `auto`: STP where a live listener is, TCP else, and no program breaks where STP can't be had. */
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { lines } from './auto-kit';
import { node, PACKAGE, REGISTER, scratch } from './kit';

void t.test('a server listens on both, and a client takes STP where the address is this system’s', async (t) => {
  const seen = await lines(
    t,
    `
    const os = require('node:os');
    const server = await serve(0);
    const { port } = server.address();
    console.log(how(server));
    const outward = ({ internal, family }) => !internal && family === 'IPv4';
    const own = Object.values(os.networkInterfaces()).flat().find(outward)?.address ?? '127.0.0.1';
    const hosts = [
      undefined, 'localhost', 'LOCALHOST.', '127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1', '0.0.0.0', '::',
      os.hostname(), own,
    ];
    for (const host of hosts) console.log(await call({ port, host }));
    const lookup = (name, options, done) => setImmediate(() => {
      if (options.all) done(null, [{ address: '127.0.0.1', family: 4 }]);
      else done(null, '127.0.0.1', 4);
    });
    console.log(await call({ port, host: 'somewhere.example', lookup }));
    server.close();
  `,
  );
  t.same(seen, ['stp+tcp LISTENING', ...Array<string>(12).fill('by stp, stp LISTENER_FOUND')]);
});

/** A server that tells its port, and has no hook. */
const PLAIN = `
  require('node:net').createServer((socket) => socket.end('plain')).listen(0, '127.0.0.1', function () {
    console.log(this.address().port);
  });
`;

void t.test('without a listener of STP it is TCP: who has no hook is reached as ever', async (t) => {
  const seen = await lines(
    t,
    `
    const { spawn } = require('node:child_process');
    const { once } = require('node:events');
    const child = spawn(process.execPath, ['-e', ${JSON.stringify(PLAIN)}]);
    const port = Number(String((await once(child.stdout, 'data'))[0]));
    console.log(await call(port));
    console.log(await call(port, '127.0.0.1'));
    child.kill();
    await once(child, 'exit');
    console.log(await call(port, '127.0.0.1'));
    console.log(await call(0, '127.0.0.1'));
    const away = net.connect(port, '192.0.2.1').on('error', () => {});
    await new Promise(setImmediate);
    console.log(how(away));
    away.destroy();
  `,
  );
  t.same(seen, [
    'plain, tcp NO_LISTENER',
    'plain, tcp NO_LISTENER',
    'ECONNREFUSED, tcp NO_LISTENER',
    'ECONNREFUSED, tcp NO_LISTENER',
    'tcp NOT_OURS',
  ]);
});

/** A server at a descriptor that it was given. */
const BY_DESCRIPTOR = `
  const server = require('node:net').createServer((socket) => socket.end()).listen({ fd: 3 }, () => {
    console.log(server.stp.transport, server.stp.reason);
    server.close();
  });
`;

void t.test('what is not a host and a port stays with Node', async (t) => {
  const place = scratch();
  const socket = JSON.stringify(path.join(place.directory, 'socket'));
  fs.mkdirSync(place.directory, { recursive: true });
  const seen = await lines(
    t,
    `
    const server = await serve(${socket});
    console.log(how(server), await call(${socket}));
    server.close();
    const other = await serve(0, '127.0.0.1');
    const program = ${JSON.stringify(BY_DESCRIPTOR)};
    const stdio = ['ignore', 'inherit', 'inherit', other._handle];
    const { spawn } = require('node:child_process');
    spawn(process.execPath, [...process.execArgv.slice(0, 2), '-e', program], { stdio });
    other.close();
  `,
    {},
    place,
  );
  t.same(seen, ['tcp UNIX_PATH by tcp, tcp UNIX_PATH', 'tcp HAS_HANDLE']);
});

void t.test('rules decide before addresses do', async (t) => {
  const seen = await lines(
    t,
    `
    const server = await serve(41007, '127.0.0.1');
    const only = await serve(41008);
    const plain = await serve(41009);
    console.log(how(server), how(only), how(plain));
    const calls = [[41007], [41007, '127.0.0.1'], [41008], [41009], [41010]];
    for (const args of calls) console.log(await call(...args));
    for (const each of [server, only, plain]) each.close();
  `,
    { STP_RULES: 'tcp 127.0.0.1:41007; stp :41008; tcp :41009; stp :41010; auto *' },
  );
  t.same(seen, [
    'tcp RULE_TCP stp RULE_STP tcp RULE_TCP',
    'by tcp, tcp NO_LISTENER',
    'by tcp, tcp RULE_TCP',
    'by stp, stp RULE_STP',
    'by tcp, tcp RULE_TCP',
    'ECONNREFUSED, stp RULE_STP',
  ]);
});

void t.test('a region that can not be used breaks nothing: TCP, with the reason', async (t) => {
  const place = scratch();
  const file = path.join(place.directory, 'file');
  fs.writeFileSync(file, '');
  const broken = path.join(place.directory, 'broken');
  fs.mkdirSync(broken);
  fs.writeFileSync(path.join(broken, 'region'), Buffer.alloc(4096, 0xa5));
  const ways: [Record<string, string>, string][] = [
    [{ STP_REGION: file }, 'ESTPREGION'],
    [{ STP_REGION: path.join(file, 'below') }, 'ENOTDIR|ESTPREGION|EIO'],
    [{ STP_REGION: broken }, 'ESTP\\w+'],
    [{ STP_DRIVER: 'floppy' }, 'ESTPCONFIG'],
    [{ STP_SYSTEM: 'no spaces here' }, 'ESTPCONFIG'],
    [{ STP_GROUP: '' }, 'ESTPCONFIG'],
  ];
  for (const [env, code] of ways) {
    const [seen = ''] = await lines(
      t,
      `
      const server = await serve(0);
      console.log(how(server) + '; ' + await call(server.address().port));
      server.close();
      `,
      env,
      place,
    );
    t.match(
      seen,
      new RegExp(`^tcp REGION_UNUSABLE (${code}); by tcp, tcp REGION_UNUSABLE (${code})$`),
      JSON.stringify(env),
    );
  }
});

void t.test('the same region under STP_NET=stp is an error of each socket and server, which tells why', async (t) => {
  const place = scratch();
  const file = path.join(place.directory, 'file');
  fs.writeFileSync(file, '');
  const seen = await lines(
    t,
    `
    const server = net.createServer().listen(41011);
    const error = await new Promise((resolve) => server.on('error', resolve));
    console.log(error.code, error.syscall, error.port, server.stp.error.code, server.listening);
    const socket = net.connect(41011, '127.0.0.1');
    const other = await new Promise((resolve) => socket.on('error', resolve));
    console.log(other.code, other.syscall, other.address, other.port, socket.stp.error.code);
  `,
    { STP_REGION: file, STP_NET: 'stp' },
    place,
  );
  t.same(seen, ['EIO listen 41011 ESTPREGION false', 'EIO connect 127.0.0.1 41011 ESTPREGION']);
});

void t.test('under STP_NET=stp there is no TCP and no DNS', async (t) => {
  const seen = await lines(
    t,
    `
    const dns = require('node:dns');
    const { lookup } = dns;
    // Who refuses asks the system what its localhost is.
    dns.lookup = (host, ...rest) => {
      if (host !== 'localhost' && net.isIP(host) === 0) throw new Error('asked DNS');
      lookup(host, ...rest);
    };
    const calls = [[41012], [41012, '192.0.2.1'], [41012, 'fd12::1'], [41012, 'no.such.name'], [0, '127.0.0.1']];
    for (const args of calls) console.log(await call(...args));
    const error = await new Promise((resolve) => net.connect(41012, 'no.such.name').on('error', resolve));
    console.log(error.message, error.hostname, error.syscall, error.errno);
    const listening = (...args) => new Promise((resolve) => {
      net.createServer().on('error', (e) => resolve(e.message)).listen(...args);
    });
    console.log(await listening(41012, '192.0.2.1'));
    console.log(await listening(41012, 'no.such.name'));
    console.log(await listening({ fd: 0 }));
    const server = await serve({ port: 41012, host: '127.0.0.1' });
    console.log(JSON.stringify(server.address()), how(server), await call(41012), await call(41012, 'localhost'));
    const next = net.createServer().listen(0);
    console.log(next.address().address, next.address().port > 0, next.listening);
    server.close();
    next.close();
  `,
    { STP_NET: 'stp' },
  );
  t.same(seen, [
    'ECONNREFUSED, stp MODE_STP',
    'ECONNREFUSED, stp MODE_STP',
    'ECONNREFUSED, stp MODE_STP',
    'ENOTFOUND, stp MODE_STP',
    'ECONNREFUSED, stp MODE_STP',
    'getaddrinfo ENOTFOUND no.such.name no.such.name getaddrinfo -3008',
    'listen EADDRNOTAVAIL: address not available 192.0.2.1:41012',
    'getaddrinfo ENOTFOUND no.such.name',
    'listen EINVAL: invalid argument',
    '{"address":"127.0.0.1","family":"IPv4","port":41012} stp MODE_STP by stp, stp MODE_STP by stp, stp MODE_STP',
    ':: true true',
  ]);
});

void t.test('a port that another STP socket has leaves the server on TCP', async (t) => {
  const place = scratch();
  const calls = path.join(path.dirname(PACKAGE), '..', 'src', 'index.js');
  const program = `
    const { STPsocket, STPbind, STPlisten, PF_STP, SOCK_STREAM } = require(${JSON.stringify(calls)});
    const s = STPsocket(PF_STP, SOCK_STREAM, PF_STP);
    STPbind(s, { port: 41013 });
    STPlisten(s, 5);
    const server = await serve(41013);
    console.log(how(server), server.listening);
    server.close(() => process.exit());
  `;
  t.same(await lines(t, program, {}, place), ['tcp PORT_TAKEN EADDRINUSE true']);
});

void t.test(
  'a connect that a process resets by its end is refused in auto, as retry logic looks for that',
  async (t) => {
    const place = scratch();
    t.teardown(place.remove);
    const program = `
    const net = require('node:net');
    const { spawn } = require('node:child_process');
    const serve = () => {
      require('net').createServer().listen(0, '127.0.0.1', function () { console.log(this.address().port); });
    };
    const server = spawn(process.execPath, ['-e', '(' + serve + ')()'], { stdio: ['ignore', 'pipe', 'inherit'] });
    // A process of the region: without one nothing is decided.
    net.createServer().listen(0, '127.0.0.1').unref();
    server.stdout.once('data', (port) => {
      server.kill('SIGSTOP');
      net.connect(Number(port), '127.0.0.1').on('error', ({ code, syscall }) => console.log(syscall, code));
      // The connection waits for its accept by now, and the event loop looks at it after the end of the server.
      process.nextTick(() => {
        server.kill('SIGKILL');
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
      });
    });
  `;
    for (const [mode, told] of [
      ['tcp', 'connect ECONNRESET'],
      ['auto', 'connect ECONNREFUSED'],
    ] as const) {
      const env = { STP_REGION: place.region, STP_NET: mode };
      const { stdout, stderr } = await node(['--require', REGISTER, '-e', program], env);
      t.equal(stdout.trim(), told, `${mode}: ${stderr}`);
    }
  },
);
