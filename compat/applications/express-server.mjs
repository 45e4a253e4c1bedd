import express from 'express';
import { bytes, checksum, tell } from './kit.mjs';

const app = express();
app.get('/hello/:name', (request, response) => {
  response.json({ hello: request.params.name, from: request.ip });
});
app.post('/json', express.json(), (request, response) => {
  response.status(201).json({ sum: request.body.numbers.reduce((sum, each) => sum + each, 0) });
});
app.post('/raw', express.raw({ type: '*/*', limit: '8mb' }), (request, response) => {
  response.json({ length: request.body.length, checksum: checksum(request.body) });
});
app.get('/file', (request, response) => {
  response.type('bin').send(bytes(3 << 20));
});
app.get('/old', (request, response) => {
  response.redirect('/hello/moved');
});
app.get('/broken', (request, response) => {
  response.write('half');
  setTimeout(() => response.destroy(), 5);
});
app.get('/slow', () => {});
const server = app.listen(0, '127.0.0.1', () => tell({ port: server.address().port }));
