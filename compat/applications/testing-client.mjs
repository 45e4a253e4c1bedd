/** What test suites do beside a real server: fake timers, intercepted requests, supertest at an address. */
import http from 'node:http';
import FakeTimers from '@sinonjs/fake-timers';
import request from 'supertest';
import { bytes, checksum, FAKED, must, tell, told } from './kit.mjs';

// nock 15 asks for it, and Node 20 has it not.
Promise.withResolvers ??= function withResolvers() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};
const { default: nock } = await import('nock');

const base = `http://127.0.0.1:${told().port}`;
const get = (path) =>
  new Promise((resolve, reject) => {
    http
      .get(`${base}${path}`, (response) => {
        let text = '';
        response
          .setEncoding('utf8')
          .on('data', (part) => (text += part))
          .on('end', () => resolve(text));
      })
      .on('error', reject);
  });

nock.disableNetConnect();
nock.enableNetConnect('127.0.0.1');
nock('http://elsewhere.test').persist().get('/').reply(200, { made: 'up' });
const made = await (await fetch('http://elsewhere.test/')).json();
const refused = await fetch('http://other.test/').catch((error) => error.cause?.code ?? error.code);
const beside = await Promise.all(Array.from({ length: 20 }, (_, i) => get(`/hello/${i}`)));
must(
  beside.every((text, i) => JSON.parse(text).hello === String(i)),
  'answers beside nock',
);
nock.cleanAll();
nock.restore();

const clock = FakeTimers.install({
  now: 0,
  toFake: FAKED,
});
const faked = JSON.parse(await get('/hello/frozen')).hello;
const fetched = await (await fetch(`${base}/hello/fetched`)).json();
const time = Date.now();
clock.uninstall();

const tested = await request(base)
  .post('/raw')
  .set('content-type', 'application/octet-stream')
  .send(bytes(100_000))
  .expect(200);
must(tested.body.checksum === checksum(bytes(100_000)), 'supertest');
tell({ made, refused, faked, fetched: fetched.hello, time, beside: beside.length });
process.exit(0);
