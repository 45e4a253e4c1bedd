import { once } from 'node:events';
import telnet from 'telnet-client';
import { bytes, checksum, must, tell, told } from './kit.mjs';

const connection = new telnet.Telnet();
await connection.connect({
  host: '127.0.0.1',
  port: told().port,
  username: 'user',
  password: 'secret',
  shellPrompt: '/ # ',
  timeout: 10_000,
  maxBufferLength: 1 << 23,
});
let echoed = 0;
for (let i = 0; i < 50; i += 1) {
  const answer = await connection.exec(`echo line ${i}`);
  must(answer.trim() === `line ${i}`, `echo: ${JSON.stringify(answer)}`);
  echoed += 1;
}
const big = (await connection.exec(`big ${1 << 20}`)).trim();
must(big === bytes(1 << 20).toString('base64'), 'big answer');
const closed = once(connection, 'close');
await connection.send('exit', { waitFor: false, timeout: 1 }).catch(() => {});
await closed;
tell({ echoed, big: checksum(big) });
