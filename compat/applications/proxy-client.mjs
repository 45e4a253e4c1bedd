import http from 'node:http';
import got from 'got';
import { fetch, ProxyAgent } from 'undici';
import { bytes, checksum, must, tell, told } from './kit.mjs';

const { target, port, tunnel } = told();
const prefixUrl = `http://127.0.0.1:${port}`;
const many = await Promise.all(Array.from({ length: 100 }, (_, i) => got(`item/${i}`, { prefixUrl }).json()));
must(
  many.every(({ url }, i) => url === `/item/${i}`),
  'answers through the reverse proxy',
);
const sent = bytes(2 << 20, 5);
const up = await got.post('up', { prefixUrl, body: sent }).json();
must(up.checksum === checksum(sent), 'upload');
const down = await got('file', { prefixUrl }).buffer();

const dispatcher = new ProxyAgent(`http://127.0.0.1:${tunnel}`);
const tunnelled = [];
for (let i = 0; i < 20; i += 1) {
  const response = await fetch(`http://127.0.0.1:${target}/t${i}`, { dispatcher });
  tunnelled.push((await response.json()).url);
}
await dispatcher.close();

const upgraded = await new Promise((resolve, reject) => {
  http
    .request({ port, host: '127.0.0.1', headers: { connection: 'Upgrade', upgrade: 'websocket' } })
    .on('error', reject)
    .on('upgrade', (response, socket) => {
      socket.write('through the proxy');
      socket.once('data', (data) => {
        socket.destroy();
        resolve(String(data));
      });
    })
    .end();
});
tell({ requests: many.length, down: checksum(down), tunnelled: tunnelled.length, upgraded });
