/** Ordinary clients of six kinds; prints what each got as one line of JSON. */
'use strict';
const { once } = require('node:events');
const BODY = Buffer.alloc(300_000, 'x');

const CLIENTS = {
  async echo({ net, ports }) {
    const socket = net.connect(ports.echo, 'localhost');
    socket.end(BODY);
    let bytes = 0;
    for await (const chunk of socket) bytes += chunk.length;
    return `echo ${bytes}`;
  },
  http: ({ http, ports }) => post(http, ports.http),
  https: ({ https, ports }) => post(https, ports.https),
  async fetch({ ports }) {
    const plain = await fetch(`http://localhost:${ports.http}/f`);
    const secure = await fetch(`https://localhost:${ports.https}/f`, { method: 'POST', body: BODY });
    return `${await plain.text()} ${await secure.text()}`;
  },
  h2c: ({ http2, ports }) => stream(http2, `http://localhost:${ports.h2c}`),
  h2: ({ http2, ports }) => stream(http2, `https://localhost:${ports.h2}`),
  async ws({ WebSocket, ports }) {
    const ws = new WebSocket(`ws://localhost:${ports.http}`);
    await once(ws, 'open');
    ws.send('hello');
    const [data] = await once(ws, 'message');
    ws.close();
    await once(ws, 'close');
    return `ws ${data}`;
  },
};

async function post(module, port) {
  const request = module.request({ port, host: 'localhost', path: '/p', method: 'POST', agent: false });
  request.end(BODY);
  const [response] = await once(request, 'response');
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return text;
}

async function stream(http2, url) {
  const session = http2.connect(url);
  // What goes wrong with the session also fails its request.
  session.on('error', () => undefined);
  const request = session.request({ ':path': '/s' });
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  session.close();
  await once(session, 'close');
  return text;
}

exports.use = async function use(modules) {
  const ports = JSON.parse(process.argv[2]);
  const results = {};
  for (const [name, client] of Object.entries(CLIENTS)) {
    results[name] = await client({ ...modules, ports }).catch(
      (error) => `failed: ${error.cause?.code ?? error.code ?? error}`,
    );
  }
  console.log(JSON.stringify(results));
};
