// Callbacks are tasks of their own: what one sets by a tick or a promise is there in the next, and the end comes after
// the last immediates.
const net = require('node:net');
const { once } = require('node:events');
const { fork } = require('node:child_process');

if (process.argv[2] === 'server') {
  const server = net
    .createServer((socket) => socket.on('error', () => undefined).on('data', () => socket.end('bye')))
    .listen(0, '127.0.0.1', () => process.send(server.address().port));
  process.on('disconnect', () => process.exit());
} else {
  const child = fork(__filename, ['server']);
  child.once('message', async (port) => {
    const seen = [];
    const one = net.connect(port, '127.0.0.1');
    const other = net.connect(port, '127.0.0.1');
    await once(one, 'connect');
    await once(other, 'connect');
    seen.push('both connected');
    let due = false;
    let late = 0;
    for (const socket of [one, other]) {
      socket.on('data', () => {
        due = true;
        setImmediate(() => {
          due = false;
        });
      });
      socket.on('end', () => {
        if (due) late += 1;
      });
      socket.write('?');
      await once(socket, 'close');
    }
    seen.push(late);
    child.disconnect();
    console.log(JSON.stringify(seen));
  });
}
