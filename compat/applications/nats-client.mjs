import { connect, headers, StringCodec } from 'nats';
import { bytes, checksum, must, tell, told } from './kit.mjs';

const text = StringCodec();
const open = (name) => connect({ servers: `127.0.0.1:${told().port}`, name, reconnectTimeWait: 20, timeout: 10_000 });
const [asker, worker] = await Promise.all([open('asker'), open('worker')]);

const served = [0, 0];
for (const [i] of served.entries())
  worker.subscribe('add.*', {
    queue: 'adders',
    callback: (error, message) => {
      must(error === null, error);
      served[i] += 1;
      message.respond(text.encode(String(Number(message.subject.slice(4)) + 1)));
    },
  });
await worker.flush();
const answers = await Promise.all(
  Array.from({ length: 300 }, (_, i) => asker.request(`add.${i}`, undefined, { timeout: 10_000 })),
);
must(
  answers.every(({ data }, i) => text.decode(data) === String(i + 1)),
  'answers',
);
must(served[0] + served[1] === 300 && served[0] > 0 && served[1] > 0, `requests were served ${served.join()} times`);

const big = bytes(3 << 20);
const inbox = worker.subscribe('files.>', { max: 51 });
await worker.flush();
const head = headers();
head.set('checksum', checksum(big));
for (let i = 0; i < 50; i += 1) asker.publish(`files.small.${i}`, text.encode(String(i)));
asker.publish('files.big', big, { headers: head });
const got = [];
for await (const message of inbox) got.push(message);
must(
  got.slice(0, 50).every(({ data }, i) => text.decode(data) === String(i)),
  'order',
);
const whole = checksum(Buffer.from(got[50].data));
must(whole === got[50].headers.get('checksum'), 'big message');

const nobody = await asker.request('nobody', undefined, { timeout: 10_000 }).catch(({ code }) => code);
worker.subscribe('silent', { callback: () => {} });
await worker.flush();
const silent = await asker.request('silent', undefined, { timeout: 50 }).catch(({ code }) => code);

// The server drops the connection of the worker: it comes back by itself, and its subscriptions with it.
const states = worker.status();
worker.publish('drop');
const events = [];
for await (const { type } of states) {
  events.push(type);
  if (type === 'reconnect') break;
}
await worker.flush();
const again = text.decode((await asker.request('add.41', undefined, { timeout: 10_000 })).data);
await Promise.all([asker.drain(), worker.drain()]);
tell({ answers: answers.length, big: whole, nobody, silent, events: [events[0], events.at(-1)], again });
