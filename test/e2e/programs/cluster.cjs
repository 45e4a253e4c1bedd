/** An ordinary cluster: two workers on one port, ten connections; prints how many were answered. */
'use strict';
const cluster = require('node:cluster');
const net = require('node:net');

if (cluster.isPrimary) {
  let listening = 0;
  let answered = 0;
  cluster.fork();
  cluster.fork();
  cluster.on('listening', (_worker, { port }) => {
    listening += 1;
    if (listening < 2) return;
    for (let i = 0; i < 10; i += 1) {
      const socket = net.connect(port, 'localhost');
      socket.on('data', () => (answered += 1));
      socket.on('close', () => {
        if (answered < 10) return;
        console.log(JSON.stringify({ answered }));
        process.exit();
      });
    }
  });
} else {
  net.createServer((socket) => socket.end('worker')).listen(0, 'localhost');
}
