// A connection is the standard streams of a child, as with inetd. Prints what the clients got.
const { createHash } = require('node:crypto');
const { spawn } = require('node:child_process');
const net = require('node:net');

const BYTES = 3_000_000;
const digest = (bytes) => createHash('sha256').update(bytes).digest('hex').slice(0, 8);
const seen = [];

/** What a client gets that sends `sent` to a server which serves one connection by `serve`. */
function call(serve, sent) {
  return new Promise((resolve) => {
    const server = net.createServer({ pauseOnConnect: true }, serve).listen(0, '127.0.0.1', () => {
      const got = [];
      const client = net.connect(server.address().port, '127.0.0.1', () => client.end(sent));
      client
        .on('data', (bytes) => got.push(bytes))
        .on('error', (error) => got.push(Buffer.from(error.code)))
        .on('close', () => {
          server.close(() => resolve(Buffer.concat(got)));
        });
    });
  });
}

async function main() {
  const bytes = Buffer.alloc(BYTES, 'some bytes that differ ');
  const through = await call((socket) => {
    const child = spawn('cat', [], { stdio: [socket, socket, 'inherit'] });
    seen.push(child.stdin, child.stdout, child.stdio[0]);
    child.on('exit', () => socket.destroy());
  }, bytes);
  seen.push(digest(through) === digest(bytes));
  const atOnce = await call((socket) => {
    spawn('sh', ['-c', 'echo out; echo error >&2; cat'], { stdio: [socket, socket, socket] });
    socket.destroy();
  }, 'in\n');
  seen.push(String(atOnce).split('\n').sort().join());
  const unread = await call((socket) => {
    const child = spawn('sh', ['-c', 'echo enough'], { stdio: [socket, socket, 'inherit'] });
    child.on('exit', (code) => {
      seen.push(code);
      socket.resume().end('and more');
    });
  }, 'what nobody reads');
  seen.push(String(unread));
  const missing = await call((socket) => {
    spawn('no-such-program', [], { stdio: [socket, socket, 'inherit'] }).on('error', (error) => {
      socket.resume().end(error.code);
    });
  }, 'in');
  seen.push(String(missing));
  console.log(JSON.stringify(seen));
}

main();
