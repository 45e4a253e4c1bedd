/** `pm2 reload` under load: no request fails, and other workers answer afterwards. */
import http from 'node:http';
import path from 'node:path';
import { must, tell, told } from './kit.mjs';

process.env.PM2_HOME = path.resolve('pm2');
const { port } = told();

/**
 * Node's own cluster may hand a connection that came by TCP to a worker which has just closed its server: such a
 * request is never answered, with and without the hook. By STP each one must be.
 */
const UNANSWERED_MS = 2000;
/** @note Node 26: server.close() also ends a connection whose request has not come yet. The request is made again. */
const HANGS_UP = Number(process.versions.node.split('.')[0]) >= 26;

const get = () =>
  new Promise((resolve, reject) => {
    const request = http.get({ port, host: '127.0.0.1', agent: false }, (response) => {
      let pid = '';
      response.on('data', (part) => (pid += part)).on('end', () => resolve(pid));
    });
    request.on('error', (error) => {
      if (HANGS_UP && error.code === 'ECONNRESET') resolve(get());
      else reject(error);
    });
    request.setTimeout(UNANSWERED_MS, () => {
      if (request.socket.stp?.transport !== 'stp') resolve(get());
    });
  });

/** Requests of four at a time until `over`; the workers that answered. */
async function load(over) {
  const workers = new Set();
  let isOver = false;
  over.finally(() => (isOver = true));
  const lane = async () => {
    while (!isOver) workers.add(await get());
  };
  await Promise.all(Array.from({ length: 4 }, lane));
  return workers;
}
const soon = () => new Promise((resolve) => setTimeout(resolve, 500));

const before = await load(soon());
const { write } = process.stdout;
process.stdout.write = () => true;
const { default: pm2 } = await import('pm2');
const call = (name, ...args) =>
  new Promise((resolve, reject) => pm2[name](...args, (error) => (error ? reject(error) : resolve())));
await call('connect');
await load(call('reload', 'hello'));
pm2.disconnect();
process.stdout.write = write;
const after = await load(soon());
must(before.size === 2 && after.size === 2, `${before.size} workers before, ${after.size} after`);
must(![...after].some((pid) => before.has(pid)), 'a worker answers that was to end');
tell({ workers: after.size });
process.exit(0);
