import { once } from 'node:events';
import mqtt from 'mqtt';
import { bytes, checksum, must, tell, told } from './kit.mjs';

const url = `mqtt://localhost:${told().port}`;
const [sender, receiver] = await Promise.all([mqtt.connectAsync(url), mqtt.connectAsync(url)]);
const inbox = [];
let wanted = Infinity;
let enough = () => {};
receiver.on('message', (topic, payload, { retain }) => {
  inbox.push({ topic, payload, retain });
  if (inbox.length >= wanted) enough();
});
const received = (count) =>
  new Promise((resolve) => {
    wanted = count;
    enough = resolve;
    if (inbox.length >= count) resolve();
  });

// What has come back is kept; its acknowledgement alone does not say so.
await sender.subscribeAsync('kept/#');
const kept = once(sender, 'message');
await sender.publishAsync('kept/1', 'kept', { retain: true, qos: 1 });
await kept;
await sender.unsubscribeAsync('kept/#');
await receiver.subscribeAsync({ 'kept/#': { qos: 1 }, 'count/+': { qos: 2 }, big: { qos: 1 }, will: { qos: 1 } });
await received(1);
must(inbox[0].retain && String(inbox[0].payload) === 'kept', 'retained message');

for (let i = 0; i < 150; i += 1) void sender.publishAsync('count/a', String(i), { qos: i % 3 });
await received(151);
const counted = inbox.slice(1).map(({ payload }) => Number(payload));
must(new Set(counted).size === 150, 'each once');

const big = bytes(2 << 20);
await sender.publishAsync('big', big, { qos: 1 });
await received(152);
must(checksum(inbox[151].payload) === checksum(big), 'big message');

const mortal = await mqtt.connectAsync(url, { will: { topic: 'will', payload: Buffer.from('gone'), qos: 1 } });
mortal.stream.destroy();
await received(153);
mortal.end(true);
await Promise.all([sender.endAsync(), receiver.endAsync()]);
tell({ messages: inbox.length, big: checksum(inbox[151].payload), will: String(inbox[152].payload) });
