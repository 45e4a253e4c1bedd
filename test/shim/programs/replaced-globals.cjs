// A test library has put timers and clocks of its own in place of the program's: sockets go on.
const net = require('node:net');

const { setTimeout: real } = globalThis;
const never = () => ({
  ref() {
    return this;
  },
  unref() {
    return this;
  },
  hasRef() {
    return false;
  },
});
const server = net
  .createServer((socket) => socket.pipe(socket))
  .listen(0, '127.0.0.1', () => {
    Object.assign(globalThis, {
      setTimeout: never,
      setImmediate: never,
      setInterval: never,
      clearTimeout() {},
      clearImmediate() {},
    });
    Date.now = () => 42;
    performance.now = () => 42;
    const socket = net.connect(server.address().port, '127.0.0.1', () => socket.end('hi'));
    let text = '';
    socket
      .on('data', (chunk) => {
        text += chunk;
      })
      .on('close', () => {
        console.log(JSON.stringify([text]));
        process.exit();
      });
    real(() => process.exit(1), 10_000);
  });
