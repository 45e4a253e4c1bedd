/**
 * An ordinary program that the hook runs in, for tests of real limits: a server that echoes, or a client that connects
 * when it is told to.
 *
 * usage (forked): real-program.js server | real-program.js client
 * The server tells the port it listens at, the client 0 when it is ready, for each message that is a port how one
 * connection to it went, and for the message `listen` the port at which it listens from then on as well.
 */
import net from 'node:net';

export interface Went {
  readonly transport: string;
  readonly reason: string;
  /** Of the error that the program saw; '' where its bytes came back. */
  readonly code: string;
  /** Why it went by TCP, where STP was tried. */
  readonly told: string;
}

interface Decision {
  readonly transport?: string;
  readonly reason?: string;
  readonly error?: { readonly code?: string };
}

const PING = 'ping';

function connect(port: number): Promise<Went> {
  return new Promise((resolve) => {
    let code = 'closed';
    const socket = net.connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.write(PING);
    });
    socket.on('data', (bytes) => {
      code = bytes.toString() === PING ? '' : 'garbled';
      socket.end();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      code = error.code ?? error.message;
    });
    socket.on('close', () => {
      const { transport = '', reason = '', error } = (socket as { stp?: Decision }).stp ?? {};
      resolve({ transport, reason, code, told: error?.code ?? '' });
    });
  });
}

function serve(): void {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, () => {
    process.send?.((server.address() as net.AddressInfo).port);
  });
}

if (process.argv[2] === 'server') serve();
else process.send?.(0);
process.on('message', (message: number | 'listen') => {
  if (message === 'listen') serve();
  else void connect(message).then((went) => process.send?.(went));
});
process.on('disconnect', () => {
  process.exit();
});
