/** As much of a Redis server as the clients ask for, on redis-parser: strings, lists, transactions, publishing. */
import { createServer } from 'node:net';
import Parser from 'redis-parser';
import { tell } from './kit.mjs';

const values = new Map();
const lists = new Map();
const waiting = [];
const subscribers = new Map();

class Failure extends Error {}
const OK = Buffer.from('+OK\r\n');
const status = (text) => Buffer.from(`+${text}\r\n`);

function encode(value) {
  if (value === undefined || value === null) return Buffer.from('$-1\r\n');
  if (typeof value === 'number') return Buffer.from(`:${value}\r\n`);
  if (value instanceof Failure) return Buffer.from(`-ERR ${value.message}\r\n`);
  if (Array.isArray(value))
    return Buffer.concat([
      Buffer.from(`*${value.length}\r\n`),
      ...value.map((each) => (Buffer.isBuffer(each) && each.raw ? each : encode(each))),
    ]);
  const data = Buffer.isBuffer(value) ? value : Buffer.from(value);
  return Buffer.concat([Buffer.from(`$${data.length}\r\n`), data, Buffer.from('\r\n')]);
}

function serve() {
  for (const wish of [...waiting]) {
    const list = lists.get(wish.key);
    if (list === undefined || list.length === 0) continue;
    waiting.splice(waiting.indexOf(wish), 1);
    wish.socket.write(encode([wish.key, list.pop()]));
  }
}

const commands = {
  ping: () => status('PONG'),
  client: () => OK,
  select: () => OK,
  info: () => encode('# Server\r\nredis_version:7.0.0\r\nloading:0\r\n'),
  set: (socket, [key, value]) => (values.set(String(key), value), OK),
  get: (socket, [key]) => encode(values.get(String(key))),
  incr: (socket, [key]) => {
    const next = Number(values.get(String(key)) ?? 0) + 1;
    values.set(String(key), Buffer.from(String(next)));
    return encode(Number.isNaN(next) ? new Failure('value is not an integer or out of range') : next);
  },
  mget: (socket, keys) => encode(keys.map((key) => values.get(String(key)))),
  lpush: (socket, [key, ...items]) => {
    const list = lists.get(String(key)) ?? [];
    lists.set(String(key), list);
    list.unshift(...items);
    const { length } = list;
    serve();
    return encode(length);
  },
  brpop: (socket, [key]) => {
    waiting.push({ socket, key: String(key) });
    serve();
    return undefined;
  },
  publish: (socket, [channel, message]) => {
    const all = subscribers.get(String(channel)) ?? new Set();
    for (const each of all) each.write(encode(['message', channel, message]));
    return encode(all.size);
  },
  subscribe: (socket, channels) =>
    Buffer.concat(
      channels.map((channel, i) => {
        const all = subscribers.get(String(channel)) ?? new Set();
        subscribers.set(String(channel), all.add(socket));
        return encode(['subscribe', channel, i + 1]);
      }),
    ),
  unsubscribe: (socket, channels) =>
    Buffer.concat(
      channels.map((channel) => {
        subscribers.get(String(channel))?.delete(socket);
        return encode(['unsubscribe', channel, 0]);
      }),
    ),
  quit: (socket) => {
    socket.end(OK);
    return undefined;
  },
};

function execute(socket, [name, ...args]) {
  const command = commands[String(name).toLowerCase()];
  return command === undefined ? encode(new Failure(`unknown command '${name}'`)) : command(socket, args);
}

const server = createServer((socket) => {
  let queued;
  const answer = (request) => {
    const name = String(request[0]).toLowerCase();
    if (name === 'multi') {
      queued = [];
      return OK;
    }
    if (name === 'exec') {
      const replies = queued.map((each) => execute(socket, each));
      queued = undefined;
      return Buffer.concat([Buffer.from(`*${replies.length}\r\n`), ...replies]);
    }
    if (queued === undefined) return execute(socket, request);
    queued.push(request);
    return status('QUEUED');
  };
  const parser = new Parser({
    returnBuffers: true,
    returnReply: (request) => {
      const reply = answer(request);
      if (reply !== undefined) socket.write(reply);
    },
    returnError: (error) => socket.destroy(error),
  });
  socket.on('data', (data) => parser.execute(data));
  socket.on('error', () => {});
  socket.on('close', () => {
    for (const all of subscribers.values()) all.delete(socket);
  });
});
server.listen(0, '127.0.0.1', () => tell({ port: server.address().port }));
