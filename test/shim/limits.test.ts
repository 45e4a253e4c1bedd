/** A region that allows few sockets: servers and sockets tell of it as programs know it from Node, and go on. */
import t from 'tap';
import { Region } from '../../src/region';
import { node, REGISTER, scratch } from './kit';

const SOCKETS_MAX = 6;

/** A server, and as a process of its own a client that connects one by one; each line tells what one side saw. */
const PROGRAM = `
  const net = require('node:net');
  const { once } = require('node:events');
  const { spawn } = require('node:child_process');
  const say = (line) => process.stdout.write(line + '\\n');
  const call = (port) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write('?'));
    const seen = new Promise((resolve) => {
      socket.once('data', () => resolve('answered')).on('error', ({ code }) => resolve(code));
    });
    return { socket, seen };
  };
  const client = async (port) => {
    const open = [];
    for (let i = 0; i < ${SOCKETS_MAX - 1}; i++) {
      const { socket, seen } = call(port);
      open.push(socket);
      say('client: ' + await seen);
    }
    const more = [call(port), call(port)];
    say('client: ' + (await Promise.all(more.map(({ seen }) => seen))).join(', '));
    open[0].end();
    await once(open[1], 'data');
    say('client: ' + await call(port).seen);
    process.exit();
  };
  if (process.env.PORT) void client(Number(process.env.PORT));
  else {
    const sockets = new Set();
    const server = net.createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {}).on('data', () => socket.write('!')).on('close', () => {
        sockets.delete(socket);
        for (const other of sockets) other.write('one has left');
      });
    });
    server.on('drop', ({ localPort, remotePort, remoteAddress }) => {
      say('server: drop ' + (localPort === server.address().port) + ' ' + (remotePort > 0) + ' ' + remoteAddress);
    });
    server.listen(0, '127.0.0.1', async () => {
      const env = { ...process.env, PORT: String(server.address().port) };
      await once(spawn(process.execPath, process.execArgv, { env, stdio: 'inherit' }), 'exit');
      process.exit();
    });
  }
`;

void t.test('a server without room for a socket emits drop, a client without room fails with EMFILE', async (t) => {
  const place = scratch();
  t.teardown(place.remove);
  Region.open(
    { directory: place.region, system: 'here', group: 'STG', driver: 'auto' },
    { limits: { socketsMax: SOCKETS_MAX } },
  ).close();
  const { stdout, stderr, code } = await node(['--require', REGISTER, '-e', PROGRAM], {
    STP_REGION: place.region,
    STP_NET: 'stp',
  });
  t.equal(code, 0, stderr);
  const lines = stdout.trim().split('\n');
  const of = (side: string): string[] => lines.filter((line) => line.startsWith(side));
  t.same(of('server'), ['server: drop true true 127.0.0.1'], 'the one that was turned away');
  const answered = Array<string>(SOCKETS_MAX - 1).fill('client: answered');
  // Turned away before its program is told that it is connected, or after that.
  const away = /^client: (ECONNREFUSED|ECONNRESET), EMFILE$/;
  t.match(of('client'), [...answered, away, 'client: answered'], 'and there is room again');
});
