/**
 * Node's class of stream handles whose work is done in JavaScript: what net.js, http's parser, TLS and http2 stand on
 * as they do on TCP's.
 *
 * @note Node 20 to 26: the class (JSStream) is not exported. A TLS socket over a stream without a handle makes one of
 * it before it wraps it, where we stop it: the rest of a TLS socket takes milliseconds. Making that socket loads `tls`,
 * so this file is loaded with the first STP socket.
 */
import { type Duplex } from 'node:stream';
import tls from 'node:tls';
import { type Handle, type SocketName } from './handles';

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

type JsStreamClass = new () => JsStreamBase;

interface WithHandle {
  readonly _handle: { readonly constructor: JsStreamClass };
}

/** Thrown where the class is found; it never leaves this file. */
class Found {
  constructor(readonly constructorOfHandle: JsStreamClass) {}
}

class Probe extends tls.TLSSocket {
  /** Called by the constructor of TLSSocket with what stands over the handle. */
  _wrapHandle(below: WithHandle): never {
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- no error: a way out of the constructor.
    throw new Found(below._handle.constructor);
  }
}

function self(this: unknown): unknown {
  return this;
}

function findClass(): JsStreamClass {
  // In the place of a stream, of which nothing is wanted yet.
  const below = { pause: self, resume: self, on: self, once: self };
  try {
    new Probe(below as unknown as Duplex).destroy();
  } catch (thrown) {
    if (thrown instanceof Found) return thrown.constructorOfHandle;
    throw thrown;
  }
  throw new Error(`Node ${process.version} has no class of JavaScript streams where it was looked for`);
}

export const JsStream = findClass();
