// A server that computes for a second is connected to and written to meanwhile, and answers afterwards: by a client
// that has never met it, and by one that has.
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
  const told = () => new Promise((resolve) => server.once('message', resolve));
  const ask = async (port, question) => {
    server.send('now');
    await told();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const from = Date.now();
    let early = false;
    let text = '';
    const socket = net.connect(port, '127.0.0.1', () => {
      early = Date.now() - from < BUSY_MS / 2;
      socket.write(question);
    });
    socket.on('data', (chunk) => {
      text += chunk;
    });
    await new Promise((resolve) => socket.once('close', resolve));
    const byStp = socket.stp?.transport === 'stp';
    return [early, text, byStp === (process.env.STP_NET !== undefined)];
  };
  void told().then(async (port) => {
    console.log(JSON.stringify([await ask(port, 'first'), await ask(port, 'second')]));
    server.disconnect();
  });
}
