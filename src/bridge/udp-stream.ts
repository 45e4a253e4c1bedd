/**
 * A stream of the region as a way of datagrams, and what has gone through it.
 *
 * UDP may lose datagrams, and a bridge that kept them would hold memory without end: what the stream does not take is
 * dropped and counted.
 */
import { nowMs } from '../host';
import { StpError } from '../errors';
import { type StpStream } from './stp-stream';
import { finish } from './tcp';
import { frameOf, FrameReader, prefaceOf, type Status } from './udp-frames';

/** With more waiting in the stream, the next datagram is dropped. */
const WAITING_MAX_BYTES = 65_536;

export interface FlowCounts {
  sentBytes: number;
  receivedBytes: number;
  droppedDatagrams: number;
}

export interface DatagramStreamEvents {
  preface(status: number): void;
  datagram(bytes: Buffer): void;
  /** Not what datagrams look like; to be answered by `fail` or `refuse`. */
  malformed(error: Error): void;
  /** Once; undefined where both directions have come to their ends. */
  closed(error: Error | undefined): void;
}

export class DatagramStream {
  readonly #stream: StpStream;
  /** Sent is what went into the stream. */
  readonly counts: FlowCounts = { sentBytes: 0, receivedBytes: 0, droppedDatagrams: 0 };
  /** When a datagram last came or went. */
  lastMs = nowMs();
  #error: Error | undefined;
  #over = false;

  constructor(stream: StpStream, events: DatagramStreamEvents) {
    this.#stream = stream;
    stream.isFramed = true;
    const reader = new FrameReader({
      preface: (status) => {
        if (!this.#over) events.preface(status);
      },
      datagram: (bytes) => {
        if (this.#over) return;
        this.counts.receivedBytes += bytes.length;
        this.lastMs = nowMs();
        events.datagram(bytes);
      },
    });
    const guarded = (step: () => void): void => {
      if (this.#over) return;
      try {
        step();
      } catch (error) {
        events.malformed(error as Error);
      }
    };
    stream.on('data', (chunk: Buffer) => {
      guarded(() => {
        reader.read(chunk);
      });
    });
    stream.once('end', () => {
      guarded(() => {
        reader.end();
        this.end();
      });
    });
    stream.on('error', (error) => (this.#error ??= error));
    stream.once('close', () => {
      this.#over = true;
      const isWhole = stream.readableEnded && stream.writableFinished;
      events.closed(this.#error ?? (isWhole ? undefined : new StpError('ECONNRESET', undefined, 'UDP')));
    });
  }

  get isOver(): boolean {
    return this.#over;
  }

  say(status: Status): void {
    if (!this.#over) this.#stream.write(prefaceOf(status));
  }

  send(datagram: Uint8Array): void {
    this.lastMs = nowMs();
    if (this.#over || this.#stream.writableLength > WAITING_MAX_BYTES) {
      this.counts.droppedDatagrams += 1;
      return;
    }
    this.counts.sentBytes += datagram.length;
    this.#stream.write(frameOf(datagram));
  }

  /** Reads no further until `resume`. */
  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** Ends both directions: what was sent is delivered, what still comes is not wanted. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    finish(this.#stream);
  }

  /** Resets the stream, for a reason. */
  fail(error: Error): void {
    this.#error ??= error;
    this.#over = true;
    this.#stream.destroy();
  }

  /** Tells the other end why, and ends. */
  refuse(status: Status, error: Error): void {
    this.#error ??= error;
    this.say(status);
    this.end();
  }
}
