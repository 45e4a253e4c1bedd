// A program waits for a child that looks whether its port is open: the connect is complete although the program can't
// accept.
const net = require('node:net');
const { spawnSync } = require('node:child_process');

const server = net
  .createServer((socket) => socket.on('error', () => undefined).resume())
  .listen(0, '127.0.0.1', () => {
    const look = `const socket = require('node:net').connect(${server.address().port}, '127.0.0.1', () => {
      process.stdout.write('open');
      socket.destroy();
    });`;
    const { stdout } = spawnSync(process.execPath, ['-e', look], { timeout: 10_000, encoding: 'utf8' });
    server.close(() => console.log(JSON.stringify([stdout])));
  });
