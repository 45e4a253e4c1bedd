/** Asks without a pause while the workers are reloaded: no request may fail. */
import http from 'node:http';
import { must, tell, told } from './kit.mjs';
import { pm2 } from './pm2.mjs';

const LANES = 4;
const { port, home } = told();
const ask = (path) =>
  new Promise((resolve, reject) => {
    http
      .get({ port, host: '127.0.0.1', path, agent: false }, (response) => {
        let text = '';
        response
          .setEncoding('utf8')
          .on('data', (part) => (text += part))
          .on('error', reject)
          .on('end', () => resolve(JSON.parse(text).pid));
      })
      .on('error', reject);
  });

/** The workers that answer, once there are two of them, none of `others`. */
async function workers(others = new Set()) {
  const pids = new Set();
  for (let asked = 0; pids.size < 2; asked += 1) {
    must(asked < 2000, `the workers that answer: ${[...pids].join()}`);
    const pid = await ask('/');
    if (!others.has(pid)) pids.add(pid);
  }
  return pids;
}

// pm2 is done when the workers are there, which may be before they listen.
for (let up = false; !up;) up = await ask('/').then(Number, () => 0);
const before = await workers();
let asked = 0;
let reloading = true;
const lane = async () => {
  for (; reloading; asked += 1) await ask('/');
};
const lanes = Promise.all(Array.from({ length: LANES }, lane));
const slow = Promise.all(Array.from({ length: 2 * LANES }, () => ask('/slow')));
// Not both at once: what fails first must be told.
await Promise.race([lanes, pm2(home, ['reload', 'app'])]);
reloading = false;
await lanes;
const finished = await slow;
must(
  finished.every((pid) => before.has(pid)),
  'what was asked before the reload is answered by whom it was asked',
);
must(asked > LANES, `${asked} requests were answered during the reload`);
const after = await workers(before);
must(await ask('/').then((pid) => after.has(pid)), 'the old workers are gone');
tell({ workers: before.size, reloaded: after.size, finished: finished.length });
