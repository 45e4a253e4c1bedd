/** The server of the figures: sends without end to a client that says D first, and echoes to all others. */
import net from 'node:net';
import { HOST } from '../kit';

export const DOWNLOAD = 'D';
const CHUNK = Buffer.alloc(65_536);

const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => undefined);
  socket.once('data', (first: Buffer) => {
    if (first.toString('latin1', 0, 1) !== DOWNLOAD) {
      socket.write(first);
      socket.pipe(socket);
      return;
    }
    const send = (): void => {
      while (socket.write(CHUNK));
    };
    socket.on('drain', send);
    send();
  });
});

if (require.main === module) server.listen(Number(process.argv[2]), HOST, 511);
