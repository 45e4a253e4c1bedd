import { Client, fetch as undiciFetch, Pool, request } from 'undici';
import { bytes, checksum, must, tell, told } from './kit.mjs';

const origin = `http://localhost:${told().port}`;
const pool = new Pool(origin, { connections: 4, pipelining: 8 });
const many = await Promise.all(
  Array.from({ length: 300 }, async (_, i) => (await pool.request({ path: `/item/${i}`, method: 'GET' })).body.json()),
);
must(
  many.every(({ id }, i) => id === i),
  'pipelined answers',
);
await pool.close();

const client = new Client(origin);
const sent = bytes(4 << 20, 9);
const { body } = await client.request({
  path: '/raw',
  method: 'POST',
  headers: { 'content-type': 'application/octet-stream' },
  body: sent,
});
const up = await body.json();
must(up.length === sent.length && up.checksum === checksum(sent), 'upload');
await client.close();

const streamed = Buffer.from(await (await undiciFetch(`${origin}/stream`)).arrayBuffer());
const right = Buffer.concat(Array.from({ length: 64 }, (_, i) => bytes(65536, i + 1)));
must(checksum(streamed) === checksum(right), 'stream');
const bad = await request(`${origin}/item/none`);
await bad.body.dump();
// The one of Node itself, too.
const builtIn = await (await fetch(`${origin}/item/5`)).json();
tell({ requests: many.length, up: up.checksum, down: checksum(streamed), bad: bad.statusCode, builtIn: builtIn.id });
process.exit();
