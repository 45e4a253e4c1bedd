import { generateKeyPairSync } from 'node:crypto';
import net from 'node:net';
import ssh2 from 'ssh2';
import { bytes, tell } from './kit.mjs';

const { privateKey: key } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
});
const behind = net.createServer((socket) => socket.on('error', () => {}).pipe(socket));

function exec(channel, command) {
  if (command === 'big') channel.end(bytes(2 << 20));
  else {
    channel.write(`you said ${command}\n`);
    channel.exit(command === 'fail' ? 3 : 0);
    channel.end();
  }
}

const server = new ssh2.Server({ hostKeys: [key] }, (client) => {
  client
    .on('authentication', (context) => {
      if (context.method === 'password' && context.username === 'user' && context.password === 'secret')
        context.accept();
      else context.reject(['password']);
    })
    .on('ready', () => {
      client.on('session', (accept) => {
        accept().on('exec', (take, refuse, { command }) => exec(take(), command));
      });
      client.on('tcpip', (accept) => {
        const channel = accept();
        const onward = net.connect(behind.address().port, '127.0.0.1');
        channel.pipe(onward).pipe(channel);
      });
    })
    .on('error', () => {});
});
behind.listen(0, '127.0.0.1', () => {
  server.listen(0, '127.0.0.1', () => tell({ port: server.address().port }));
});
