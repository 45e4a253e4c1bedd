/** What Node's sockets do at their ends, and what the bridge needs of them. */
import { once } from 'node:events';
import type net from 'node:net';
import t, { type Test } from 'tap';
import { connectTcp as dial, endWritten, reset } from '../../src/bridge/tcp';
import { drained, HOST, serveTcp } from './kit';

/** More than the kernel keeps for a server that does not read. */
const BULK_BYTES = 64 << 20;

/** A connection whose server reads nothing until it is asked to. */
async function unread(test: Test): Promise<{ client: net.Socket; server: net.Socket }> {
  let accept: (socket: net.Socket) => void = () => undefined;
  const accepted = new Promise<net.Socket>((resolve) => (accept = resolve));
  const port = await serveTcp(test, (socket) => {
    accept(socket);
  });
  const client = await dial({ host: HOST, port }, { connectTimeoutMs: 10_000, keepAliveMs: 0 });
  client.on('error', () => undefined);
  test.teardown(() => client.destroy());
  return { client, server: await accepted };
}

void t.test('a socket whose end waits behind bytes is closed by a reset, and its descriptor is free', async (t) => {
  const { client } = await unread(t);
  client.write(Buffer.alloc(BULK_BYTES));
  client.end();
  const closed = once(client, 'close');
  reset(client);
  await closed;
  t.ok(client.destroyed);
});

void t.test('a reset right after the end of a direction is still a reset', async (t) => {
  const { client, server } = await unread(t);
  client.write('all of it');
  endWritten(client);
  const closed = once(client, 'close');
  reset(client);
  await closed;
  // Node tells an end for a reset that comes behind bytes which were not read yet.
  t.match(await drained(server), /ECONNRESET|all of it/u);
});
