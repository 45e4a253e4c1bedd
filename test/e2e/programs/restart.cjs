/**
 * A cluster of two workers that is restarted one worker after the other while clients come and go, as a deployment does
 * it; then other ways to listen in a worker. Prints what came of it as a line of JSON. `none` as argument: the kernel
 * shares the connections out (SCHED_NONE).
 */
'use strict';
const cluster = require('node:cluster');
const net = require('node:net');

const WORKERS = 2;
const CLIENTS = 4;

if (process.argv[2] === 'none') cluster.schedulingPolicy = cluster.SCHED_NONE;
if (cluster.isPrimary) void primary();
else worker();

function worker() {
  net
    .createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined);
      socket.write(`${cluster.worker.id}\n`);
      socket.pipe(socket);
    })
    .listen(0);
  process.on('message', (options) => {
    const server = net.createServer().on('error', ({ code }) => {
      process.send({ code });
    });
    // One that is exclusive is none of the cluster's, which does not close it.
    process.once('disconnect', () => {
      server.close();
    });
    server.listen(options, () => {
      process.send({ port: server.address().port });
    });
  });
}

function once(emitter, event) {
  return new Promise((resolve) => {
    emitter.once(event, (...args) => {
      resolve(args);
    });
  });
}

/** A connection, when it was greeted or has failed. */
class Client {
  constructor(port) {
    this.text = '';
    this.error = '';
    this.changed = () => undefined;
    this.socket = net.connect(port, 'localhost');
    this.socket.setEncoding('latin1');
    this.socket.on('data', (text) => {
      this.text += text;
      this.changed();
    });
    this.socket.on('error', ({ code }) => {
      this.error = code;
    });
    this.socket.on('close', () => {
      this.closed = true;
      this.changed();
    });
  }

  get worker() {
    return Number(this.text.split('\n')[0]);
  }

  async until(text) {
    while (!this.closed && !this.text.includes(text))
      await new Promise((resolve) => {
        this.changed = resolve;
      });
    return this;
  }

  async echo(text) {
    this.socket.write(text);
    return (await this.until(text)).text.includes(text);
  }

  async end() {
    this.socket.end();
    while (!this.closed)
      await new Promise((resolve) => {
        this.changed = resolve;
      });
  }
}

async function start(count) {
  const workers = Array.from({ length: count }, () => cluster.fork());
  const addresses = await Promise.all(workers.map((one) => once(one, 'listening')));
  return { workers, port: addresses[0][0].port };
}

async function primary() {
  const { workers: old, port } = await start(WORKERS);
  const kept = [];
  while (!old.every(({ id }) => kept.some((one) => one.worker === id))) kept.push(await new Client(port).until('\n'));
  const { wrong, serving } = await restarted(old, port, kept);
  const late = await new Client(port).until('\n');
  const served = !old.some(({ id }) => id === late.worker) && late.worker > 0;
  await late.end();
  const ways = await otherWays(serving);
  await new Promise((resolve) => {
    cluster.disconnect(resolve);
  });
  const nobody = await new Client(port).until('\n');
  console.log(JSON.stringify({ wrong, servedByNewOnes: served, ways, atTheEnd: nobody.error }));
}

/** Takes the place of each worker, while clients come and go. */
async function restarted(old, port, kept) {
  const wrong = [];
  let over = false;
  const visit = async () => {
    while (!over) {
      const client = await new Client(port).until('\n');
      if (client.error !== '' || !(await client.echo('visit'))) wrong.push(`a visitor: ${client.error}`);
      await client.end();
    }
  };
  const visits = Promise.all(Array.from({ length: CLIENTS }, visit));
  const serving = [];
  for (const one of old) {
    serving.push(...(await start(1)).workers);
    const exit = once(one, 'exit');
    one.disconnect();
    // Who was connected before still is: the worker lives for as long as it has connections.
    for (const client of kept.filter(({ worker: id }) => id === one.id)) {
      if (!(await client.echo('still here'))) wrong.push(`a connection of worker ${one.id}: ${client.error}`);
      await client.end();
    }
    const [code, signal] = await exit;
    if (code !== 0) wrong.push(`worker ${one.id} ended with ${signal ?? code}`);
    if (!one.exitedAfterDisconnect) wrong.push(`worker ${one.id} does not say that it was told to go`);
  }
  over = true;
  await visits;
  return { wrong, serving };
}

async function freePort() {
  const server = net.createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/** What a port is that two workers want, shared or not. */
async function otherWays([one, other]) {
  const ask = async (who, options) => {
    const answer = once(who, 'message');
    who.send(options);
    return (await answer)[0];
  };
  const alone = await ask(one, { port: 0, exclusive: true });
  const taken = await ask(other, { port: alone.port, exclusive: true });
  const free = await freePort();
  const shared = await ask(one, { port: free, host: '127.0.0.1' });
  const sharedToo = await ask(other, { port: free, host: '127.0.0.1' });
  const mixed = await ask(other, { port: alone.port });
  const chosen = await ask(one, { port: 0 });
  const named = await ask(other, { port: chosen.port });
  return {
    chosenThenNamed: named.code ?? 'both',
    aloneTwice: taken.code ?? 'both',
    shared: shared.port === free && sharedToo.port === free,
    sharedOverAlone: mixed.code ?? 'both',
  };
}
