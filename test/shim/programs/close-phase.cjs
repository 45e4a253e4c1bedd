// A close is complete before the timers of the next turn of the event loop.
const net = require('node:net');

const order = [];
const server = net
  .createServer((socket) => socket.end('x'))
  .listen(0, '127.0.0.1', () => {
    const client = net.connect(server.address().port, '127.0.0.1').resume();
    client.on('close', () => order.push('close'));
    client.on('end', () => {
      setTimeout(() => {
        order.push('timer');
        server.close();
        console.log(JSON.stringify(order));
      }, 1);
      const dueAt = performance.now() + 2;
      while (performance.now() < dueAt);
      client.destroy();
    });
  });
