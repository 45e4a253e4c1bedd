/** SOCKS and HTTP into a region: names that only the region knows, the right answers, and clients that mean no good. */
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import type net from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { freshRegion } from '../calls/actor';
import { BridgeProcess, callTcp, connectTcp, drained, HOST, serveTcp, take } from './kit';

const run = promisify(execFile);

const SERVER_PORT = 80;
const WITH_CURL = { skip: spawnSync('curl', ['--version']).status === 0 ? false : 'curl is not installed' };

/** A region with the system `db`, whose port 80 answers http, and a bridge with both kinds of proxy. */
async function withProxies(
  test: Test,
  args: readonly string[] = [],
): Promise<{ socks: number; web: number; bridge: BridgeProcess }> {
  const region = freshRegion(test);
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      response.end(`${method} ${url} ${headers.host ?? ''} ${Buffer.concat(chunks).toString()}`);
    });
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  test.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as net.AddressInfo;
  const far = new BridgeProcess(test, region, ['-R', `${SERVER_PORT}:${HOST}:${port}`], { STP_SYSTEM: 'db' });
  await far.ports(1);
  const bridge = new BridgeProcess(test, region, ['-D', '0', '-H', '0', ...args], { STP_SYSTEM: 'near' });
  const [socks = 0, web = 0] = await bridge.ports(2);
  return { socks, web, bridge };
}

/** A SOCKS5 request for a name, after the greeting. */
function request5(name: string, port: number): Buffer {
  return Buffer.concat([
    Buffer.from([5, 1, 0, 3, name.length]),
    Buffer.from(name),
    Buffer.from([port >> 8, port & 0xff]),
  ]);
}

/** The reply that a SOCKS5 client gets. */
async function ask5(test: Test, proxy: number, name: string, port: number): Promise<number> {
  const socket = await connectTcp(test, proxy);
  socket.write(Buffer.concat([Buffer.from([5, 1, 0]), request5(name, port)]));
  t.same(await take(socket, 2), Buffer.from([5, 0]));
  const reply = await take(socket, 10);
  socket.destroy();
  return reply[1] ?? -1;
}

void t.test(
  'curl reaches a system of the region by SOCKS and by HTTP, under names that DNS does not know',
  async (t) => {
    const { socks, web } = await withProxies(t);
    const curl = async (...args: string[]): Promise<string> =>
      (await run('curl', ['-sS', '--max-time', '20', '--noproxy', '', ...args])).stdout;
    t.equal(await curl('--proxy', `socks5h://${HOST}:${socks}`, 'http://db/a'), 'GET /a db ');
    t.equal(await curl('--proxy', `socks4a://${HOST}:${socks}`, 'http://db/b'), 'GET /b db ');
    t.equal(await curl('--proxy', `http://${HOST}:${web}`, 'http://db/c?d=1'), 'GET /c?d=1 db ');
    t.equal(await curl('--proxy', `http://${HOST}:${web}`, '-d', 'body', 'http://db/'), 'POST / db body');
    t.equal(await curl('--proxytunnel', '--proxy', `http://${HOST}:${web}`, 'http://db/e'), 'GET /e db ');
  },
);

void t.test('a SOCKS client is told why it is not connected', async (t) => {
  const { socks } = await withProxies(t, ['--deny', 'secret:*', '--deny', 'localhost:81']);
  t.equal(await ask5(t, socks, 'db', SERVER_PORT), 0, 'connected');
  t.equal(await ask5(t, socks, 'db', 81), 5, 'refused');
  t.equal(await ask5(t, socks, 'nowhere', SERVER_PORT), 4, 'no such system');
  t.equal(await ask5(t, socks, 'secret', SERVER_PORT), 2, 'not allowed');
  t.equal(await ask5(t, socks, 'NEAR', 81), 2, 'not allowed under any of its names');
});

void t.test('an HTTP client is told why it is not connected', async (t) => {
  const { web } = await withProxies(t, ['--allow', 'db:80-81']);
  const status = async (target: string): Promise<string> => {
    const socket = await connectTcp(t, web);
    socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
    const head = String(await take(socket, 12));
    socket.destroy();
    return head.slice(9);
  };
  t.equal(await status('db:80'), '200');
  t.equal(await status('db:81'), '502');
  t.equal(await status('db:82'), '403');
  t.equal(await status('nowhere:80'), '403');
  t.equal(await status('db:99999'), '400');
  t.equal(await status(`${'x'.repeat(256)}:80`), '400');
});

void t.test('in a tunnel all is for the target, also a second CONNECT', async (t) => {
  const { web } = await withProxies(t);
  const socket = await connectTcp(t, web);
  // In one piece, so that the proxy has it before the tunnel stands.
  socket.write('CONNECT db:80 HTTP/1.1\r\nHost: db\r\n\r\nCONNECT other:80 HTTP/1.1\r\nHost: other\r\n\r\n');
  const answer = String(await drained(socket));
  t.match(answer, /^HTTP\/1\.1 200 /u);
  t.notMatch(answer.slice(12), /HTTP\/1\.1 (200|403|502)/u, 'the proxy does not answer a second time');
});

void t.test('the end of a client that comes with its request gets to the target', async (t) => {
  const region = freshRegion(t);
  const port = await serveTcp(t, (socket) => {
    void drained(socket).then((bytes) => socket.end(`you said ${String(bytes)}.`));
  });
  await new BridgeProcess(t, region, ['-R', `${SERVER_PORT}:${HOST}:${port}`], { STP_SYSTEM: 'db' }).ports(1);
  const near = new BridgeProcess(t, region, ['-D', '0', '-H', '0'], { STP_SYSTEM: 'near' });
  const [socks = 0, web = 0] = await near.ports(2);
  for (const said of ['', 'hello']) {
    const bySocks = await connectTcp(t, socks);
    bySocks.end(Buffer.concat([Buffer.from([5, 1, 0]), request5('db', SERVER_PORT), Buffer.from(said)]));
    t.match(String(await drained(bySocks)), new RegExp(`you said ${said}\\.$`, 'u'), 'by SOCKS');
    const byHttp = await connectTcp(t, web);
    byHttp.end(`CONNECT db:${SERVER_PORT} HTTP/1.1\r\nHost: db\r\n\r\n${said}`);
    t.match(String(await drained(byHttp)), new RegExp(`^HTTP/1.1 200 .*\r\n\r\nyou said ${said}\\.$`, 'su'), 'by HTTP');
  }
});

void t.test('a client must know a name and its password, where there are some', WITH_CURL, async (t) => {
  const file = path.join(t.testdir({}), 'users');
  fs.writeFileSync(file, '# who may\nann:pass:word\nbob:hunter2\n', { mode: 0o600 });
  const { socks, web, bridge } = await withProxies(t, ['--auth-file', file]);
  const curl = async (...args: string[]): Promise<string> => {
    try {
      const { stdout } = await run('curl', ['-sS', '-o', '/dev/null', '-w', '%{http_code}', '--noproxy', '', ...args]);
      return stdout;
    } catch (error) {
      return `exit ${String((error as { code?: unknown }).code)}`;
    }
  };
  const url = 'http://db/';
  t.equal(await curl('--proxy', `http://ann:pass%3Aword@${HOST}:${web}`, url), '200');
  t.equal(await curl('--proxy', `http://ann:mistaken@${HOST}:${web}`, url), '407');
  t.equal(await curl('--proxy', `http://${HOST}:${web}`, url), '407');
  t.equal(await curl('--proxy', `socks5h://bob:hunter2@${HOST}:${socks}`, url), '200');
  t.equal(await curl('--proxy', `socks5h://bob:mistaken@${HOST}:${socks}`, url), 'exit 97');
  t.equal(await curl('--proxy', `socks5h://${HOST}:${socks}`, url), 'exit 97');
  t.notMatch(JSON.stringify(bridge.told) + bridge.stderr, /pass:word|hunter2|mistaken/u, 'no password is told');
});

void t.test('clients that say nothing, or garbage, are let go', async (t) => {
  const { socks, web, bridge } = await withProxies(t, ['--handshake-timeout', '0.5']);
  const said: readonly (readonly [number, string])[] = [
    [socks, ''],
    [web, ''],
    [socks, '\x05'],
    // The beginning of what is read as one: five bytes of a head of seven, one of four.
    [socks, '\x04\x01\x00\x50\x7f\x00'],
    [socks, '\x05\x01\x00\x05'],
    [socks, 'GET / HTTP/1.1\r\n\r\n'],
    [web, 'GET / HT'],
    [web, '\0\x01garbage\r\n\r\n'],
  ];
  const ends = said.map(([port, text]) => {
    const client = callTcp(t, port);
    client.write(text);
    return drained(client);
  });
  t.equal((await Promise.all(ends)).length, said.length, 'all have come to an end');
  await bridge.tells((told) => told.event === 'failed');
  t.equal(await ask5(t, socks, 'db', SERVER_PORT), 0, 'others are served');
});

void t.test('a program of the region reaches TCP by SOCKS at the other end', async (t) => {
  const region = freshRegion(t);
  const serverPort = await serveTcp(t, (socket) => socket.end('tcp'));
  const far = new BridgeProcess(t, region, ['-R', '1080'], { STP_SYSTEM: 'far' });
  await far.ports(1);
  const near = new BridgeProcess(t, region, ['-L', '0:far:1080'], { STP_SYSTEM: 'near' });
  const [port = 0] = await near.ports(1);
  const socket = await connectTcp(t, port);
  socket.write(Buffer.concat([Buffer.from([5, 1, 0]), request5(HOST, serverPort)]));
  t.same((await take(socket, 12))[3], 0, 'connected');
  t.equal(String(await drained(socket)), 'tcp');
});
