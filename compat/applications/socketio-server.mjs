import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { tell } from './kit.mjs';

const http = createServer();
const io = new Server(http, { maxHttpBufferSize: 1 << 24 });
io.on('connection', (socket) => {
  socket.on('join', (room, done) => {
    void socket.join(room);
    done(io.sockets.adapter.rooms.get(room).size);
  });
  socket.on('say', (room, text) => io.to(room).emit('said', text));
  socket.on('binary', (data, done) => done(data));
});
io.of('/admin').use((socket, next) => next(socket.handshake.auth.token === 'right' ? undefined : new Error('refused')));
http.listen(0, 'localhost', () => tell({ port: http.address().port }));
