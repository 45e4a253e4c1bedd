/**
 * Part of `npm run build`: opens a region under the hook, moves some bytes through a connection and saves what V8 has
 * compiled for that, so that programs need not compile it again (shim/compiled.ts).
 */
import net from 'node:net';
import path from 'node:path';
import { projectRoot } from './project-root';

interface Hook {
  readonly shared: Readonly<Record<string, () => { saveCaches(): void }>>;
}

const BYTES = 100_000;

async function main(): Promise<void> {
  const server = net.createServer((socket) => {
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  const client = net.connect(port, '127.0.0.1');
  client.end(Buffer.alloc(BYTES));
  let received = 0;
  for await (const chunk of client) received += (chunk as Buffer).length;
  server.close();
  if (received !== BYTES) throw new Error(`${received} of ${BYTES} bytes came back`);
  const hook = (await import(path.join(projectRoot(), 'dist/lib/hook.js'))) as Hook;
  hook.shared['shim/compiled.ts']?.().saveCaches();
}

void main();
