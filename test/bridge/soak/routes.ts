/** How a client of a soak of bridges gets a connection: by a port of -L, by SOCKS or by HTTP. */
import { once } from 'node:events';
import net from 'node:net';
import { HOST, take } from '../kit';
import { CutShort } from './conversation';
import { type Route } from './messages';

const SOCKS_HELLO = Buffer.from([5, 1, 0]);
const SOCKS_REPLY_BYTES = 10;
const HTTP_OK = 'HTTP/1.1 200 Connection established\r\n\r\n';

/** A SOCKS5 request for a name. */
function socksRequest({ system, port }: Route['target']): Buffer {
  return Buffer.concat([
    Buffer.from([5, 1, 0, 3, system.length]),
    Buffer.from(system),
    Buffer.from([port >> 8, port & 0xff]),
  ]);
}

/** Rejects with CutShort where the bridge, or what is behind it, is not there. */
export async function connect(route: Route): Promise<net.Socket> {
  const socket = net.connect({ port: route.port, host: HOST, allowHalfOpen: true });
  // A reset between two awaits has no other listener.
  socket.on('error', () => undefined);
  try {
    await once(socket, 'connect');
    if (route.kind === 'socks') {
      socket.write(Buffer.concat([SOCKS_HELLO, socksRequest(route.target)]));
      await take(socket, 2);
      const [, reply = 0] = await take(socket, SOCKS_REPLY_BYTES);
      if (reply !== 0) throw new CutShort(`SOCKS reply ${reply}`);
    } else if (route.kind === 'http') {
      const target = `${route.target.system}:${route.target.port}`;
      socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
      const head = String(await take(socket, HTTP_OK.length));
      if (head !== HTTP_OK) throw new CutShort(`HTTP ${head.slice(9, 12)}`);
    }
    return socket;
  } catch (error) {
    socket.destroy();
    throw error instanceof CutShort ? error : new CutShort((error as NodeJS.ErrnoException).code ?? 'end');
  }
}
