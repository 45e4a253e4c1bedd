/** A NATS server: the text protocol with queue groups, headers and what says that nobody answers. */
import { createServer } from 'node:net';
import { tell } from './kit.mjs';

const END = '\r\n';
const INFO = {
  server_id: 'compat',
  version: '2.10.0',
  proto: 1,
  headers: true,
  max_payload: 8 << 20,
  host: '127.0.0.1',
};
const NOBODY = `NATS/1.0 503${END}${END}`;
const subscriptions = new Set();
let turn = 0;

/** `*` stands for one part of a subject, `>` for all that follow. */
function matches(pattern, subject) {
  const parts = subject.split('.');
  const wanted = pattern.split('.');
  const rest = wanted.indexOf('>');
  if (rest < 0 ? wanted.length !== parts.length : parts.length <= rest) return false;
  return wanted.slice(0, rest < 0 ? undefined : rest).every((part, i) => part === '*' || part === parts[i]);
}

/** Everybody who asked for the subject, of each queue group one. */
function receiversOf(subject) {
  const asked = [...subscriptions].filter(({ pattern }) => matches(pattern, subject));
  const queues = new Set(asked.map(({ queue }) => queue).filter((queue) => queue !== undefined));
  turn += 1;
  const chosen = [...queues].map((name) => {
    const members = asked.filter(({ queue }) => queue === name);
    return members[turn % members.length];
  });
  return [...asked.filter(({ queue }) => queue === undefined), ...chosen];
}

function deliver(subscription, subject, reply, headerLength, payload) {
  const { socket, sid } = subscription;
  const head = [headerLength > 0 ? 'HMSG' : 'MSG', subject, sid, reply, headerLength > 0 ? headerLength : undefined];
  socket.write(`${[...head, payload.length].filter((part) => part !== undefined).join(' ')}${END}`);
  socket.write(payload);
  socket.write(END);
  subscription.left -= 1;
  if (subscription.left === 0) subscriptions.delete(subscription);
}

function publish(connection, subject, reply, headerLength, payload) {
  const receivers = receiversOf(subject);
  for (const receiver of receivers) deliver(receiver, subject, reply, headerLength, payload);
  if (receivers.length > 0 || reply === undefined || connection.options.no_responders !== true) return;
  for (const asker of receiversOf(reply)) deliver(asker, reply, undefined, NOBODY.length, Buffer.from(NOBODY));
}

const COMMANDS = {
  CONNECT: (connection, [options]) => {
    connection.options = JSON.parse(options);
  },
  PING: ({ socket }) => socket.write(`PONG${END}`),
  PONG: () => {},
  SUB: ({ socket }, parts) => {
    const [pattern, sid] = [parts[0], parts.at(-1)];
    subscriptions.add({ socket, pattern, sid, queue: parts.length > 2 ? parts[1] : undefined, left: Infinity });
  },
  UNSUB: ({ socket }, [sid, most]) => {
    for (const each of subscriptions) {
      if (each.socket !== socket || each.sid !== sid) continue;
      if (most === undefined) subscriptions.delete(each);
      else each.left = Number(most);
    }
  },
};

function line(connection, text) {
  const [verb, ...parts] = text.split(' ');
  if (verb !== 'PUB' && verb !== 'HPUB') {
    COMMANDS[verb](connection, parts);
    return;
  }
  const size = Number(parts.pop());
  const headerLength = verb === 'HPUB' ? Number(parts.pop()) : 0;
  connection.publishing = { subject: parts[0], reply: parts[1], headerLength, size };
}

const server = createServer((socket) => {
  const connection = { socket, options: {}, publishing: undefined };
  let chunks = [];
  let length = 0;
  socket.write(`INFO ${JSON.stringify(INFO)}${END}`);
  socket.on('error', () => {});
  socket.on('close', () => {
    for (const each of subscriptions) if (each.socket === socket) subscriptions.delete(each);
  });
  socket.on('data', (chunk) => {
    chunks.push(chunk);
    length += chunk.length;
    if (length < (connection.publishing?.size ?? 0) + END.length) return;
    let all = Buffer.concat(chunks, length);
    for (;;) {
      const { publishing } = connection;
      const end = publishing?.size ?? all.indexOf(END);
      if (end < 0 || all.length < end + END.length) break;
      const part = all.subarray(0, end);
      all = all.subarray(end + END.length);
      connection.publishing = undefined;
      if (publishing === undefined) line(connection, part.toString());
      else if (publishing.subject === 'drop') socket.destroy();
      else publish(connection, publishing.subject, publishing.reply, publishing.headerLength, part);
    }
    chunks = [all];
    length = all.length;
  });
});
server.listen(0, '127.0.0.1', () => tell({ port: server.address().port }));
