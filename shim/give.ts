/**
 * socket.stpGive: the connection goes to another process with everything that is not done yet.
 *
 * Order matters: first nothing is read any more, then what was written is handed to the library (it travels as "unsent"), then what was read
 * and not used goes back to the front of the receive queue, and only then the socket is given: from there on it takes neither.
 */
import { STP_UNREAD, STPgivesocket, STPsetopt, StpError, type StpClientId } from '../src/index';
import { type Connection } from './connection';
import { type InternalSocket } from './internals';

const SYSCALL = 'stpGive';

export async function giveSocket(socket: InternalSocket, connection: Connection, clientId: StpClientId | null): Promise<string> {
  check(socket, connection);
  const { reader, writer, descriptor } = connection;
  reader.hold();
  try {
    writer.flush();
    while (socket.writableCorked > 0) socket.uncork();
    // Writes that wait in the stream follow in the ticks to come, and so does what the stream has scheduled for its reader.
    do await new Promise(setImmediate);
    while (socket.writableLength > 0 && connection.open);
    check(socket, connection);
    STPsetopt(descriptor, STP_UNREAD, takeBuffered(socket));
    const token = STPgivesocket(descriptor, clientId);
    connection.given = true;
    connection.onTaken = (taken) => {
      end(socket, connection, taken);
    };
    return token;
  } catch (error) {
    writer.unflush();
    reader.release();
    throw error;
  }
}

function check(socket: InternalSocket, connection: Connection): void {
  const refuse = (code: 'ENOTCONN' | 'ESTPGIVEN' | 'EOPNOTSUPP', why: string): never => {
    throw new StpError(code, why, SYSCALL);
  };
  if (!connection.open || socket.destroyed) refuse('ENOTCONN', 'the socket is closed');
  if (socket.connecting) refuse('ENOTCONN', 'the socket is still connecting');
  if (connection.given) refuse('ESTPGIVEN', 'the socket was given already');
  if (connection.wrapped) refuse('EOPNOTSUPP', 'a TLS socket or an http2 session stands on it, whose state can not be given');
  // Text can't be turned back into the bytes that it was decoded from, which may have been cut within a character.
  if (socket.readableEncoding !== null) refuse('EOPNOTSUPP', 'the socket decodes what it reads (setEncoding)');
}

/** What lies in the Readable, without the events that a read has: no listener of the program may see bytes that go elsewhere. */
function takeBuffered(socket: InternalSocket): Uint8Array {
  const own = Object.getOwnPropertyDescriptor(socket, 'emit');
  Object.defineProperty(socket, 'emit', { value: () => false, configurable: true, writable: true });
  try {
    // All at once and by its length: a read without one would bring about 'end' where the peer has ended.
    const bytes: unknown = socket.readableLength > 0 ? socket.read(socket.readableLength) : undefined;
    return bytes instanceof Uint8Array ? bytes : new Uint8Array(0);
  } finally {
    if (own === undefined) Reflect.deleteProperty(socket, 'emit');
    else Object.defineProperty(socket, 'emit', own);
  }
}

/** The give is over: the connection is elsewhere, or it is back. */
function end(socket: InternalSocket, connection: Connection, taken: boolean): void {
  connection.onTaken = undefined;
  if (taken) {
    connection.closedByTake();
    socket.destroy();
    return;
  }
  connection.given = false;
  connection.writer.unflush();
  connection.reader.release();
  socket.emit('stpBack');
}
