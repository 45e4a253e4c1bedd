/**
 * net.Socket's `_writeGeneric` for sockets of STP: straight into the log, without the copy, the request object and the
 * turn of the event loop that a write through a native stream takes.
 *
 * @note Node 20 to 26: `_write` and `_writev` of net.Socket call it, so that what subclasses put in their place still
 * runs.
 */
import { StpError } from '../../src/index';
import {
  CANCELED_WRITES_FAIL,
  type InternalSocket,
  kLastWriteQueueSize,
  type WriteCallback,
  type WriteChunk,
} from '../node/internals';
import { errnoException } from '../node/errors';
import { status } from '../node/status';
import { type StpStream } from './stream';
import { WAITS } from './write-queue';

export function writeGeneric(
  socket: InternalSocket,
  stream: StpStream,
  data: unknown,
  encoding: string | undefined,
  callback: WriteCallback,
): void {
  socket._pendingData = null;
  socket._pendingEncoding = '';
  socket._unrefTimer();
  const bytesBefore = stream.bytesWritten;
  const result =
    encoding === undefined
      ? stream.writes.writeAll(data as WriteChunk[])
      : stream.writes.write(data as string | Uint8Array, encoding as BufferEncoding);
  if (result === WAITS) {
    socket[kLastWriteQueueSize] = stream.bytesWritten - bytesBefore;
    stream.waitForWrite((errno) => {
      if (errno < 0 && stream.writes.held) callback(givenError());
      else complete(socket, errno, callback);
    });
  } else if (result < 0) callback(failure(stream, result));
  else callback();
}

/** What net.js does when a write that was not complete at once is. */
function complete(socket: InternalSocket, errno: number, callback: WriteCallback): void {
  if (errno < 0 && (CANCELED_WRITES_FAIL || !socket.destroyed)) {
    callback(errnoException(errno, 'write'));
    return;
  }
  if (!socket.destroyed) {
    socket._unrefTimer();
    socket[kLastWriteQueueSize] = 0;
  }
  callback(null);
}

/** The socket was closed while it was offered to another process. */
function givenError(): Error {
  const { errno, code } = new StpError('ESTPGIVEN', undefined, 'write');
  return Object.assign(new Error(`write ${code}`), { errno, code, syscall: 'write' });
}

/** As kernels have it: a peer that resets what it had ended before has closed the pipe. */
function failure(stream: StpStream, errno: number): Error {
  return errnoException(errno === status('ECONNRESET') && stream.reader.ended ? status('EPIPE') : errno, 'write');
}
