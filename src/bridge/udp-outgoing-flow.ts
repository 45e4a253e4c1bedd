/**
 * A flow at the side of the clients: its datagrams go into the region on a stream of their own, and the answers come
 * back on it.
 *
 * Datagrams wait until the other end is ready, as many as are in a client's first burst. A target that could not be
 * reached is left alone for a moment, so that a client that sends much does not call it for each datagram.
 */
import { StpError } from '../errors';
import { clearTimeout, nowMs, setTimeout } from '../host';
import { type StpStream } from './stp-stream';
import { type Flow } from './udp-flows';
import { refusalOf, Status } from './udp-frames';
import { DatagramStream, type FlowCounts } from './udp-stream';

const FIRST_MAX_DATAGRAMS = 64;
const FIRST_MAX_BYTES = 131_072;
const PAUSE_MS = 500;

export interface OutgoingFlowOptions {
  dial(signal: AbortSignal): Promise<StpStream>;
  /** For the other end to say that it is ready. */
  readonly readyTimeoutMs: number;
  answer(datagram: Buffer): void;
  /** Once: it has ended, or never became ready for a reason. */
  over(counts: FlowCounts, failure: Error | undefined): void;
  /** Once, after that: its place is free. */
  gone(): void;
}

export class OutgoingFlow implements Flow {
  readonly #options: OutgoingFlowOptions;
  readonly #abort = new AbortController();
  readonly #openedMs = nowMs();
  #stream: DatagramStream | undefined;
  #isReady = false;
  #isEnding = false;
  #first: Buffer[] = [];
  #firstBytes = 0;
  /** Before it was ready. */
  #droppedDatagrams = 0;
  /** After a failure, until the place is given back. */
  #pause: NodeJS.Timeout | undefined;

  constructor(options: OutgoingFlowOptions) {
    this.#options = options;
    void this.#open();
  }

  get lastMs(): number {
    return this.#stream?.lastMs ?? this.#openedMs;
  }

  /** False where the next datagram of the client needs a new flow. */
  get takes(): boolean {
    return !this.#isEnding && !(this.#isReady && this.#stream?.isOver === true);
  }

  send(datagram: Buffer): void {
    if (this.#isReady) this.#stream?.send(datagram);
    else if (
      this.#pause !== undefined ||
      this.#first.length >= FIRST_MAX_DATAGRAMS ||
      this.#firstBytes + datagram.length > FIRST_MAX_BYTES
    )
      this.#droppedDatagrams += 1;
    else {
      this.#first.push(datagram);
      this.#firstBytes += datagram.length;
    }
  }

  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#abort.abort();
    this.#stream?.end();
    if (this.#pause === undefined) return;
    clearTimeout(this.#pause);
    this.#options.gone();
  }

  async #open(): Promise<void> {
    try {
      this.#use(await this.#options.dial(this.#abort.signal));
    } catch (error) {
      this.#closed(error as Error);
    }
  }

  #use(connected: StpStream): void {
    const timer = setTimeout(() => {
      stream.fail(new StpError('ETIMEDOUT', 'the other end did not say that it forwards UDP', 'UDP'));
    }, this.#options.readyTimeoutMs);
    const stream = new DatagramStream(connected, {
      preface: (status) => {
        clearTimeout(timer);
        if (status === Status.ready) this.#ready(stream);
        else stream.fail(refusalOf(status));
      },
      datagram: (bytes) => {
        this.#options.answer(bytes);
      },
      malformed: (error) => {
        stream.fail(error);
      },
      closed: (error) => {
        clearTimeout(timer);
        this.#closed(error);
      },
    });
    this.#stream = stream;
    if (this.#isEnding) stream.end();
    else stream.say(Status.call);
  }

  #ready(stream: DatagramStream): void {
    this.#isReady = true;
    for (const datagram of this.#first) stream.send(datagram);
    this.#first = [];
  }

  #closed(error: Error | undefined): void {
    const counts = this.#stream?.counts ?? { sentBytes: 0, receivedBytes: 0, droppedDatagrams: 0 };
    counts.droppedDatagrams += this.#droppedDatagrams + this.#first.length;
    this.#first = [];
    this.#options.over(counts, this.#failure(error));
    if (this.#isReady || this.#isEnding) {
      this.#isEnding = true;
      this.#options.gone();
      return;
    }
    this.#pause = setTimeout(() => {
      this.#isEnding = true;
      this.#options.gone();
    }, PAUSE_MS);
  }

  /** Why it was none; a flow that was ready and is reset has ended as flows do. */
  #failure(error: Error | undefined): Error | undefined {
    const code = (error as { code?: unknown } | undefined)?.code;
    if (this.#isReady) return code === 'ECONNRESET' ? undefined : error;
    if (this.#isEnding) return new StpError('ECONNABORTED', 'it was ended before the other end was ready', 'UDP');
    if (error !== undefined && code !== 'ECONNRESET') return error;
    return new StpError('ECONNRESET', 'the other end did not say that it forwards UDP; it needs -R udp:', 'UDP');
  }
}
