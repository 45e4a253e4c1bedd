// What a server sees of a client that is killed: the end where the client had read all, a reset where bytes lay unread.
const net = require('node:net');
const { fork } = require('node:child_process');

if (process.argv[2] !== undefined) {
  const socket = net.connect(Number(process.argv[2]), '127.0.0.1', () => socket.write('hello'));
  if (process.argv[3] === 'unread') {
    socket.pause();
    setInterval(() => undefined, 1000);
  } else socket.resume();
} else {
  const play = (how, signal) =>
    new Promise((resolve) => {
      const seen = [];
      let child;
      const server = net
        .createServer((socket) => {
          socket.once('data', () => {
            socket.write('answer');
            setTimeout(() => child.kill(signal), 200);
          });
          socket
            .on('end', () => seen.push('end'))
            .on('error', ({ code }) => seen.push(code))
            .on('close', () => {
              server.close();
              resolve(seen.join());
            });
        })
        .listen(0, '127.0.0.1', () => {
          child = fork(__filename, [String(server.address().port), how]);
        });
    });
  (async () => {
    const seen = [];
    for (const how of ['read', 'unread'])
      for (const signal of ['SIGINT', 'SIGKILL']) seen.push(await play(how, signal));
    console.log(JSON.stringify(seen));
  })();
}
