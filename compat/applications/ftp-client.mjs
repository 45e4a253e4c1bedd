import { PassThrough, Readable } from 'node:stream';
import { Client } from 'basic-ftp';
import { bytes, checksum, must, tell, told } from './kit.mjs';

const { port } = told();
const wrong = new Client();
const refused = await wrong
  .access({ host: '127.0.0.1', port, user: 'user', password: 'wrong' })
  .catch((error) => error.code);
wrong.close();

const client = new Client();
await client.access({ host: '127.0.0.1', port, user: 'user', password: 'secret' });
const download = async (name) => {
  const chunks = [];
  const into = new PassThrough();
  into.on('data', (chunk) => chunks.push(chunk));
  await client.downloadTo(into, name);
  return Buffer.concat(chunks);
};
await client.ensureDir('folder');
const sums = [];
for (const [name, size] of Object.entries({ empty: 0, small: 1000, large: 5 << 20 })) {
  const data = bytes(size, 3);
  await client.uploadFrom(Readable.from([data]), name);
  const back = await download(name);
  must(checksum(back) === checksum(data), `file ${name} of ${back.length}`);
  sums.push(checksum(back));
}
const sizes = (await client.list()).map(({ name, size }) => `${name} ${size}`).sort();
await client.rename('small', 'smaller');
await client.remove('empty');
const left = (await client.list()).map(({ name }) => name).sort();
const missing = await client.size('missing').catch((error) => error.code);
client.close();
tell({ refused, sums, sizes, left, missing });
