// The region is removed under live programs: what is connected goes on, and what is new finds its way.
'use strict';
const { fork } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');

const BYTES = 64 * 1024 * 1024;
const [, , role] = process.argv;

/** Answers each byte; tells the parent its port. */
function serve() {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => socket.on('error', () => {}).pipe(socket));
  server.listen(0, '127.0.0.1', () => process.send(server.address().port));
}

/** Opens connections as the parent says, and tells what became of them. */
function call() {
  let held;
  const orders = {
    // One that stays open.
    hold: (to, done) => {
      held = net.connect(to, '127.0.0.1').once('connect', () => done('held'));
      held.on('error', () => {});
    },
    // Many bytes over the one that stays open, and `begun` as soon as some of them came back.
    bulk: (to, done) => {
      let got = 0;
      held.on('data', (bytes) => {
        if (got === 0) process.send('begun');
        got += bytes.length;
        if (got === BYTES) done('all bytes');
      });
      for (let sent = 0; sent < BYTES; sent += 65_536) held.write(Buffer.alloc(65_536, 'x'));
    },
    once: (to, done) => {
      const socket = net.connect(to, '127.0.0.1', () => socket.end('hi'));
      socket.on('data', (bytes) => done(String(bytes))).on('error', ({ code }) => done(code));
    },
    ended: (to, done) => held.once('close', () => done('ended')),
  };
  process.on('message', ([order, to]) => orders[order](to, (result) => process.send(result)));
  process.send('ready');
}

const children = [];
const next = (child) => new Promise((resolve) => child.once('message', resolve));
const ask = (child, ...order) => {
  child.send(order);
  return next(child);
};

async function start(...args) {
  const child = fork(__filename, args);
  children.push(child);
  return [child, await next(child)];
}

async function main() {
  const [server, at] = await start('serve');
  const [client] = await start('call');
  const seen = [await ask(client, 'hold', at), await ask(client, 'bulk', at)];
  if (process.env.STP_REGION !== undefined) fs.rmSync(process.env.STP_REGION, { recursive: true });
  seen.push(await next(client));
  const [late] = await start('call');
  seen.push(await ask(late, 'once', at), await ask(client, 'once', at));
  const [, other] = await start('serve');
  seen.push(await ask(client, 'once', other), await ask(late, 'once', other));
  const ended = ask(client, 'ended');
  const exited = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGKILL');
  // The kernel closes what listens by TCP a moment after what STP is told of the end by.
  seen.push(await ended, await exited.then(() => ask(client, 'once', at)));
  for (const child of children) child.kill('SIGKILL');
  console.log(JSON.stringify(seen));
}

if (role === 'serve') serve();
else if (role === 'call') call();
else void main();
