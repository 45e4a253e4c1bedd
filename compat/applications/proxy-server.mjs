import http from 'node:http';
import net from 'node:net';
import httpProxy from 'http-proxy';
import { bytes, checksum, tell } from './kit.mjs';

const listening = (server) =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));

const behind = http.createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  if (request.url === '/file') response.end(bytes(2 << 20));
  else response.end(JSON.stringify({ url: request.url, checksum: checksum(Buffer.concat(parts)) }));
});
behind.on('upgrade', (request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  socket.on('error', () => {}).pipe(socket);
});
const target = await listening(behind);
const proxy = httpProxy.createProxyServer({ target: `http://127.0.0.1:${target}`, ws: true });
proxy.on('error', () => {});
const reverse = http.createServer((request, response) => proxy.web(request, response));
reverse.on('upgrade', (request, socket, head) => proxy.ws(request, socket, head));
const tunnel = http.createServer((request, response) => response.writeHead(405).end());
tunnel.on('connect', (request, socket, head) => {
  const [host, port] = request.url.split(':');
  const onward = net.connect(Number(port), host, () => {
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
    onward.write(head);
    onward.pipe(socket).pipe(onward);
  });
  onward.on('error', () => socket.destroy());
  socket.on('error', () => onward.destroy());
});
tell({ target, port: await listening(reverse), tunnel: await listening(tunnel) });
