import { once } from 'node:events';
import { Redis } from 'ioredis';
import { bytes, checksum, must, tell, told } from './kit.mjs';

const open = () => new Redis({ host: '127.0.0.1', port: told().port, protocol: 2 });
const [redis, subscriber, blocked] = [open(), open(), open()];
await redis.set('key', 'value');
must((await redis.get('key')) === 'value', 'get');
const counts = await Promise.all(Array.from({ length: 500 }, () => redis.incr('count')));
must(
  counts.every((count, i) => count === i + 1),
  'order of 500 commands',
);
const big = bytes(3 << 20);
await redis.set('big', big);
const back = await redis.getBuffer('big');
must(checksum(back) === checksum(big), 'big value');
const transaction = await redis.multi().set('a', '1').incr('a').get('a').exec();
const pipeline = await redis.pipeline(Array.from({ length: 200 }, (_, i) => ['set', `k${i}`, String(i)])).exec();
await subscriber.subscribe('news');
const heard = once(subscriber, 'message');
const reached = await redis.publish('news', 'hello');
const [, message] = await heard;
const popped = blocked.brpop('jobs', 0);
await redis.lpush('jobs', 'job');
const unknown = await redis.call('NOPE').catch((error) => error.message);
const job = await popped;
await Promise.all([redis.quit(), subscriber.quit(), blocked.quit()]);
tell({
  counts: counts.length,
  big: checksum(back),
  transaction,
  pipeline: pipeline.length,
  reached,
  message,
  job,
  unknown,
});
