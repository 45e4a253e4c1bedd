/**
 * A cluster of four workers, one of which is held up by its own program until the others have served 400 connections,
 * but for two seconds at most (BUSY_FOR_EVER: no such limit). Prints what came of them as a line of JSON. `none` as
 * argument: the kernel shares the connections out (SCHED_NONE).
 */
'use strict';
const cluster = require('node:cluster');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');

const WORKERS = 4;
const TOTAL = 400;
const AT_ONCE = 40;
const HELD_UP_MS = 2000;
const SOON_MS = 200;

if (process.argv[2] === 'none') cluster.schedulingPolicy = cluster.SCHED_NONE;
if (cluster.isPrimary) void primary();
else worker();

function worker() {
  let early = 0;
  const server = net.createServer((socket) => {
    let ended = false;
    socket.on('error', () => undefined);
    socket.on('end', () => {
      ended = true;
    });
    // Whoever is accepted and asks for nothing has gone elsewhere.
    socket.on('close', () => {
      if (!ended) early += 1;
    });
    socket.end(`${cluster.worker.id}\n`);
  });
  server.listen(0);
  process.on('message', (message) => {
    if (message.ask) process.send({ early });
    else holdUp(message.until);
  });
}

/** Nothing runs in this process until there is such a file. */
function holdUp(until) {
  process.send('held up', () => {
    const word = new Int32Array(new SharedArrayBuffer(4));
    while (!fs.existsSync(until)) Atomics.wait(word, 0, 0, 10);
  });
}

function answer(one) {
  return new Promise((resolve) => {
    one.once('message', resolve);
  });
}

/** Resolves with who greeted and how long that took. */
function greeted(port) {
  const began = performance.now();
  return new Promise((resolve) => {
    let greeting = '';
    const socket = net.connect(port, 'localhost');
    socket.setEncoding('latin1');
    socket.on('data', (text) => {
      greeting += text;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      resolve({ worker: Number(greeting), ms: performance.now() - began });
    });
  });
}

async function primary() {
  const until = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'stp-busy-')), 'go-on');
  const workers = Array.from({ length: WORKERS }, () => cluster.fork());
  let port = 0;
  await Promise.all(
    workers.map(
      (one) =>
        new Promise((resolve) => {
          one.once('listening', (address) => {
            port = address.port;
            resolve();
          });
        }),
    ),
  );
  const [busy] = workers;
  const waits = answer(busy);
  busy.send({ until });
  await waits;
  const goOn = () => {
    fs.writeFileSync(until, '');
  };
  const limit = process.env.BUSY_FOR_EVER ? undefined : setTimeout(goOn, HELD_UP_MS);
  const all = [];
  let begun = 0;
  const connectSome = async () => {
    while (begun < TOTAL) {
      begun += 1;
      all.push(await greeted(port));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, connectSome));
  clearTimeout(limit);
  const inTime = !fs.existsSync(until);
  goOn();
  while ((await greeted(port)).worker !== busy.id);
  const counted = answer(busy);
  busy.send({ ask: true });
  const { early } = await counted;
  fs.rmSync(path.dirname(until), { recursive: true });
  const times = all.map(({ ms }) => ms).sort((a, b) => a - b);
  const result = {
    served: all.filter((one) => one.worker > 0).length,
    byTheBusyOne: all.filter((one) => one.worker === busy.id).length,
    inTime,
    acceptedForNothing: early,
    soon: times.filter((ms) => ms < SOON_MS).length,
    medianMs: Math.round(times[TOTAL / 2] * 10) / 10,
    longestMs: Math.round(times[TOTAL - 1]),
  };
  await new Promise((resolve) => {
    cluster.disconnect(resolve);
  });
  console.log(JSON.stringify(result));
}
