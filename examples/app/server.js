// An ordinary web application, as anyone would write it for TCP: express, and a WebSocket on the same port.
// usage: node server.js [PORT]
'use strict';

const crypto = require('node:crypto');
const http = require('node:http');
const { pipeline, Readable } = require('node:stream');
const express = require('express');
const { WebSocketServer } = require('ws');

const port = Number(process.argv[2] ?? 3000);
const app = express();
const visits = new Map();

app.get('/hello/:name', (request, response) => {
  const { name } = request.params;
  visits.set(name, (visits.get(name) ?? 0) + 1);
  response.json({ hello: name, visit: visits.get(name) });
});

app.post('/orders', express.json(), (request, response) => {
  const total = request.body.items.reduce((sum, item) => sum + item.price * item.count, 0);
  response.status(201).json({ total });
});

// The body is never held in memory: hashed as it comes, answered when it ends.
app.put('/files/:name', (request, response, next) => {
  const hash = crypto.createHash('sha256');
  let bytes = 0;
  request.on('data', (chunk) => {
    hash.update(chunk);
    bytes += chunk.length;
  });
  request.on('end', () => response.json({ bytes, sha256: hash.digest('hex') }));
  request.on('error', next);
});

// `bytes` of a sequence that the client can make for itself.
app.get('/files/:seed', (request, response, next) => {
  const size = Number(request.query.bytes);
  response.set('content-length', String(size));
  pipeline(Readable.from(randomChunks(request.params.seed, size)), response, (error) => error && next(error));
});

app.use((error, request, response, next) => {
  if (response.headersSent) return next(error);
  return response.status(error.status ?? 500).json({ error: error.message });
});

function* randomChunks(seed, size) {
  const cipher = crypto.createCipheriv('aes-128-ctr', crypto.createHash('md5').update(seed).digest(), Buffer.alloc(16));
  const zeros = Buffer.alloc(65536);
  for (let left = size; left > 0; left -= zeros.length)
    yield cipher.update(zeros.subarray(0, Math.min(left, zeros.length)));
}

const server = http.createServer(app);
// Longer than the client pauses: a server that closes a connection as its next request comes fails that request.
server.keepAliveTimeout = 60_000;
const sockets = new WebSocketServer({ server, path: '/echo' });
sockets.on('connection', (socket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })));

server.listen(port, () => console.log(`listening on port ${server.address().port}`));

process.on('SIGTERM', () => {
  sockets.close();
  server.close(() => process.exit(0));
  server.closeAllConnections();
});
