/** `send(message, socket)` and `send(message, server)` between a parent and its children: by STP what it is by TCP. */
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { node, REGISTER, scratch } from './kit';

const PROGRAM = path.join(__dirname, '../../..', 'test/e2e/programs/send.cjs');

void t.test(
  'sockets and servers go to other processes as with TCP: bytes, order of messages, callbacks, errors',
  async (t) => {
    const seen = await Promise.all(
      ['tcp', 'stp', 'auto'].map(async (mode) => {
        const { region, remove } = scratch();
        t.teardown(remove);
        const { stdout, stderr } = await node(['--require', REGISTER, PROGRAM], { STP_REGION: region, STP_NET: mode });
        t.equal(stderr, '');
        return JSON.parse(stdout) as { exits: unknown };
      }),
    );
    t.same(seen[0]?.exits, [0, 0]);
    t.same(seen[1], seen[0], 'stp');
    t.same(seen[2], seen[0], 'auto');
  },
);

void t.test('a socket that can not be given is an error of the send: it is not lost in silence', async (t) => {
  const { region, remove } = scratch();
  t.teardown(remove);
  const program = `
    const { fork } = require('node:child_process');
    const net = require('node:net');
    if (process.argv[2] === 'child') process.once('message', () => process.disconnect());
    else net.createServer((socket) => {
      const child = fork(process.argv[1], ['child']);
      socket.setEncoding('utf8');
      child.on('error', (error) => {
        console.log('event', error.code);
        child.send('kept', socket, { keepOpen: true }, (failed) => {
          console.log('callback', failed.code, socket.destroyed);
          child.send('end');
          socket.end();
        });
      });
      child.send('encoded', socket);
    }).listen(0, function () {
      net.connect(this.address().port).resume().on('close', () => this.close());
    });
  `;
  const file = path.join(path.dirname(region), 'program.cjs');
  fs.writeFileSync(file, program);
  const { stdout, stderr } = await node(['--require', REGISTER, file], { STP_REGION: region, STP_NET: 'stp' });
  t.same(stdout.trim().split('\n'), ['event EOPNOTSUPP', 'callback EOPNOTSUPP false'], stderr);
});
