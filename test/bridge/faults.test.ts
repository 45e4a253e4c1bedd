/** What users of other forwarders report: floods of events, clients that are not named, peers that are gone. */
import fs from 'node:fs';
import process from 'node:process';
import t from 'tap';
import { freshRegion } from '../calls/actor';
import { behindTwo, BridgeProcess, callTcp, connectTcp, drained, HOST, serveTcp, take } from './kit';

const FLOOD = 200;
const ON_LINUX = { skip: process.platform === 'linux' ? false : 'there is no /proc/net/tcp' };
const ESTABLISHED = '01';
/** Of the kernel: a timer that is not about a retransmission. */
const KEEP_ALIVE_TIMER = '02';

/** The timers of the connections of which one end has the port: those of the local ends, or of the remote ones. */
function timersOf(port: number, end: 'local' | 'remote'): (string | undefined)[] {
  const shown = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return fs
    .readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/u))
    .filter((fields) => fields[end === 'local' ? 1 : 2]?.endsWith(shown) === true && fields[3] === ESTABLISHED)
    .map((fields) => fields[5]?.slice(0, 2));
}

void t.test('a flood of refused clients is told in a few events that count them all', async (t) => {
  const region = freshRegion(t);
  const serverPort = await serveTcp(t, (socket) => socket.pipe(socket));
  await new BridgeProcess(t, region, ['-R', `4730:${HOST}:${serverPort}`], { STP_SYSTEM: 'far' }).ports(1);
  const near = new BridgeProcess(t, region, ['-L', '0:far:4730', '--max-connections', '1'], { STP_SYSTEM: 'near' });
  const [port = 0] = await near.ports(1);
  const held = await connectTcp(t, port);
  held.write('1');
  await take(held, 1);
  await Promise.all(Array.from({ length: FLOOD }, () => drained(callTcp(t, port))));
  const failed = (): (number | undefined)[] =>
    near.told.filter(({ event, code }) => event === 'failed' && code === 'EMFILE').map(({ count }) => count);
  const refused = (): number => failed().reduce<number>((sum, count) => sum + (count ?? 0), 0);
  await near.tells(() => refused() >= FLOOD);
  t.equal(refused(), FLOOD, 'each was counted once');
  t.ok(failed().length <= FLOOD / 10, `in ${failed().length} events`);
});

void t.test('a failed request to the HTTP proxy names the address of its client', async (t) => {
  const bridge = new BridgeProcess(t, freshRegion(t), ['-H', '0']);
  const [port = 0] = await bridge.ports(1);
  const client = await connectTcp(t, port);
  client.write('CONNECT nowhere:80 HTTP/1.1\r\nHost: nowhere\r\n\r\n');
  t.match(String(await take(client, 12)), /502$/u);
  const from = `${HOST}:${(client.address() as { port: number }).port}`;
  t.match(await bridge.tells(({ event }) => event === 'failed'), { from, to: 'nowhere:80' });
});

void t.test('TCP asks silent clients and servers of a bridge whether they are there', ON_LINUX, async (t) => {
  const serverPort = await serveTcp(t, (socket) => socket.pipe(socket));
  const { port } = await behindTwo(t, freshRegion(t), serverPort);
  const client = await connectTcp(t, port);
  client.write('1');
  await take(client, 1);
  t.same(timersOf(port, 'local'), [KEEP_ALIVE_TIMER], 'the accepted socket');
  t.same(timersOf(serverPort, 'remote'), [KEEP_ALIVE_TIMER], 'the outgoing socket');
});
