// One port of three addresses is three servers, and an address where no server listens refuses.
const net = require('node:net');
const { once } = require('node:events');

const ask = (port, host) =>
  new Promise((resolve) => {
    let text = '';
    net
      .connect(port, host)
      .on('data', (chunk) => {
        text += chunk;
      })
      .on('error', ({ code }) => {
        text = code;
      })
      .on('close', () => resolve(text));
  });

async function main() {
  const seen = [];
  const servers = [];
  let port = 0;
  for (const host of ['127.0.0.1', '127.0.0.2', '::1']) {
    const server = net.createServer((socket) => socket.end(`${host} for ${socket.localAddress}`)).listen(port, host);
    await once(server, 'listening');
    ({ port } = server.address());
    servers.push(server);
  }
  for (const host of ['127.0.0.1', '127.0.0.2', '::1', '127.0.0.3']) seen.push(await ask(port, host));
  for (const server of servers) server.close();
  return seen;
}

main().then((seen) => console.log(JSON.stringify(seen)));
