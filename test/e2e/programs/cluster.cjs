/**
 * An ordinary cluster: four workers on one port, a thousand connections to it that stay open. One worker is killed when
 * half of them stand, another takes its place. Prints what came of them as a line of JSON. `none` as argument: the
 * kernel shares the connections out (SCHED_NONE).
 */
'use strict';
const cluster = require('node:cluster');
const net = require('node:net');

const WORKERS = 4;
const TOTAL = 1000;
const AT_ONCE = 40;

if (process.argv[2] === 'none') cluster.schedulingPolicy = cluster.SCHED_NONE;
if (cluster.isPrimary) void primary();
else worker();

function worker() {
  net
    .createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write(`${cluster.worker.id}\n`);
      socket.pipe(socket);
    })
    .listen(0);
}

/** Resolves with what became of one connection: its socket and the id of the worker that greeted. */
function open(port) {
  return new Promise((resolve) => {
    const one = { socket: net.connect(port, 'localhost'), connected: false, worker: 0, error: '', echoed: '' };
    one.socket.setEncoding('latin1');
    one.socket.on('connect', () => {
      one.connected = true;
    });
    one.socket.on('data', (text) => {
      if (one.worker === 0) one.worker = Number(text);
      else one.echoed += text;
      resolve(one);
      one.onData?.();
    });
    one.socket.on('error', (error) => {
      one.error = error.code;
    });
    one.socket.on('close', () => {
      one.closed = true;
      resolve(one);
      one.onData?.();
    });
  });
}

function echo(one) {
  return new Promise((resolve) => {
    one.onData = () => {
      if (one.closed || one.echoed === 'ping') resolve();
    };
    one.onData();
    one.socket.write('ping');
  });
}

/** Resolves when so many more workers listen. */
function listening(count) {
  const ports = [];
  return new Promise((resolve) => {
    cluster.on('listening', function on(_worker, { port }) {
      ports.push(port);
      if (ports.length < count) return;
      cluster.off('listening', on);
      resolve(ports);
    });
  });
}

async function primary() {
  const exits = [];
  cluster.on('exit', (_worker, code, signal) => exits.push(signal ?? code));
  for (let i = 0; i < WORKERS; i += 1) cluster.fork();
  const ports = await listening(WORKERS);
  const [port] = ports;
  const all = [];
  let begun = 0;
  const killed = 2;
  const connectSome = async () => {
    while (begun < TOTAL) {
      begun += 1;
      if (begun === TOTAL / 2) cluster.workers[killed].process.kill('SIGKILL');
      all.push(await open(port));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, connectSome));
  const spread = {};
  for (const { worker: id } of all) spread[id] = (spread[id] ?? 0) + 1;
  // Who was greeted by no one was with the one that died, or never got anywhere.
  const others = all.filter((one) => one.worker !== 0 && one.worker !== killed);
  await Promise.all(others.map(echo));
  const next = listening(1);
  cluster.fork();
  const [again] = await next;
  const late = [];
  for (let i = 0; i < WORKERS * 4; i += 1) late.push(await open(port));
  const result = {
    samePort: new Set([...ports, again]).size === 1,
    spread,
    refused: all.filter((one) => !one.connected).length,
    othersLost: others.filter((one) => one.closed || one.echoed !== 'ping').length,
    replaced:
      late.some((one) => one.worker === WORKERS + 1) && late.every((one) => one.worker !== killed && one.worker !== 0),
    transports: [...new Set(all.map(({ socket }) => socket.stp?.transport ?? 'tcp'))],
  };
  for (const { socket } of [...all, ...late]) socket.destroy();
  await new Promise((resolve) => {
    cluster.disconnect(resolve);
  });
  while (exits.length < WORKERS + 1)
    await new Promise((resolve) => {
      cluster.once('exit', resolve);
    });
  console.log(JSON.stringify({ ...result, exits: exits.sort() }));
}
