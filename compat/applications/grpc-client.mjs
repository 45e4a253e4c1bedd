import grpc from '@grpc/grpc-js';
import { once } from 'node:events';
import { must, tell, told } from './kit.mjs';
import { service } from './grpc-service.mjs';

const Client = grpc.makeGenericClientConstructor(service, 'Trial');
const client = new Client(`127.0.0.1:${told().port}`, grpc.credentials.createInsecure(), {
  'grpc.max_receive_message_length': 8 << 20,
});
const metadata = new grpc.Metadata();
metadata.set('who', 'me');
const echo = (request, options = {}) =>
  new Promise((resolve, reject) => {
    client.echo(request, metadata, options, (error, answer) => (error ? reject(error) : resolve(answer)));
  });

const many = await Promise.all(Array.from({ length: 200 }, (_, i) => echo({ text: `n${i}` })));
must(
  many.every(({ text, from }, i) => text === `n${i}` && from === 'me'),
  'unary calls',
);
const long = 'y'.repeat(3 << 20);
must((await echo({ text: long })).text === long, '3 MiB');
const refused = await echo({ refuse: true }).catch((error) => `${error.code} ${error.details}`);
const late = await echo({ silent: true }, { deadline: Date.now() + 200 }).catch((error) => error.code);
let counted = 0;
for await (const { i } of client.count({ to: 3000 }, metadata)) must(i === counted++, 'order of a stream');
const sum = await new Promise((resolve, reject) => {
  const call = client.sum(metadata, (error, answer) => (error ? reject(error) : resolve(answer.sum)));
  for (let i = 1; i <= 1000; i += 1) call.write({ i });
  call.end();
});
const chat = client.chat(metadata);
let chatted = 0;
chat.on('data', ({ back }) => {
  must(back === chatted, 'answer');
  chatted += 1;
  if (chatted < 50) chat.write({ n: chatted });
  else chat.end();
});
chat.write({ n: 0 });
await once(chat, 'end');
client.close();
tell({ calls: many.length, refused, late, counted, sum, chatted });
