/**
 * socket.stpGive: the connection goes to another process with everything that is not done yet.
 *
 * Order matters: first nothing is read any more, then what was written is handed to the library (it travels as
 * "unsent"), then what was read and not used goes back to the front of the receive queue, and only then the socket is
 * given: from there on it takes neither.
 */
import {
  MSG_DONTWAIT,
  SO_NREAD,
  SOL_SOCKET,
  STP_UNREAD,
  STPgetsockopt,
  STPgivesocket,
  STPrecv,
  STPsetopt,
  StpError,
  type StpClientId,
} from '../../src/index';
import { setImmediate } from '../../src/host';
import { type StpStream, streamOf } from '../handle/stream';
import { carriesTls, type InternalSocket } from '../node/internals';

const SYSCALL = 'stpGive';

/** Resolves with the token; `clientId` null: for any process that has it. */
export async function giveSocket(socket: InternalSocket, clientId: StpClientId | null): Promise<string> {
  const stream = streamOf(socket);
  check(socket, stream);
  stream.reader.hold();
  try {
    stream.writes.flush();
    while (socket.writableCorked > 0) socket.uncork();
    // Writes that wait in the stream follow in the ticks to come, and so does what the stream has scheduled for its
    // reader.
    do
      await new Promise((resolve) => {
        setImmediate(resolve, undefined);
      });
    while (socket.writableLength > 0 && stream.open);
    check(socket, stream);
    STPsetopt(stream.descriptor, STP_UNREAD, takeBuffered(socket));
    const token = STPgivesocket(stream.descriptor, clientId);
    stream.writes.held = true;
    stream.updateHold();
    stream.onTaken = (taken) => {
      end(socket, stream, taken);
    };
    return token;
  } catch (error) {
    stream.writes.unflush();
    stream.reader.release();
    throw error;
  }
}

function refuse(code: 'ENOTCONN' | 'ESTPGIVEN' | 'EOPNOTSUPP', why: string): never {
  throw new StpError(code, why, SYSCALL);
}

function check(socket: InternalSocket, stream: StpStream | undefined): asserts stream is StpStream {
  if (socket.encrypted === true) refuse('EOPNOTSUPP', 'a TLS socket has state that can not be given');
  if (socket.destroyed) refuse('ENOTCONN', 'the socket is closed');
  if (stream === undefined) refuse('EOPNOTSUPP', 'the socket does not go by STP');
  if (socket.connecting || !stream.open) refuse('ENOTCONN', 'the socket is not connected');
  if (stream.writes.held) refuse('ESTPGIVEN', 'the socket was given already');
  if (carriesTls(stream) || hasSession(socket))
    refuse('EOPNOTSUPP', 'a TLS socket or an http2 session stands on it, whose state can not be given');
  // Text can't be turned back into the bytes that it was decoded from, which may have been cut within a character.
  if (socket.readableEncoding !== null) refuse('EOPNOTSUPP', 'the socket decodes what it reads (setEncoding)');
}

/**
 * An http2 session is bound to the socket.
 * @note Node 20 to 26: http2 takes the symbol from a module that does not export it, so that the property is named
 * 'undefined' there.
 */
function hasSession(socket: InternalSocket): boolean {
  const fields = socket as unknown as Record<PropertyKey, unknown>;
  if (fields['undefined'] !== undefined) return true;
  return Object.getOwnPropertySymbols(socket).some(
    (key) => key.description === 'kBoundSession' && fields[key] !== undefined,
  );
}

/**
 * What lies in the Readable, without the events that a read has: no listener of the program may see bytes that go
 * elsewhere.
 */
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
function end(socket: InternalSocket, stream: StpStream, taken: boolean): void {
  stream.onTaken = undefined;
  if (taken) {
    stream.detach();
    socket.destroy();
    return;
  }
  stream.writes.held = false;
  stream.writes.unflush();
  if (stream.reader.ended) takeBack(socket, stream);
  stream.reader.release();
  socket.emit('stpBack');
}

/** The stream had ended and still held bytes: they can't be read any more, only put in front of its end. */
function takeBack(socket: InternalSocket, { descriptor, open }: StpStream): void {
  const left = open ? (STPgetsockopt(descriptor, SOL_SOCKET, SO_NREAD) as number) : 0;
  if (left === 0) return;
  const bytes = Buffer.allocUnsafe(left);
  void STPrecv(descriptor, bytes, left, MSG_DONTWAIT);
  socket.unshift(bytes);
}
