/**
 * A flow at the side of the server: a stream that came from the region, and a socket of UDP that is its alone, so that
 * no client gets an answer of another.
 *
 * Until the stream has said that it is one of datagrams nothing is sent to it, and no socket is made.
 */
import type dgram from 'node:dgram';
import { StpError } from '../errors';
import { clearTimeout, setTimeout } from '../host';
import { type Target } from './rules';
import { type StpStream } from './stp-stream';
import { type Flow } from './udp-flows';
import { refusalOf, Status } from './udp-frames';
import { connectUdp, hasRoom } from './udp-socket';
import { DatagramStream, type FlowCounts } from './udp-stream';

export interface IncomingFlowOptions {
  readonly to: Target;
  readonly callTimeoutMs: number;
  /** Takes a place for it; throws where there is none (EMFILE), or where the target is not allowed (EACCES). */
  admit(): void;
  /** Something is wrong, and the flow goes on. */
  trouble(error: Error): void;
  /** Once. The failure is why it was none, or what was wrong in it. */
  closed(counts: FlowCounts, failure: Error | undefined): void;
}

const REFUSED: Readonly<Record<string, Status>> = {
  EPROTOTYPE: Status.notFramed,
  EMFILE: Status.tooManyFlows,
  EACCES: Status.notAllowed,
  ENOTFOUND: Status.noSuchHost,
};

function codeOf(error: Error): string {
  return String((error as { code?: unknown }).code);
}

export class IncomingFlow implements Flow {
  readonly #options: IncomingFlowOptions;
  readonly #stream: DatagramStream;
  readonly #callTimer: NodeJS.Timeout;
  #socket: dgram.Socket | undefined;
  /** What came with the call itself, in the same piece. */
  #first: Buffer[] = [];
  #isTold = false;

  constructor(stream: StpStream, options: IncomingFlowOptions) {
    this.#options = options;
    this.#callTimer = setTimeout(() => {
      this.#stream.fail(new StpError('ETIMEDOUT', 'the other end did not say that it forwards UDP', 'UDP'));
    }, options.callTimeoutMs);
    this.#stream = new DatagramStream(stream, {
      preface: (status) => {
        clearTimeout(this.#callTimer);
        if (status === Status.call) void this.#call();
        else this.#stream.fail(refusalOf(Status.notFramed));
      },
      datagram: (bytes) => {
        if (this.#socket === undefined) this.#first.push(bytes);
        else this.#send(bytes);
      },
      malformed: (error) => {
        // Once it was ready, a refusal would look like a datagram.
        if (this.#socket === undefined) this.#refuse(error);
        else this.#stream.fail(error);
      },
      closed: (error) => {
        this.#closed(error);
      },
    });
  }

  get lastMs(): number {
    return this.#stream.lastMs;
  }

  end(): void {
    this.#stream.end();
  }

  async #call(): Promise<void> {
    // No more than the piece of the stream that is being read is kept.
    this.#stream.pause();
    let socket: dgram.Socket;
    try {
      this.#options.admit();
      socket = await connectUdp(this.#options.to.host, this.#options.to.port);
    } catch (error) {
      this.#refuse(error as Error);
      return;
    }
    if (this.#stream.isOver) {
      socket.close();
      return;
    }
    this.#socket = socket;
    socket.on('error', (error) => {
      this.#trouble(error);
    });
    socket.on('message', (bytes) => {
      this.#stream.send(bytes);
    });
    this.#stream.say(Status.ready);
    for (const datagram of this.#first) this.#send(datagram);
    this.#first = [];
    this.#stream.resume();
  }

  #send(datagram: Buffer): void {
    if (this.#socket === undefined || !hasRoom(this.#socket)) {
      this.#stream.counts.droppedDatagrams += 1;
      return;
    }
    this.#socket.send(datagram, (error) => {
      if (error === null) return;
      this.#stream.counts.droppedDatagrams += 1;
      this.#trouble(error);
    });
  }

  /** Nothing listens there, or a datagram is too long: the next one may get through. Told once. */
  #trouble(error: Error): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#options.trouble(error);
  }

  #refuse(error: Error): void {
    this.#stream.refuse(REFUSED[codeOf(error)] ?? Status.failed, error);
  }

  #closed(error: Error | undefined): void {
    clearTimeout(this.#callTimer);
    this.#first = [];
    this.#socket?.close();
    const wasCut = this.#socket !== undefined && error !== undefined && codeOf(error) === 'ECONNRESET';
    this.#options.closed(this.#stream.counts, wasCut ? undefined : error);
  }
}
