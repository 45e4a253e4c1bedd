/**
 * Node's class of stream handles whose work is done in JavaScript: what net.js, http's parser, TLS and http2 stand on
 * as they do on TCP's.
 *
 * @note Node 20 to 26: the class (JSStream) is not exported. A TLS socket over a stream without a handle has one below.
 * Making that socket loads `tls`, so this file is loaded with the first STP socket. An empty list of authorities keeps
 * Node from reading its own.
 */
import { Duplex } from 'node:stream';
import tls from 'node:tls';
import { type Handle, type SocketName } from './internals';

/** What is native of it. */
export interface JsStreamBase extends Handle {
  readonly isStreamBase: boolean;
  readonly bytesRead: number;
  /** Copies the bytes to where the consumer of the stream wants them, and calls the consumer. */
  readBuffer(bytes: Uint8Array): void;
  /** Tells the consumer of the end of the stream. */
  emitEOF(): void;
  /** Completes a write of a native consumer; `status` 0, or a negative errno. */
  finishWrite(request: object, status: number): void;
  finishShutdown(request: object, status: number): void;
  getsockname(out: SocketName): number;
  close(callback?: () => void): void;
  useUserBuffer(buffer: Uint8Array): void;
}

interface WrappedHandle {
  readonly _handle: { readonly constructor: new () => JsStreamBase };
}

interface SecureSocket {
  readonly _parentWrap?: WrappedHandle;
  readonly _handle: { readonly _parentWrap: WrappedHandle };
}

function findClass(): new () => JsStreamBase {
  const below = new Duplex({
    read: () => undefined,
    write: (_chunk, _encoding, callback) => {
      callback();
    },
  });
  const socket = new tls.TLSSocket(below, { secureContext: tls.createSecureContext({ ca: [] }) });
  const { _parentWrap, _handle } = socket as unknown as SecureSocket;
  const { constructor } = (_parentWrap ?? _handle._parentWrap)._handle;
  socket.destroy();
  return constructor;
}

export const JsStream = findClass();
