/** A limit of bytes a second: it holds, busy connections share it, and no byte is lost. */
import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import t from 'tap';
import { freshRegion } from '../calls/actor';
import { BridgeProcess, connectTcp, drained, HOST, serveTcp, take } from './kit';

const RATE_BYTES = 1_048_576;

void t.test('--max-rate holds, and a busy connection does not starve another', async (t) => {
  const region = freshRegion(t);
  const bytes = randomBytes(2 * RATE_BYTES);
  const serverPort = await serveTcp(t, (socket) => socket.end(bytes));
  await new BridgeProcess(t, region, ['-R', `4740:${HOST}:${serverPort}`], { STP_SYSTEM: 'far' }).ports(1);
  const near = new BridgeProcess(t, region, ['-L', '0:far:4740', '--max-rate', '1M'], { STP_SYSTEM: 'near' });
  const [port = 0] = await near.ports(1);
  const startMs = performance.now();
  const busy = await connectTcp(t, port);
  let busyBytes = 0;
  busy.on('data', (chunk: Buffer) => (busyBytes += chunk.length));
  const busyEnd = drained(busy);
  const other = await connectTcp(t, port);
  await take(other, RATE_BYTES / 2);
  t.ok(busyBytes < RATE_BYTES, `the busy one got ${busyBytes} bytes while the other got half a second's`);
  const rest = drained(other.end());
  busy.end();
  t.same(await busyEnd, bytes, 'no byte is lost');
  t.equal(((await rest) as Buffer).length, bytes.length - RATE_BYTES / 2);
  const tookMs = performance.now() - startMs;
  t.ok(tookMs > 3500, `4 MiB at 1 MiB a second took ${tookMs} ms`);
});
