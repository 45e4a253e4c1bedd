/** A process that drops its privileges can't use a region of the former user any more: its callers must not wait. */
import fs from 'node:fs';
import t from 'tap';
import { scratch, node, REGISTER } from '../shim/kit';

const PROGRAM = `
  const net = require('node:net');
  const { fork } = require('node:child_process');
  if (process.send !== undefined) {
    net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1', function () {
      const early = net.connect(this.address().port, '127.0.0.1', () => {
        early.write('to myself');
        process.setgid(65534);
        process.setuid(65534);
        early.once('data', (bytes) => process.send([this.address().port, String(bytes)]));
      });
    });
  } else {
    const server = fork(__filename);
    const call = (port) => new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1').on('data', () => resolve('answer'));
      socket.on('connect', () => socket.write('?')).on('error', ({ code }) => resolve(code));
    });
    server.once('message', async ([port, kept]) => {
      const first = await call(port);
      console.log(JSON.stringify([kept, first, await call(port)]));
      server.kill();
      process.exit();
    });
  }
`;

void t.test(
  'a server that dropped its privileges refuses new clients, and what is connected goes on',
  { skip: process.getuid?.() === 0 ? false : 'only root can drop privileges' },
  async (t) => {
    const { directory, region, remove } = scratch();
    t.teardown(remove);
    const file = `${directory}/program.cjs`;
    fs.writeFileSync(file, PROGRAM);
    for (const driver of ['auto', 'direct']) {
      const env = { STP_REGION: region, STP_NET: 'stp', STP_DRIVER: driver };
      const { stdout, stderr } = await node(['--require', REGISTER, file], env);
      const [kept, first, second] = JSON.parse(stdout) as string[];
      t.equal(kept, 'to myself', `${driver}: a connection that stood ${stderr}`);
      t.match(
        first,
        /^(?:ECONNREFUSED|ECONNRESET)$/u,
        `${driver}: the first to call, by which the server learns of it`,
      );
      t.equal(second, 'ECONNREFUSED', `${driver}: the next`);
    }
  },
);
