// A server that computes for a second is connected to and written to meanwhile, and answers afterwards.
const net = require('node:net');
const { fork } = require('node:child_process');

const BUSY_MS = 1000;

if (process.argv[2] === 'server') {
  const server = net
    .createServer((socket) => socket.once('data', (chunk) => socket.end(`got ${chunk}`)))
    .listen(0, '127.0.0.1', () => process.send(server.address().port));
  process.on('message', () => {
    process.send('busy', () =>
      setImmediate(() => {
        for (const from = Date.now(); Date.now() - from < BUSY_MS;);
      }),
    );
  });
  process.on('disconnect', () => process.exit());
} else {
  const server = fork(__filename, ['server']);
  server.once('message', (port) => {
    // The first contact is made while the server has time.
    net
      .connect(port, '127.0.0.1', function () {
        this.end('x');
      })
      .resume()
      .on('close', () => {
        server.send('now');
        server.once('message', () =>
          setTimeout(() => {
            const from = Date.now();
            let early = false;
            let text = '';
            const socket = net.connect(port, '127.0.0.1', () => {
              early = Date.now() - from < BUSY_MS / 2;
              socket.write('q');
            });
            socket
              .on('data', (chunk) => {
                text += chunk;
              })
              .on('close', () => {
                console.log(JSON.stringify([early, text]));
                server.disconnect();
              });
          }, 50),
        );
      });
  });
}
