// Workers of a cluster listen at IPv6 alone, and at a Unix socket: who is reached by which address?
const cluster = require('node:cluster');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');

const file = path.join(os.tmpdir(), `stp-workers-${cluster.isPrimary ? process.pid : process.ppid}.sock`);

const ask = (options) =>
  new Promise((resolve) => {
    let text = '';
    net
      .connect(options)
      .on('data', (data) => (text += data))
      .on('error', ({ code }) => (text = code))
      .on('close', () => resolve(text));
  });

function work() {
  const server = () => net.createServer((socket) => socket.end('worker'));
  server().listen({ port: 0, host: '::', ipv6Only: true });
  server().listen(file);
}

function lead() {
  const worker = cluster.fork();
  const at = [];
  worker.on('listening', async (address) => {
    at.push(address);
    if (at.length < 2) return;
    const { port } = at.find(({ addressType }) => addressType === 6);
    const seen = [await ask({ port, host: '::1' }), await ask({ port, host: '127.0.0.1' }), await ask({ path: file })];
    console.log(JSON.stringify(seen));
    worker.kill();
  });
}

if (cluster.isPrimary) lead();
else work();
