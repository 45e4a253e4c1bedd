import { WebSocketServer } from 'ws';
import { tell } from './kit.mjs';

const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: true, maxPayload: 1 << 24 });
server.on('connection', (socket) => {
  socket.on('message', (data, binary) => {
    if (String(data.subarray(0, 5)) === 'close') socket.close(4001, 'as you wish');
    else socket.send(data, { binary });
  });
});
server.on('listening', () => tell({ port: server.address().port }));
