/**
 * What must be true of a connection, seen from outside: who sent how much, what was read, and why it may have been
 * reset.
 *
 * The bytes are a function of connection, direction and offset, so each byte read is checked for its place, wherever
 * its end was handed over to meanwhile.
 */
import { type EngineSocket } from '../../src/engine';
import { seededRandom } from '../../src/storage/simulated-disk';

const PATTERN_BYTES = 65_536;
const pattern = makePattern();

function makePattern(): Buffer {
  const random = seededRandom(20_000);
  const once = Buffer.from(Uint8Array.from({ length: PATTERN_BYTES }, () => Math.floor(random() * 256)));
  return Buffer.concat([once, once]);
}

/** Something that must never be, with what is known about it. */
export class SimulationFailure extends Error {
  override readonly name = 'SimulationFailure';
}

export function fail(what: string): never {
  throw new SimulationFailure(what);
}

/** One end of a connection, whichever process holds it. */
export class End {
  readonly connection: Connection;
  readonly side: 0 | 1;
  /** Bytes that the owner handed to the engine for sending. */
  sent = 0;
  /** The owner will send no more. */
  finSent = false;
  /** Bytes that the owner has read. */
  received = 0;
  eofSeen = false;
  /** The owner let go of it. */
  closed = false;
  /** shutdown(0): what arrives is dropped. */
  deaf = false;
  /** The socket of the engine that holds it, the last one if none does. */
  socket: EngineSocket | null = null;
  /** The process of that socket. */
  process = 0;
  readonly #base: number;

  constructor(connection: Connection, side: 0 | 1) {
    this.connection = connection;
    this.side = side;
    this.#base = Math.imul(connection.id * 2 + side, 40_503) & (PATTERN_BYTES - 1);
  }

  get other(): End {
    return this.connection.ends[this.side === 0 ? 1 : 0];
  }

  /** Own and other address, whoever holds the end. */
  checkIps({ local, remote }: EngineSocket): void {
    const { clientIp, calledIp, serverIp } = this.connection;
    const [own, other] = this.side === 0 ? [clientIp, calledIp] : [serverIp, clientIp];
    if (local.ip !== own || remote.ip !== other)
      fail(`${this.name}: has the addresses "${local.ip}" and "${remote.ip}", not "${own}" and "${other}"`);
  }

  get name(): string {
    return `${this.connection.id}${this.side === 0 ? 'c' : 's'}`;
  }

  /** The next `length` bytes to send; not to be changed. */
  next(length: number): Buffer {
    const at = (this.#base + this.sent) % PATTERN_BYTES;
    return pattern.subarray(at, at + length);
  }

  /** Bytes have been read; `peeked` ones are read again. */
  check(bytes: Buffer, length: number, peeked: boolean): void {
    const { other } = this;
    const at = (other.#base + this.received) % PATTERN_BYTES;
    if (this.received + length > other.sent)
      fail(`${this.name}: ${length} bytes at ${this.received}, only ${other.sent} were sent`);
    if (this.eofSeen) fail(`${this.name}: ${length} bytes after the end of the stream`);
    if (bytes.compare(pattern, at, at + length, 0, length) !== 0)
      fail(`${this.name}: wrong bytes in [${this.received}, ${this.received + length})`);
    if (!peeked) this.received += length;
  }

  /**
   * `died`: the process of the other end is gone before its FIN went out, and that is the end of the stream. What its
   * program had written and the library still held for credit is lost with it, as what lies in a program's own buffers
   * is with TCP.
   */
  checkEnd(died: boolean): void {
    const { other } = this;
    if (died) {
      this.eofSeen = true;
      return;
    }
    if (!other.finSent) fail(`${this.name}: end of stream, but the other end goes on`);
    if (this.received !== other.sent) fail(`${this.name}: end of stream after ${this.received} of ${other.sent} bytes`);
    this.eofSeen = true;
  }
}

export class Connection {
  readonly id: number;
  readonly ends: [End, End];
  /** Why it may be reset. */
  readonly causes = new Set<string>();
  accepted = false;
  /** The process that was asked, or has accepted. */
  server = 0;
  /** Any listener at the port may take it. */
  shared = false;
  /** Its client is connected before anybody has accepted. */
  queued = false;
  /** The IP addresses of the client, of what it called, and of the socket that was accepted; '' none. */
  clientIp = '';
  calledIp = '';
  serverIp = '';

  constructor(id: number) {
    this.id = id;
    this.ends = [new End(this, 0), new End(this, 1)];
  }

  /** Who had accepted it died before the client knew: another may. */
  beginAgain(): void {
    this.accepted = false;
    this.ends[1] = new End(this, 1);
  }

  /** True where a reset has a cause: an actor, a death, or bytes sent to an end whose owner has closed. */
  get mayReset(): boolean {
    return this.causes.size > 0 || this.ends.some((end) => end.closed && end.other.sent > end.received);
  }
}

/** A socket that was given away, or offered. */
export interface Gift {
  readonly end: End;
  readonly process: number;
  readonly epoch: number;
  readonly socket: number;
  readonly generation: number;
  readonly secret: Uint8Array;
  /** Who may take it; 0 anyone. */
  readonly client: number;
  offered: boolean;
  committed: boolean;
  /** When the giver was told that it is taken, ticks. */
  committedTick: number;
  /** Right takes tried so far. */
  tries: number;
  won: boolean;
}
