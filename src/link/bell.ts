/**
 * Bells: FIFOs by which one process wakes another of the same kernel.
 *
 * A bell has one byte in it at most that matters: writing is all there is to it, and a full FIFO has been rung already.
 * The reader of a pair bell sees the end of the stream when its one writer has died, also across pid namespaces.
 *
 * The reading end is a `net.Socket` over the descriptor: the only public way in Node to wait for a FIFO without a
 * thread of the pool, and one that can be unref'ed. @note Node 20-26: a socket made from `fd` stays native under the
 * hook.
 */
import net from 'node:net';
import { ringFifo } from '../storage';

export const BUFFER_BYTES = 64;

export class BellReader {
  readonly #socket: net.Socket;

  /**
   * Takes over `fd`. `rung` is called when it was rung, with what was written: the first bytes of a buffer, good for
   * the length of the call. `gone` is called once when the last writer is gone.
   */
  constructor(fd: number, rung: (lengthBytes: number, buffer: Buffer) => void, gone: () => void) {
    const buffer = Buffer.alloc(BUFFER_BYTES);
    const callback = (lengthBytes: number): boolean => {
      rung(lengthBytes, buffer);
      return true;
    };
    // @types/node keeps `onread` to connect(), Node takes it here as well.
    const options: net.SocketConstructorOpts & { onread: net.OnReadOpts } = {
      fd,
      readable: true,
      writable: false,
      onread: { buffer, callback },
    };
    this.#socket = new net.Socket(options);
    let over = false;
    const end = (): void => {
      if (over) return;
      over = true;
      gone();
    };
    this.#socket.on('end', end).on('error', end).on('close', end);
    this.#socket.resume();
    this.#socket.unref();
  }

  ref(): void {
    this.#socket.ref();
  }

  unref(): void {
    this.#socket.unref();
  }

  close(): void {
    this.#socket.removeAllListeners();
    this.#socket.on('error', () => undefined);
    this.#socket.destroy();
  }
}

/** Rings; false where no process is there to hear it any more. */
export function ring(fd: number, bytes?: Uint8Array): boolean {
  return ringFifo(fd, bytes);
}

/** False where no process hears it: then the end of the other bell tells more. */
export function ringQuietly(fd: number): boolean {
  try {
    return ring(fd);
  } catch {
    return false;
  }
}
