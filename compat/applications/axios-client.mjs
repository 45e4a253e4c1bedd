import http from 'node:http';
import axios from 'axios';
import { bytes, checksum, must, tell, told } from './kit.mjs';

const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
const base = axios.create({
  baseURL: `http://127.0.0.1:${told().port}`,
  httpAgent: agent,
  maxBodyLength: 1 << 24,
  maxContentLength: 1 << 24,
  proxy: false,
});

const many = await Promise.all(Array.from({ length: 200 }, (_, i) => base.get(`/hello/${i}`)));
must(
  many.every(({ data }, i) => data.hello === String(i) && data.from === '127.0.0.1'),
  'answers',
);
const posted = await base.post('/json', { numbers: [1, 2, 3] });
must(posted.status === 201 && posted.data.sum === 6, 'JSON');
const sent = bytes(4 << 20, 7);
const raw = await base.post('/raw', sent, { headers: { 'content-type': 'application/octet-stream' } });
must(raw.data.length === sent.length && raw.data.checksum === checksum(sent), 'upload');
const file = await base.get('/file', { responseType: 'arraybuffer' });
must(checksum(file.data) === checksum(bytes(3 << 20)), 'download');
const moved = await base.get('/old');
must(moved.data.hello === 'moved', 'redirect');
const missing = await base.get('/missing', { validateStatus: () => true });
const broken = await base.get('/broken').catch((error) => error.code);
const slow = await base.get('/slow', { timeout: 50 }).catch((error) => error.code);
agent.destroy();
tell({
  requests: many.length,
  up: raw.data.checksum,
  down: checksum(file.data),
  missing: missing.status,
  broken,
  slow,
});
