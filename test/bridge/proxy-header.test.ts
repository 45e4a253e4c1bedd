/** The PROXY protocol: servers behind a bridge learn the address of the first client, and wrong headers do no harm. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type ProxyEnds, proxyHeader, readProxyHeader } from '../../src/bridge/proxy-header';
import { freshRegion } from '../calls/actor';
import { stp } from '../cli/stp-process';
import { behindTwo, BridgeProcess, callTcp, connectTcp, drained, HOST, serveTcp, take } from './kit';

const ENDS: readonly ProxyEnds[] = [
  { source: { host: '192.0.2.7', port: 65_535 }, destination: { host: '198.51.100.1', port: 0 } },
  { source: { host: '2001:db8::7', port: 1 }, destination: { host: '::1', port: 443 } },
  { source: { host: '1:2:3:4:5:6:7:8', port: 80 }, destination: { host: 'fe80::', port: 80 } },
];
const V2_BEGIN = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const v2 = (head: readonly number[], rest = Buffer.alloc(0)): Buffer =>
  Buffer.concat([V2_BEGIN, Buffer.from(head), rest]);

const WRONG: Readonly<Record<string, Buffer>> = {
  'no header': Buffer.from('GET / HTTP/1.0\r\n\r\n'),
  'another word': Buffer.from('PROXIES TCP4 1.2.3.4 1.2.3.4 1 1\r\n'),
  'no end of the line': Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`),
  'an address of the other kind': Buffer.from('PROXY TCP4 ::1 ::1 1 1\r\n'),
  'an address that is none': Buffer.from('PROXY TCP4 1.2.3.400 1.2.3.4 1 1\r\n'),
  'a port that is none': Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n'),
  'a port with a zero before it': Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n'),
  'a word too many': Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n'),
  'an address with a zone': Buffer.from('PROXY TCP6 fe80::1%eth0 fe80::1 1 1\r\n'),
  'two blanks': Buffer.from('PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n'),
  'a signature that is none': Buffer.from('\r\n\r\n\0\r\nQUIT\r'),
  'version 3': v2([0x31, 0x11, 0, 12], Buffer.alloc(12)),
  'an unknown command': v2([0x22, 0x11, 0, 12], Buffer.alloc(12)),
  'an unknown family': v2([0x21, 0x41, 0, 12], Buffer.alloc(12)),
  'an unknown transport': v2([0x21, 0x13, 0, 12], Buffer.alloc(12)),
  'addresses that are cut short': v2([0x21, 0x11, 0, 11], Buffer.alloc(11)),
  'IPv6 in the room of IPv4': v2([0x21, 0x21, 0, 12], Buffer.alloc(12)),
  'a length without end': v2([0x21, 0x11, 0xff, 0xff], Buffer.alloc(12)),
};

/** Reads a header whose bytes come in the given pieces; what is left behind it. */
async function read(pieces: readonly Buffer[]): Promise<{ ends: ProxyEnds | undefined; rest: string }> {
  const stream = new PassThrough();
  for (const piece of pieces) stream.write(piece);
  stream.end();
  const ends = await readProxyHeader(stream);
  let rest = '';
  for await (const chunk of stream) rest += String(chunk);
  return { ends, rest };
}

void t.test('what is written is read again, in any pieces, and what follows it is left', async (t) => {
  for (const version of [1, 2] as const)
    for (const ends of [...ENDS, undefined]) {
      const bytes = Buffer.concat([proxyHeader(version, ends), Buffer.from('\r\nthe rest')]);
      t.same(await read([bytes]), { ends, rest: '\r\nthe rest' });
      t.same(await read([...bytes].map((byte) => Buffer.from([byte]))), { ends, rest: '\r\nthe rest' }, 'byte by byte');
    }
  t.equal(proxyHeader(1, ENDS[0]).toString(), 'PROXY TCP4 192.0.2.7 198.51.100.1 65535 0\r\n');
});

void t.test('headers that tell no addresses, or more than addresses, are taken', async (t) => {
  const rest = 'rest';
  for (const [title, bytes, ends] of [
    ['UNKNOWN with addresses', Buffer.from('PROXY UNKNOWN ::1 ::2 3 4\r\n'), undefined],
    ['LOCAL with addresses', v2([0x20, 0x11, 0, 12], Buffer.alloc(12, 9)), undefined],
    ['Unix sockets', v2([0x21, 0x31, 0, 216], Buffer.alloc(216, 9)), undefined],
    ['with TLVs', Buffer.concat([v2([0x21, 0x11, 0, 19]), tlv(ENDS[0])]), ENDS[0]],
  ] as const)
    t.same(await read([bytes, Buffer.from(rest)]), { ends, rest }, title);
});

/** The addresses of a header of version 2, and a field behind them. */
function tlv(ends: ProxyEnds | undefined): Buffer {
  return Buffer.concat([proxyHeader(2, ends).subarray(16), Buffer.from([4, 0, 4, 1, 2, 3, 4])]);
}

void t.test('what is no header is told as such', async (t) => {
  for (const [title, bytes] of Object.entries(WRONG)) await t.rejects(read([bytes]), { code: 'EINVAL' }, title);
  for (const ends of ENDS)
    for (const version of [1, 2] as const) {
      const whole = proxyHeader(version, ends);
      for (let length = 0; length < whole.length; length++)
        await t.rejects(read([whole.subarray(0, length)]), { code: 'ECONNRESET' }, `cut after ${length} bytes`);
    }
});

void t.test('whatever the bytes, a header is understood or refused', async (t) => {
  const seed = Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31);
  t.comment(`seed ${seed}; FC_SEED=${seed} runs it again`);
  const valid = fc.constantFrom(...ENDS.flatMap((ends) => [proxyHeader(1, ends), proxyHeader(2, ends)]));
  const changed = fc
    .tuple(valid, fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 3 }), fc.uint8Array({ maxLength: 20 }))
    .map(([header, changes, tail]) => {
      const bytes = Buffer.concat([header, tail]);
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      return bytes;
    });
  const anyBytes = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
  await fc.assert(
    fc.asyncProperty(fc.oneof(changed, anyBytes), fc.nat(300), async (bytes, cut) => {
      const pieces = [bytes.subarray(0, cut), bytes.subarray(cut)].filter(({ length }) => length > 0);
      let ends: ProxyEnds | undefined;
      try {
        ({ ends } = await read(pieces));
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'EINVAL' && code !== 'ECONNRESET') throw error;
        return;
      }
      for (const version of [1, 2] as const)
        assert.deepEqual((await read([proxyHeader(version, ends)])).ends, ends, 'it is written as it was understood');
    }),
    { numRuns: 5000, seed },
  );
});

/** A server that tells all it got. */
async function listener(test: Test): Promise<{ port: number; next: () => Promise<string> }> {
  const got: Promise<Buffer | string>[] = [];
  let called: () => void = () => undefined;
  const port = await serveTcp(test, (socket) => {
    const all = drained(socket);
    got.push(all);
    void all.then(() => socket.end('bye'));
    called();
  });
  return {
    port,
    next: async () => {
      if (got.length === 0) await new Promise<void>((resolve) => (called = resolve));
      return String(await got.shift());
    },
  };
}

void t.test('the address of the first client crosses two bridges, and the client cannot feign it', async (t) => {
  const region = freshRegion(t);
  const server = await listener(t);
  const far = new BridgeProcess(
    t,
    region,
    ['-R', `4730:${HOST}:${server.port}`, '--accept-proxy', 'remote', '--send-proxy', 'remote'],
    { STP_SYSTEM: 'far' },
  );
  await far.ports(1);
  const near = new BridgeProcess(t, region, ['-L', '0:far:4730', '--send-proxy-v2', 'local'], { STP_SYSTEM: 'near' });
  const [port = 0] = await near.ports(1);
  const client = await connectTcp(t, port);
  const { localPort } = client;
  client.end('PROXY TCP4 192.0.2.1 192.0.2.1 1 1\r\nhello');
  const line = `PROXY TCP4 ${HOST} ${HOST} ${localPort ?? 0} ${port}\r\n`;
  t.equal(await server.next(), `${line}PROXY TCP4 192.0.2.1 192.0.2.1 1 1\r\nhello`);
  t.equal(String(await drained(client)), 'bye');
  t.match(await far.tells(({ event }) => event === 'closed'), { from: `${HOST}:${localPort ?? 0}` });
});

void t.test('a header comes before SOCKS and before HTTP as well', async (t) => {
  const region = freshRegion(t);
  const server = await listener(t);
  await new BridgeProcess(t, region, ['-R', `4731:${HOST}:${server.port}`], { STP_SYSTEM: 'far' }).ports(1);
  const near = new BridgeProcess(t, region, ['-D', '0', '-H', '0', '--accept-proxy', 'local'], { STP_SYSTEM: 'near' });
  const [socks = 0, http = 0] = await near.ports(2);
  const bySocks = await connectTcp(t, socks);
  const asked = Buffer.concat([Buffer.from([5, 1, 0, 5, 1, 0, 3, 3]), Buffer.from('far'), Buffer.from([0x12, 0x7b])]);
  bySocks.end(Buffer.concat([proxyHeader(2, ENDS[1]), asked, Buffer.from('by SOCKS')]));
  t.equal(await server.next(), 'by SOCKS');
  t.match(String(await drained(bySocks)), /bye$/u);
  const byHttp = await connectTcp(t, http);
  byHttp.end(`${proxyHeader(1, ENDS[0]).toString()}CONNECT far:4731 HTTP/1.1\r\nHost: far\r\n\r\nby HTTP`);
  t.equal(await server.next(), 'by HTTP');
  t.match(String(await drained(byHttp)), /^HTTP\/1.1 200 .*\r\n\r\nbye$/su);
  const wrong = await connectTcp(t, http);
  wrong.end(`${proxyHeader(1, ENDS[0]).toString()}CONNECT nowhere:1 HTTP/1.1\r\nHost: far\r\n\r\n`);
  t.match(await near.tells(({ event }) => event === 'failed'), { from: '192.0.2.7:65535', to: 'nowhere:1' });
});

void t.test('a program of the region is told by the IPv6 address of its system', async (t) => {
  const region = freshRegion(t);
  const server = await listener(t);
  const far = new BridgeProcess(t, region, ['-R', `4732:${HOST}:${server.port}`, '--send-proxy', 'remote'], {
    STP_SYSTEM: 'far',
  });
  await far.ports(1);
  const { port } = await nearOf(t, region, 4732);
  const client = await connectTcp(t, port);
  client.end('hi');
  t.match(await server.next(), /^PROXY TCP6 fd[\da-f:]+ fd[\da-f:]+ \d+ 4732\r\nhi$/u);
});

async function nearOf(test: Test, region: string, stpPort: number): Promise<{ port: number }> {
  const near = new BridgeProcess(test, region, ['-L', `0:far:${stpPort}`], { STP_SYSTEM: 'near' });
  const [port = 0] = await near.ports(1);
  return { port };
}

void t.test('a wrong header, and one that does not come, is a reset, and nothing gets to the target', async (t) => {
  const region = freshRegion(t);
  let calls = 0;
  const serverPort = await serveTcp(t, () => {
    calls += 1;
  });
  await new BridgeProcess(t, region, ['-R', `4733:${HOST}:${serverPort}`], { STP_SYSTEM: 'far' }).ports(1);
  const near = new BridgeProcess(
    t,
    region,
    ['-L', '0:far:4733', '--accept-proxy', 'local', '--handshake-timeout', '0.3'],
    { STP_SYSTEM: 'near' },
  );
  const [port = 0] = await near.ports(1);
  for (const [title, bytes] of [...Object.entries(WRONG), ['nothing', Buffer.alloc(0)] as const]) {
    const client = callTcp(t, port);
    client.write(bytes);
    t.match(String(await drained(client)), /ECONNRESET|closed/u, title);
  }
  const failures = (): number => near.told.filter(({ event }) => event === 'failed').length;
  await near.tells(() => failures() === Object.keys(WRONG).length + 1);
  t.equal(calls, 0);
});

void t.test('without the options headers are bytes like others', async (t) => {
  const region = freshRegion(t);
  const serverPort = await serveTcp(t, (socket) => socket.pipe(socket));
  const { port } = await behindTwo(t, region, serverPort);
  const client = await connectTcp(t, port);
  const header = proxyHeader(2, ENDS[0]);
  client.write(header);
  t.same(await take(client, header.length), header);
});

void t.test('a side that is none is refused', (t) => {
  for (const option of ['--accept-proxy', '--send-proxy', '--send-proxy-v2'])
    t.match(stp(['bridge', '-D', '0', option, 'both'], { env: { STP_REGION: freshRegion(t) } }), {
      status: 2,
      stdout: '',
      stderr: new RegExp(`^stp: ${option} both: must be local or remote\n.*-L, -D and -H.*\n$`, 'u'),
    });
  t.end();
});
