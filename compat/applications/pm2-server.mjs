/** pm2 with two workers of a cluster, in this process instead of a daemon. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { tell } from './kit.mjs';

process.env.PM2_HOME = path.resolve('pm2');
const { write } = process.stdout;
process.stdout.write = () => true;

const free = createServer().listen(0, '127.0.0.1');
await once(free, 'listening');
const { port } = free.address();
free.close();
await once(free, 'close');

const { default: pm2 } = await import('pm2');
await new Promise((resolve, reject) => pm2.connect(true, (error) => (error ? reject(error) : resolve())));
const script = fileURLToPath(new URL('pm2-worker.cjs', import.meta.url));
const options = { name: 'hello', script, exec_mode: 'cluster', instances: 2, wait_ready: true, env: { PORT: port } };
await new Promise((resolve, reject) => pm2.start(options, (error) => (error ? reject(error) : resolve())));
process.stdout.write = write;
tell({ port });
process.stdout.write = () => true;
