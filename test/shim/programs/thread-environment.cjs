// A worker thread with an environment of its own talks to a server of the main thread, and finds only its own
// variables.
const net = require('node:net');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');

if (isMainThread) {
  const server = net
    .createServer((socket) => socket.end('hi'))
    .listen(0, '127.0.0.1', () => {
      new Worker(__filename, { workerData: server.address().port, env: { ONLY: 'mine' } }).on('message', (message) => {
        server.close();
        console.log(JSON.stringify(message));
      });
    });
} else {
  let text = '';
  net
    .connect(workerData, '127.0.0.1')
    .on('data', (chunk) => {
      text += chunk;
    })
    .on('error', ({ code }) => {
      text = code;
    })
    .on('close', () => parentPort.postMessage([text, Object.keys(process.env)]));
}
