/** `auto`: servers at one port of different addresses, and systems by their names and addresses. */
import t from 'tap';
import { lines, PRELUDE } from './auto-kit';
import { node, REGISTER, scratch } from './kit';

void t.test('two servers of a process at one port of different addresses are each reached by their own', async (t) => {
  const seen = await lines(
    t,
    `
    const named = (name, host, port) => new Promise((resolve) => {
      const server = net.createServer((socket) => socket.end(name)).listen(port, host, () => resolve(server));
    });
    const first = await named('first', '127.0.0.1', 0);
    const { port } = first.address();
    console.log(how(first), await call(port, '127.0.0.1'));
    const second = await named('second', '127.0.0.2', port);
    console.log(how(first), how(second), await call(port, '127.0.0.1'), await call(port, '127.0.0.2'));
    first.close();
    second.close();
  `,
  );
  t.same(seen, [
    'stp+tcp LISTENING first, stp LISTENER_FOUND',
    'stp+tcp LISTENING stp+tcp LISTENING first, stp LISTENER_FOUND second, stp LISTENER_FOUND',
  ]);
});

void t.test('so are two servers of different processes', async (t) => {
  const seen = await lines(
    t,
    `
    const { spawn } = require('node:child_process');
    const { once } = require('node:events');
    const server = net.createServer((socket) => socket.end('first')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    const other = [
      'const server = require("node:net").createServer((socket) => socket.end("second"));',
      'server.listen(' + port + ', "127.0.0.2", () => console.log("listens"));',
    ].join('');
    const stdio = ['ignore', 'pipe', 'inherit'];
    const child = spawn(process.execPath, [...process.execArgv.slice(0, 2), '-e', other], { stdio });
    await once(child.stdout, 'data');
    for (const host of ['127.0.0.1', '127.0.0.2', 'localhost', '0.0.0.0', '::ffff:127.0.0.1'])
      console.log(host, await call(port, host));
    child.kill();
    server.close();
  `,
  );
  t.same(seen, [
    '127.0.0.1 first, stp LISTENER_FOUND',
    '127.0.0.2 second, stp LISTENER_FOUND',
    'localhost first, stp LISTENER_FOUND',
    '0.0.0.0 first, stp LISTENER_FOUND',
    '::ffff:127.0.0.1 first, stp LISTENER_FOUND',
  ]);
});

/** A server that tells each client what addresses it sees. */
const TELLS_ADDRESSES = `
  const server = require('node:net').createServer((socket) => {
    const addresses = [socket.remoteAddress, socket.remoteFamily, socket.localAddress];
    socket.on('error', () => {}).end(addresses.join(' '));
  });
  server.listen(41014, () => console.log('up'));
`;

void t.test('systems of the region are known by name and by their address, and show it', async (t) => {
  const place = scratch();
  t.teardown(place.remove);
  const program = `
    ${PRELUDE}
    const { spawn } = require('node:child_process');
    const { once } = require('node:events');
    (async () => {
      const program = ${JSON.stringify(TELLS_ADDRESSES)};
      const child = spawn(process.execPath, [...process.execArgv.slice(0, 2), '-e', program], {
        env: { ...process.env, STP_SYSTEM: 'Other-System' },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(child.stdout, 'data');
      console.log(await call(41014));
      for (const host of ['other-system', 'OTHER-SYSTEM']) {
        const socket = net.connect(41014, host);
        let text = '';
        await once(socket, 'connect');
        const [address, family, local] = [socket.remoteAddress, socket.remoteFamily, socket.localAddress];
        for await (const chunk of socket) text += chunk;
        const again = net.connect(41014, address);
        await once(again, 'connect');
        const rest = text.split(' ').slice(1).join(' ');
        console.log(/^fd/.test(address), family, local, /^fd/.test(text), rest, again.remoteAddress === address);
        again.destroy();
      }
      child.kill();
    })();
  `;
  const { stdout, stderr } = await node(['--require', REGISTER, '-e', program], {
    STP_REGION: place.region,
    STP_NET: 'stp',
    STP_SYSTEM: 'this-system',
  });
  t.same(
    stdout.trim().split('\n'),
    ['ECONNREFUSED, stp MODE_STP', 'true IPv6 ::1 true IPv6 ::1 true', 'true IPv6 ::1 true IPv6 ::1 true'],
    stderr,
  );
});
