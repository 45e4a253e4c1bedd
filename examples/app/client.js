// An ordinary client of the application in server.js, as anyone would write it for TCP: fetch, http with an agent, ws.
// Every answer is checked. Prints a line for each part and, last, one line of JSON; exits with 1 when anything is
// wrong. usage: node client.js [PORT] [REQUESTS] [FILE_BYTES]
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const http = require('node:http');
const { Readable } = require('node:stream');
const { pipeline } = require('node:stream/promises');
const WebSocket = require('ws');

const port = Number(process.argv[2] ?? 3000);
const requests = Number(process.argv[3] ?? 3000);
const fileBytes = Number(process.argv[4] ?? 64 * 1024 * 1024);
const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
const report = {};

async function part(name, work) {
  const began = process.hrtime.bigint();
  const result = await work();
  const ms = Number(process.hrtime.bigint() - began) / 1e6;
  report[name] = { ...result, ms: Math.round(ms) };
  console.log(`${name}: ${result.text}, ${ms.toFixed(0)} ms`);
}

function call(method, path, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: 'localhost', port, method, path, agent, headers }, (response) =>
      resolve(response),
    );
    request.on('error', reject);
    if (body instanceof Readable) pipeline(body, request).catch(reject);
    else request.end(body);
  });
}

async function json(response) {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return JSON.parse(text);
}

async function manyRequests() {
  let next = 0;
  let done = 0;
  const worker = async (id) => {
    for (let visit = 1; next < requests; visit += 1) {
      next += 1;
      if (next % 2 === 0) {
        const items = [{ price: next, count: 2 }];
        const response = await call('POST', '/orders', JSON.stringify({ items }), {
          'content-type': 'application/json',
        });
        assert.equal(response.statusCode, 201);
        assert.deepEqual(await json(response), { total: items[0].price * 2 });
        visit -= 1;
      } else {
        assert.deepEqual(await json(await call('GET', `/hello/worker-${id}`)), { hello: `worker-${id}`, visit });
      }
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: 16 }, (_, id) => worker(id)));
  return { requests: done, text: `${done} requests over 16 keep-alive connections, each answer right` };
}

async function fetches() {
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, i) => fetch(`http://localhost:${port}/hello/fetch-${i}`)),
  );
  for (const [i, answer] of answers.entries()) assert.deepEqual(await answer.json(), { hello: `fetch-${i}`, visit: 1 });
  return { requests: answers.length, text: `${answers.length} requests by fetch` };
}

async function upload() {
  const hash = crypto.createHash('sha256');
  const source = Readable.from(
    (function* () {
      for (const chunk of randomChunks('upload', fileBytes)) {
        hash.update(chunk);
        yield chunk;
      }
    })(),
  );
  const answer = await json(await call('PUT', '/files/upload', source, { 'content-length': fileBytes }));
  assert.deepEqual(answer, { bytes: fileBytes, sha256: hash.digest('hex') });
  return {
    bytes: fileBytes,
    sha256: answer.sha256,
    text: `${fileBytes} bytes, sha256 ${answer.sha256.slice(0, 16)}... at both ends`,
  };
}

async function download() {
  const expected = crypto.createHash('sha256');
  for (const chunk of randomChunks('download', fileBytes)) expected.update(chunk);
  const actual = crypto.createHash('sha256');
  let bytes = 0;
  for await (const chunk of await call('GET', `/files/download?bytes=${fileBytes}`)) {
    actual.update(chunk);
    bytes += chunk.length;
  }
  const sha256 = actual.digest('hex');
  assert.equal(bytes, fileBytes);
  assert.equal(sha256, expected.digest('hex'));
  return { bytes, sha256, text: `${bytes} bytes, sha256 ${sha256.slice(0, 16)}... at both ends` };
}

// The same generator as the server's, so that both know what the bytes should be.
function* randomChunks(seed, size) {
  const cipher = crypto.createCipheriv('aes-128-ctr', crypto.createHash('md5').update(seed).digest(), Buffer.alloc(16));
  const zeros = Buffer.alloc(65536);
  for (let left = size; left > 0; left -= zeros.length)
    yield cipher.update(zeros.subarray(0, Math.min(left, zeros.length)));
}

async function webSocket() {
  const messages = 1000;
  const socket = new WebSocket(`ws://localhost:${port}/echo`);
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  let echoed = 0;
  await new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the WebSocket closed early')));
    socket.on('message', (data) => {
      assert.equal(data.toString(), `message ${echoed} ${'x'.repeat(echoed)}`);
      echoed += 1;
      if (echoed === messages) resolve();
    });
    for (let i = 0; i < messages; i += 1) socket.send(`message ${i} ${'x'.repeat(i)}`);
  });
  socket.close();
  return { messages: echoed, text: `${echoed} messages echoed` };
}

async function main() {
  await part('requests', manyRequests);
  await part('fetch', fetches);
  await part('upload', upload);
  await part('download', download);
  await part('websocket', webSocket);
  agent.destroy();
  console.log(JSON.stringify(report));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
