/** A preload for tests: no thread can be made here, as under the permission model. */
import worker from 'node:worker_threads';

function refused(): never {
  throw Object.assign(new Error('no threads here'), { code: 'ERR_ACCESS_DENIED' });
}
Object.assign(worker, { Worker: refused });
