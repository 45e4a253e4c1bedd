// A client connects again and again while its server ends and comes back: what are its connects refused with?
const net = require('node:net');
const { fork } = require('node:child_process');
const { once } = require('node:events');

const ROUNDS = 5;

function serve(port) {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined).on('data', () => process.exit(0));
  });
  server.listen(port, '127.0.0.1', () => process.send(server.address().port));
  process.on('disconnect', () => process.exit(0));
}

/** One connect; resolves with the code that it failed with, '' where it did not. */
function attempt(port, say) {
  return new Promise((resolve) => {
    let code = '';
    let connected = false;
    const socket = net.connect(port, '127.0.0.1', () => {
      connected = true;
      if (say) socket.write('leave');
    });
    socket.resume().on('error', (error) => {
      if (!connected) code = error.code;
    });
    socket.on('close', () => resolve(code));
  });
}

async function main() {
  const codes = new Set();
  let port = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const server = fork(__filename, [String(port)]);
    [port] = await once(server, 'message');
    let gone = false;
    server.on('exit', () => (gone = true));
    await attempt(port, true);
    while (!gone) codes.add(await attempt(port, false));
    codes.add(await attempt(port, false));
  }
  codes.delete('');
  console.log(JSON.stringify([...codes].sort()));
}

if (process.argv[2] === undefined) void main();
else serve(Number(process.argv[2]));
