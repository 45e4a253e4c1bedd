/** `pm2 start` in cluster mode; `pm2 kill` at the end. */
import { createServer } from 'node:net';
import path from 'node:path';
import { tell } from './kit.mjs';
import { pm2 } from './pm2.mjs';

/** One that was free a moment ago: pm2 wants it named. */
const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

const home = path.resolve('pm2');
const end = async () => {
  await pm2(home, ['kill']);
  process.exit();
};
process.on('SIGTERM', () => void end());
const port = await freePort();
const app = path.join(import.meta.dirname, 'pm2-app.cjs');
try {
  await pm2(home, ['start', app, '--name', 'app', '-i', '2'], { PORT: String(port) });
} catch (error) {
  process.exitCode = 1;
  console.error(error);
  await end();
}
tell({ port, home });
setInterval(() => {}, 1 << 30);
