/** A telnet server: negotiates, asks for a name and a password, then answers commands. */
import { createServer } from 'node:net';
import { bytes, tell } from './kit.mjs';

const IAC = 255;
const DO_WINDOW_SIZE = Buffer.from([IAC, 253, 31]);
const WILL_ECHO = Buffer.from([IAC, 251, 1]);
const commands = {
  echo: (rest) => rest,
  big: (rest) => bytes(Number(rest)).toString('base64'),
};

function withoutNegotiation(data) {
  const text = [];
  for (let i = 0; i < data.length; i += 1) {
    if (data[i] === IAC) i += 2;
    else text.push(data[i]);
  }
  return Buffer.from(text).toString('latin1');
}

const server = createServer((socket) => {
  const prompts = ['login: ', 'Password: ', '/ # '];
  let buffered = '';
  // The server speaks first.
  socket.write(Buffer.concat([DO_WINDOW_SIZE, WILL_ECHO, Buffer.from(prompts.shift())]));
  socket.on('error', () => {});
  socket.on('data', (data) => {
    buffered += withoutNegotiation(data);
    const lines = buffered.split(/\r?\n/u);
    buffered = lines.pop();
    for (const line of lines) answer(line);
  });
  function answer(line) {
    if (prompts.length > 1) {
      socket.write(prompts.shift());
      return;
    }
    const [command, ...rest] = line.split(' ');
    if (command === 'exit') {
      socket.end();
      return;
    }
    const text = command in commands ? `${commands[command](rest.join(' '))}\r\n` : '';
    socket.write(`${line}\r\n${text}${prompts[0]}`);
  }
});
server.listen(0, '127.0.0.1', () => tell({ port: server.address().port }));
