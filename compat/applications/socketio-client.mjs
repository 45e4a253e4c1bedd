import { once } from 'node:events';
import { io } from 'socket.io-client';
import { bytes, checksum, must, tell, told } from './kit.mjs';

const url = `http://localhost:${told().port}`;
const open = async (path, options) => {
  const socket = io(url + path, { forceNew: true, ...options });
  await once(socket, 'connect');
  return socket;
};
const sockets = await Promise.all([
  open('/'),
  open('/', { transports: ['websocket'] }),
  open('/', { transports: ['polling'] }),
]);
const [first] = sockets;
if (first.io.engine.transport.name !== 'websocket') await once(first.io.engine, 'upgrade');
const sizes = [];
for (const socket of sockets) sizes.push(await socket.emitWithAck('join', 'room'));
const heard = Promise.all(
  sockets.map(async (socket) => {
    let count = 0;
    await new Promise((resolve) => socket.on('said', () => (count += 1) === 100 && resolve()));
    return count;
  }),
);
for (let i = 0; i < 100; i += 1) first.emit('say', 'room', `text ${i}`);
const counts = await heard;
const data = bytes(2 << 20);
for (const socket of sockets) must(checksum(await socket.emitWithAck('binary', data)) === checksum(data), 'binary');
const refused = await once(io(`${url}/admin`, { auth: { token: 'wrong' }, reconnection: false }), 'connect_error').then(
  ([error]) => error.message,
);
const admin = await open('/admin', { auth: { token: 'right' } });
const transports = sockets.map((socket) => socket.io.engine.transport.name);
for (const socket of [...sockets, admin]) socket.disconnect();
tell({ transports, sizes, counts, refused });
process.exit();
