// `onread` into one buffer of the program's: a callback that goes on after an await still finds its own bytes.
const net = require('node:net');

const BLOCKS = 32;
const body = Buffer.concat(Array.from({ length: BLOCKS }, (_, i) => Buffer.alloc(1024, i)));
const server = net
  .createServer((socket) => socket.end(body))
  .listen(0, '127.0.0.1', () => {
    const seen = new Set();
    let bytes = 0;
    const onread = {
      buffer: Buffer.alloc(1024),
      async callback(count, buffer) {
        await null;
        seen.add(buffer[0]);
        bytes += count;
      },
    };
    net.connect({ port: server.address().port, host: '127.0.0.1', onread }).on('close', () => {
      server.close();
      console.log(JSON.stringify([seen.size, bytes]));
    });
  });
