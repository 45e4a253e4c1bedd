/**
 * Datagrams in a stream of the region: a preface of ten bytes in each direction, then each datagram behind its length.
 *
 * The side that connects says `call`, the other answers `ready` or why not. Neither sends a datagram before `ready`. So
 * a stream of another kind is noticed before anything has come out of it at the wrong place, also where the other end
 * sends back what it gets. No more than one datagram is ever kept.
 */
import { type ErrorCode, StpError } from '../errors';

/** Its first byte begins no text, and no protocol in wide use. */
const MAGIC = Buffer.from('\x89STP-UDP', 'latin1');
const VERSION = 1;
const PREFACE_BYTES = MAGIC.length + 2;
const LENGTH_BYTES = 2;
/** Of UDP over IPv6; over IPv4 it is 20 bytes less. */
export const DATAGRAM_MAX_BYTES = 65_527;

/** What a preface says. All but the first two are refusals. */
export const Status = {
  call: 0,
  ready: 1,
  notFramed: 2,
  otherVersion: 3,
  tooManyFlows: 4,
  notAllowed: 5,
  noSuchHost: 6,
  failed: 7,
} as const;
export type Status = (typeof Status)[keyof typeof Status];

const REFUSALS: Readonly<Record<number, readonly [code: ErrorCode, why: string]>> = {
  [Status.call]: ['EPROTOTYPE', 'the other end sends back what it gets; -R udp:port:host:port is wanted there'],
  [Status.notFramed]: ['EPROTOTYPE', 'the other end forwards UDP, and this one TCP'],
  [Status.otherVersion]: ['EPROTOTYPE', 'the other end frames UDP in another version'],
  [Status.tooManyFlows]: ['EMFILE', 'the other end has as many flows as its --max-flows allows'],
  [Status.notAllowed]: ['EACCES', 'the rules of the other end'],
  [Status.noSuchHost]: ['EHOSTUNREACH', 'the other end finds no host of that name'],
};

/** The error of a refusal. */
export function refusalOf(status: number): StpError {
  const [code, why] = REFUSALS[status] ?? ['EIO', 'the other end could not forward it'];
  return new StpError(code, why, 'UDP');
}

export function prefaceOf(status: Status): Buffer {
  return Buffer.from([...MAGIC, VERSION, status]);
}

/** True where a stream begins as one of datagrams does. */
export function beginsFramed(first: Uint8Array): boolean {
  return first.length >= MAGIC.length && MAGIC.equals(first.subarray(0, MAGIC.length));
}

export function frameOf(datagram: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + datagram.length);
  frame.writeUInt16BE(datagram.length);
  frame.set(datagram, LENGTH_BYTES);
  return frame;
}

/** Cut anywhere, as streams are. */
interface Piece {
  readonly bytes: Buffer;
  filled: number;
}

export interface FrameEvents {
  preface(status: number): void;
  datagram(bytes: Buffer): void;
}

export class FrameReader {
  readonly #events: FrameEvents;
  readonly #preface: Piece = { bytes: Buffer.alloc(PREFACE_BYTES), filled: 0 };
  /** A length that has not come whole. */
  #length: Piece | undefined;
  /** A datagram that has not come whole. */
  #datagram: Piece | undefined;

  constructor(events: FrameEvents) {
    this.#events = events;
  }

  /** What comes next. Throws EPROTOTYPE where it is no preface, EINVAL where it is no frame. */
  read(chunk: Buffer): void {
    let rest = chunk;
    if (this.#preface.filled < PREFACE_BYTES) rest = this.#readPreface(rest);
    while (rest.length > 0) rest = this.#readFrame(rest);
  }

  /** Nothing comes any more. Throws EINVAL where something is missing. */
  end(): void {
    const isWhole = this.#length === undefined && this.#datagram === undefined;
    if (this.#preface.filled < PREFACE_BYTES)
      throw new StpError('EPROTOTYPE', 'the stream ended before it said that it is one of UDP', 'UDP');
    if (!isWhole) throw new StpError('EINVAL', 'the stream ended within a datagram', 'UDP');
  }

  #readPreface(chunk: Buffer): Buffer {
    const rest = fill(this.#preface, chunk);
    const { bytes, filled } = this.#preface;
    const known = Math.min(filled, MAGIC.length);
    // At the first byte that differs: the rest of it may never come.
    if (!bytes.subarray(0, known).equals(MAGIC.subarray(0, known)))
      throw new StpError('EPROTOTYPE', 'the other end forwards TCP, and this one UDP', 'UDP');
    if (filled < PREFACE_BYTES) return rest;
    if (bytes[MAGIC.length] !== VERSION) throw refusalOf(Status.otherVersion);
    this.#events.preface(bytes[MAGIC.length + 1] ?? Status.failed);
    return rest;
  }

  #readFrame(chunk: Buffer): Buffer {
    if (this.#datagram !== undefined) return this.#readDatagram(this.#datagram, chunk);
    if (this.#length === undefined && chunk.length >= LENGTH_BYTES)
      return this.#begin(checkedLength(chunk), chunk.subarray(LENGTH_BYTES));
    this.#length ??= { bytes: Buffer.alloc(LENGTH_BYTES), filled: 0 };
    const { bytes } = this.#length;
    const rest = fill(this.#length, chunk);
    if (this.#length.filled < LENGTH_BYTES) return rest;
    this.#length = undefined;
    return this.#begin(checkedLength(bytes), rest);
  }

  #begin(lengthBytes: number, rest: Buffer): Buffer {
    if (rest.length >= lengthBytes) {
      // As it lies there, without a copy.
      this.#events.datagram(rest.subarray(0, lengthBytes));
      return rest.subarray(lengthBytes);
    }
    this.#datagram = { bytes: Buffer.allocUnsafe(lengthBytes), filled: 0 };
    return this.#readDatagram(this.#datagram, rest);
  }

  #readDatagram(datagram: Piece, chunk: Buffer): Buffer {
    const rest = fill(datagram, chunk);
    if (datagram.filled === datagram.bytes.length) {
      this.#datagram = undefined;
      this.#events.datagram(datagram.bytes);
    }
    return rest;
  }
}

/** Copies as much as is missing; returns what is behind it. */
function fill(piece: Piece, chunk: Buffer): Buffer {
  const taken = chunk.copy(piece.bytes, piece.filled);
  piece.filled += taken;
  return chunk.subarray(taken);
}

function checkedLength(bytes: Buffer): number {
  const lengthBytes = bytes.readUInt16BE();
  if (lengthBytes > DATAGRAM_MAX_BYTES)
    throw new StpError('EINVAL', `a datagram of ${lengthBytes} bytes, more than UDP has`, 'UDP');
  return lengthBytes;
}
