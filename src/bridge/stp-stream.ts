/**
 * A connection of the region as a Duplex of Node's: each direction ends by itself, and what is destroyed before both
 * have ended is reset, as with a socket.
 *
 * Bytes come straight from the log where the stream wants them. What it does not want yet stays in the receive window,
 * so that memory is bounded and the sender waits.
 */
import { Duplex } from 'node:stream';
import {
  MSG_DONTWAIT,
  PF_STP,
  SO_LINGER,
  SOCK_STREAM,
  SOL_SOCKET,
  STP_CONNECT_TIMEOUT,
  STP_DEATH_AS_TCP,
  STP_WATCHER,
  STPclose,
  STPconnect,
  StpError,
  STPgethostname,
  STPgetpeername,
  STPrecv,
  STPsend,
  STPsetopt,
  STPsetsockopt,
  STPshutdown,
  STPsocket,
} from '../index';
import { type StpAddress } from './address';
import { beginsFramed } from './udp-frames';

const CHUNK_BYTES = 65_536;
/** STPshutdown: the outgoing direction. */
const SENDING = 1;
const RESET = { onoff: true, linger: 0 } as const;

const scratch = Buffer.allocUnsafeSlow(CHUNK_BYTES);

type Done = (error?: Error | null) => void;

/** A write of which some is still to be sent. */
interface Rest {
  bytes: Uint8Array;
  readonly done: Done;
}

export class StpStream extends Duplex {
  readonly #s: number;
  /** The stream asks for bytes. */
  #wants = false;
  /** The peer has ended its direction. */
  #ended = false;
  /** We have ended ours. */
  #finished = false;
  #rest: Rest | undefined;
  /** Datagrams of UDP come through it. Else a stream that begins as one of those is reset: one end is a mistake. */
  isFramed = false;
  #hasBegun = false;

  /** `descriptor` is connected, and this stream's from now on. */
  constructor(descriptor: number) {
    super({ allowHalfOpen: true });
    this.#s = descriptor;
    STPsetopt(descriptor, STP_DEATH_AS_TCP, true);
    STPsetopt(descriptor, STP_WATCHER, {
      wants: () => (this.#wants ? CHUNK_BYTES : 0),
      received: (bytes) => {
        this.#give(Buffer.from(bytes));
      },
      readable: () => {
        if (this.#wants) this.#receive();
      },
      writable: () => {
        this.#sendRest();
      },
      reset: () => {
        this.destroy(new StpError('ECONNRESET'));
      },
    });
  }

  /** The other end, and this one; throws once the stream is closed. */
  get peer(): StpAddress {
    return STPgetpeername(this.#s);
  }

  get own(): StpAddress {
    return STPgethostname(this.#s);
  }

  override _read(): void {
    if (this.#wants) return;
    this.#wants = true;
    this.#receive();
  }

  #receive(): void {
    try {
      while (this.#wants && !this.destroyed) {
        const bytes = STPrecv(this.#s, scratch, CHUNK_BYTES, MSG_DONTWAIT) as number;
        if (bytes < 0) return;
        if (bytes > 0) this.#give(Buffer.from(scratch.subarray(0, bytes)));
        else {
          this.#ended = true;
          this.#wants = false;
          this.push(null);
        }
      }
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  #give(bytes: Buffer): void {
    if (!this.#hasBegun && !this.isFramed && beginsFramed(bytes)) {
      this.#wants = false;
      this.destroy(new StpError('EPROTOTYPE', 'the other end forwards UDP, and this one TCP'));
      return;
    }
    this.#hasBegun = true;
    this.#wants = this.push(bytes);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#rest = { bytes: chunk, done };
    this.#sendRest();
  }

  #sendRest(): void {
    const rest = this.#rest;
    if (rest === undefined || this.destroyed) return;
    try {
      const { bytes } = rest;
      const sent = Math.max(0, STPsend(this.#s, bytes, bytes.length, MSG_DONTWAIT) as number);
      if (sent < bytes.length) {
        rest.bytes = bytes.subarray(sent);
        return;
      }
    } catch (error) {
      this.#rest = undefined;
      rest.done(error as Error);
      return;
    }
    this.#rest = undefined;
    rest.done();
  }

  override _final(done: Done): void {
    try {
      STPshutdown(this.#s, SENDING);
      this.#finished = true;
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  override _destroy(error: Error | null, done: Done): void {
    // A stream that did not come to its end on both sides must not look as if it had.
    if (error !== null || !this.#ended || !this.#finished) STPsetsockopt(this.#s, SOL_SOCKET, SO_LINGER, RESET);
    const rest = this.#rest;
    this.#rest = undefined;
    rest?.done(error ?? new StpError('ECONNABORTED'));
    const closed = (): void => {
      done(error);
    };
    // Closed is what has been delivered, or was reset.
    STPclose(this.#s).then(closed, closed);
  }
}

/** Connects to a port of a system; rejects with the StpError of STPconnect. `signal` gives it up. */
export async function connectStp(to: StpAddress, timeoutMs: number, signal?: AbortSignal): Promise<StpStream> {
  const s = STPsocket(PF_STP, SOCK_STREAM, PF_STP);
  const giveUp = (): void => {
    // Rejects the connect with ECONNABORTED.
    STPclose(s).catch(() => undefined);
  };
  signal?.addEventListener('abort', giveUp, { once: true });
  try {
    STPsetopt(s, STP_CONNECT_TIMEOUT, timeoutMs);
    await STPconnect(s, to.system === '' ? { port: to.port } : { system: to.system, port: to.port });
    return new StpStream(s);
  } catch (error) {
    if (signal?.aborted !== true) STPclose(s).catch(() => undefined);
    throw error;
  } finally {
    signal?.removeEventListener('abort', giveUp);
  }
}
