import { once } from 'node:events';
import ssh2 from 'ssh2';
import { bytes, checksum, must, tell, told } from './kit.mjs';

const open = (password) =>
  new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    client
      .on('ready', () => resolve(client))
      .on('error', reject)
      .connect({ host: '127.0.0.1', port: told().port, username: 'user', password });
  });
const run = (client, command) =>
  new Promise((resolve, reject) => {
    client.exec(command, (error, channel) => {
      if (error) {
        reject(error);
        return;
      }
      const parts = [];
      let code;
      channel
        .on('data', (data) => parts.push(data))
        .on('exit', (status) => (code = status))
        .on('close', () => resolve({ code, output: Buffer.concat(parts) }));
    });
  });

const wrong = await open('wrong').catch((error) => error.level);
const client = await open('secret');
const said = await Promise.all(Array.from({ length: 8 }, (_, i) => run(client, `n${i}`)));
must(
  said.every(({ output }, i) => output.toString() === `you said n${i}\n`),
  'output',
);
const failed = await run(client, 'fail');
const big = await run(client, 'big');
must(checksum(big.output) === checksum(bytes(2 << 20)), '2 MiB of output');
const channel = await new Promise((resolve, reject) => {
  client.forwardOut('127.0.0.1', 1, '127.0.0.1', 2, (error, made) => (error ? reject(error) : resolve(made)));
});
const sent = bytes(1 << 20, 9);
const back = [];
let received = 0;
channel.on('data', (data) => {
  back.push(data);
  received += data.length;
  if (received === sent.length) channel.end();
});
channel.write(sent);
await once(channel, 'close');
client.end();
await once(client, 'close');
tell({ wrong, commands: said.length, code: failed.code, forwarded: checksum(Buffer.concat(back)) });
