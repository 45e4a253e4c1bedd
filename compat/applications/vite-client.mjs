/** What the browser does: the page, its modules, and the WebSocket that tells of changes. */
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import WebSocket from 'ws';
import { must, tell, told } from './kit.mjs';

const { url, root } = told();
const get = async (address) => {
  const response = await fetch(new URL(address, url));
  must(response.status === 200, `${address}: ${response.status}`);
  return response.text();
};

const page = await get('/');
must(page.includes('src="/@vite/client"') && page.includes('src="/main.ts"'), `the page: ${page}`);
const module = await get('/main.ts');
must(module.includes('from "/message.ts"') && !module.includes(': string'), `the module: ${module}`);
must((await get('/message.ts')).includes('"first"'), 'what it imports');
const client = await get('/@vite/client');

const token = /wsToken = "([^"]+)"/u.exec(client)?.[1];
const socket = new WebSocket(`${url.replace('http', 'ws')}/?token=${token}`, 'vite-hmr');
const messages = [];
let heard = () => {};
socket.on('message', (data) => {
  messages.push(JSON.parse(data));
  heard();
});
const next = async (type) => {
  for (;;) {
    const found = messages.find((message) => message.type === type);
    if (found !== undefined) return found;
    await new Promise((resolve) => (heard = resolve));
  }
};
await once(socket, 'open');
await next('connected');
fs.writeFileSync(path.join(root, 'message.ts'), `export const message: string = 'second';\n`);
const { updates } = await next('update');
const [{ path: changed, acceptedPath, timestamp }] = updates;
must((await get(`${acceptedPath}?t=${timestamp}`)).includes('"second"'), 'the changed module');
socket.close();
const [code] = await once(socket, 'close');
tell({ updates: updates.length, changed, acceptedPath, code });
process.exit(0);
