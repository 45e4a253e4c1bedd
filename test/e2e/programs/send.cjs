/**
 * A server that hands its connections to children, a child that hands one back, and a server that is shared with a
 * child: all by `send(message, handle)`. Prints what each side saw as a line of JSON, the same by TCP and by STP.
 */
'use strict';
const { fork } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');

if (process.argv[2] === 'child') child();
else void parent();

function child() {
  const order = [];
  let shared;
  process.on('message', (message, handle) => {
    order.push(
      handle === undefined ? message : `${message} with ${handle instanceof net.Server ? 'server' : 'socket'}`,
    );
    if (message === 'close') shared.close();
    if (handle instanceof net.Server) {
      shared = handle;
      handle.on('connection', (socket) => socket.end(`served by the child`));
      process.send('listening');
    } else if (handle !== undefined && message === 'back') {
      process.send('returned', handle);
    } else if (handle !== undefined) {
      const { remoteFamily, localPort } = handle;
      handle.on('error', () => undefined);
      handle.on('data', (bytes) => handle.write(String(bytes).toUpperCase()));
      handle.on('end', () => process.send({ remoteFamily, localPort: typeof localPort }));
    } else if (message === 'order') {
      process.send(order);
    }
  });
}

/** What the other end sends until its end. */
async function all(socket) {
  let text = '';
  for await (const chunk of socket) text += chunk;
  return text;
}

async function parent() {
  const seen = {};
  const children = [0, 1].map(() => fork(process.argv[1], ['child']));
  const server = net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();

  // Bytes that arrived before the hand-over, the order of messages, the callback.
  for (const one of children) {
    const client = net.connect(port, '127.0.0.1');
    const [socket] = await once(server, 'connection');
    client.write('early ');
    one.send('before');
    const called = new Promise((resolve) => {
      one.send('take', socket, resolve);
    });
    one.send('after');
    seen.called = await called;
    client.end('late');
    const answer = once(one, 'message');
    seen.echoed = await all(client);
    seen.names = (await answer)[0];
    one.send('order');
    seen.order = (await once(one, 'message'))[0];
  }

  // There and back again.
  const client = net.connect(port, '127.0.0.1');
  const [socket] = await once(server, 'connection');
  children[0].send('back', socket);
  const [message, returned] = await once(children[0], 'message');
  seen.returned = [message, returned instanceof net.Socket];
  returned.end('from the parent');
  seen.last = await all(client);

  // The same server in two processes: one of them serves each connection.
  const shared = net.createServer((socket) => socket.end('served by the parent')).listen(0, '127.0.0.1');
  await once(shared, 'listening');
  const ready = once(children[1], 'message');
  children[1].send('share', shared);
  await ready;
  const first = new Set();
  for (let i = 0; i < 20; i += 1) first.add(await all(net.connect(shared.address().port, '127.0.0.1')));
  seen.somebody = [...first].every((text) => /^served by the (parent|child)$/.test(text));
  const { port: sharedPort } = shared.address();
  shared.close();
  await once(shared, 'close');
  seen.child = await all(net.connect(sharedPort, '127.0.0.1'));

  children[1].send('close');

  // What can't be sent.
  seen.error = await new Promise((resolve) => {
    try {
      children[0].send('x', {}, (error) => resolve(error?.code));
    } catch (error) {
      resolve(error.code);
    }
  });
  server.close();
  for (const one of children) one.disconnect();
  await Promise.all(
    children.map((one) => (one.exitCode === null && one.signalCode === null ? once(one, 'exit') : undefined)),
  );
  seen.exits = children.map((one) => one.signalCode ?? one.exitCode);
  console.log(JSON.stringify(seen));
}
