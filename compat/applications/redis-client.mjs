import { createClient } from 'redis';
import { bytes, checksum, must, tell, told } from './kit.mjs';

const open = () =>
  createClient({ RESP: 2, socket: { host: '127.0.0.1', port: told().port } })
    .on('error', (error) => {
      throw error;
    })
    .connect();
const [redis, subscriber, blocked] = await Promise.all([open(), open(), open()]);
await redis.set('key', 'value');
must((await redis.get('key')) === 'value', 'get');
const counts = await Promise.all(Array.from({ length: 500 }, () => redis.incr('count')));
must(
  counts.every((count, i) => count === i + 1),
  'order of 500 commands',
);
const big = bytes(3 << 20).toString('base64');
await redis.set('big', big);
const back = await redis.get('big');
must(checksum(back) === checksum(big), 'big value');
const transaction = await redis.multi().set('a', '1').incr('a').get('a').exec();
let hear;
const heard = new Promise((resolve) => (hear = resolve));
await subscriber.subscribe('news', (message) => hear(message));
const reached = await redis.publish('news', 'hello');
const message = await heard;
const popped = blocked.brPop('jobs', 0);
await redis.lPush('jobs', 'job');
const job = await popped;
const unknown = await redis.sendCommand(['NOPE']).catch((error) => error.message);
await Promise.all([redis.close(), subscriber.close(), blocked.close()]);
tell({ counts: counts.length, big: checksum(back), transaction, reached, message, job: job.element, unknown });
