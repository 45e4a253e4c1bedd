/** Ordinary servers of six kinds; the entry files hand in the modules in their own way of importing. */
'use strict';
const fs = require('node:fs');
const path = require('node:path');

exports.serve = async function serve({ net, http, https, http2, WebSocketServer }) {
  const pem = (name) => fs.readFileSync(path.join(module.path, name));
  const tls = { key: pem('key.pem'), cert: pem('cert.pem') };
  const answer = (request, response) => {
    let bytes = 0;
    request.on('data', (chunk) => (bytes += chunk.length));
    request.on('end', () => response.end(`${request.method} ${request.url} ${bytes}`));
  };
  const respond = (stream, headers) => {
    stream.respond({ ':status': 200 });
    stream.end(`h2 ${headers[':path']}`);
  };
  const servers = {
    echo: net.createServer((socket) => socket.pipe(socket)),
    http: http.createServer(answer),
    https: https.createServer(tls, answer),
    h2c: http2.createServer().on('stream', respond),
    h2: http2.createSecureServer(tls).on('stream', respond),
  };
  new WebSocketServer({ server: servers.http }).on('connection', (ws) => ws.on('message', (data) => ws.send(data)));
  const ports = {};
  for (const [name, server] of Object.entries(servers)) {
    await new Promise((resolve, reject) => server.once('error', reject).listen(0, 'localhost', resolve));
    ports[name] = server.address().port;
  }
  console.log(JSON.stringify(ports));
  process.stdin.resume().on('end', () => process.exit());
};
