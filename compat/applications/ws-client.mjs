import { once } from 'node:events';
import WebSocket from 'ws';
import { bytes, checksum, must, tell, told } from './kit.mjs';

const results = [];
for (const perMessageDeflate of [true, false]) {
  const socket = new WebSocket(`ws://127.0.0.1:${told().port}`, { perMessageDeflate });
  await once(socket, 'open');
  const all = new Promise((resolve) => {
    let next = 0;
    socket.on('message', function count(data) {
      must(String(data) === `message ${next}`, 'order');
      if ((next += 1) < 500) return;
      socket.off('message', count);
      resolve(next);
    });
  });
  for (let i = 0; i < 500; i += 1) socket.send(`message ${i}`);
  const messages = await all;
  const data = bytes(3 << 20);
  socket.send(data);
  const [echo, binary] = await once(socket, 'message');
  must(binary && checksum(echo) === checksum(data), 'binary echo');
  socket.ping('are you there');
  const [pong] = await once(socket, 'pong');
  socket.send('close');
  const [code, reason] = await once(socket, 'close');
  results.push({
    extensions: socket.extensions,
    messages,
    echo: checksum(echo),
    pong: String(pong),
    code,
    reason: String(reason),
  });
}
tell({ results });
