/**
 * One connection of a soak of bridges: the client sends a stream of a random length and gets another back, each byte of
 * both checked, each direction ended by itself. Plain TCP: neither end knows of a bridge.
 */
import { type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pattern } from '../../calls/pattern';
import { type Random } from '../../engine/random';
import { decodeOpening, encodeOpening, type Opening, OPENING_BYTES } from './messages';

const PIECE_BYTES_MAX = 60_000;
/** An end that waits so long for the next byte waits for ever. */
const STALL_MS = 120_000;

/** What the other end did that no living end does, and no death explains. */
export class Mismatch extends Error {}

/** The other end is gone before its end. */
export class CutShort extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** The bytes of the other end, checked as they come. */
export class Incoming {
  readonly #pieces: AsyncIterator<Buffer, unknown>;
  #rest = Buffer.alloc(0);

  constructor(socket: Socket) {
    socket.setTimeout(STALL_MS, () => {
      socket.destroy(new Mismatch(`no byte for ${STALL_MS} ms`));
    });
    // An end of one direction must not close the other one.
    this.#pieces = socket.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]() as AsyncIterator<
      Buffer,
      unknown
    >;
  }

  async #next(): Promise<Buffer | undefined> {
    if (this.#rest.length > 0) {
      const rest = this.#rest;
      this.#rest = Buffer.alloc(0);
      return rest;
    }
    const { done, value } = await this.#pieces.next();
    return done === true ? undefined : value;
  }

  async opening(): Promise<Opening> {
    let bytes = Buffer.alloc(0);
    while (bytes.length < OPENING_BYTES) {
      const piece = await this.#next();
      if (piece === undefined) throw new CutShort('end');
      bytes = Buffer.concat([bytes, piece]);
    }
    this.#rest = bytes.subarray(OPENING_BYTES);
    const opening = decodeOpening(bytes.subarray(0, OPENING_BYTES));
    if (opening === undefined) throw new Mismatch(`wrong opening ${bytes.toString('hex', 0, OPENING_BYTES)}`);
    return opening;
  }

  /** Bytes 0 to `bytes` of a stream. Returns where it stopped: after at least `enough`. */
  async check(stream: number, bytes: number, enough = bytes): Promise<number> {
    let at = 0;
    while (at < enough) {
      const piece = await this.#next();
      if (piece === undefined) throw new CutShort('end');
      if (at + piece.length > bytes) throw new Mismatch(`stream ${stream} is longer than ${bytes} bytes`);
      if (!piece.equals(pattern(stream, at, piece.length)))
        throw new Mismatch(`stream ${stream} is wrong between ${at} and ${at + piece.length}`);
      at += piece.length;
    }
    return at;
  }

  async end(): Promise<void> {
    if ((await this.#next()) !== undefined) throw new Mismatch('there is more than was sent');
  }
}

/** A stream in pieces of random sizes. */
function* pieces(random: Random, opening: Buffer, stream: number, bytes: number): Generator<Buffer> {
  yield opening;
  for (let at = 0; at < bytes;) {
    const wanted = random.chance(0.3) ? random.between(1, 200) : random.between(200, PIECE_BYTES_MAX);
    const length = Math.min(wanted, bytes - at);
    yield pattern(stream, at, length);
    at += length;
  }
}

function send(socket: Socket, random: Random, opening: Opening, stream: number): Promise<void> {
  return pipeline(Readable.from(pieces(random, encodeOpening(opening), stream, opening.bytes)), socket);
}

/** The client's part. Resolves with false where it has left early, as the opening says. */
export async function ask(socket: Socket, random: Random, opening: Opening): Promise<boolean> {
  const incoming = new Incoming(socket);
  const question = send(socket, random, opening, opening.stream);
  if (opening.leaves) {
    question.catch(() => undefined);
    await incoming.opening();
    await incoming.check(opening.stream + 1, opening.bytes, random.between(0, opening.bytes >> 1));
    if (random.chance(0.5)) socket.resetAndDestroy();
    else socket.destroy();
    return false;
  }
  await both(question, answered(incoming, opening));
  return true;
}

async function answered(incoming: Incoming, opening: Opening): Promise<void> {
  const answer = await incoming.opening();
  if (answer.stream !== opening.stream) throw new Mismatch(`the answer to ${answer.stream}, not ${opening.stream}`);
  await incoming.check(opening.stream + 1, opening.bytes);
  await incoming.end();
}

/** The server's part. `met` is told what the client says of itself. */
export async function respond(socket: Socket, random: Random, met: (opening: Opening) => void): Promise<number> {
  const incoming = new Incoming(socket);
  const opening = await incoming.opening();
  met(opening);
  const question = async (): Promise<void> => {
    await incoming.check(opening.stream, opening.bytes);
    await incoming.end();
  };
  await both(send(socket, random, opening, opening.stream + 1), question());
  return opening.bytes;
}

/** Both to their ends, also where one fails: a failure of the bytes is worth more than that of the connection. */
async function both(...parts: readonly Promise<void>[]): Promise<void> {
  const failures = (await Promise.allSettled(parts)).flatMap((end) =>
    end.status === 'rejected' ? [end.reason as Error] : [],
  );
  failures.sort((a, b) => Number(b instanceof Mismatch) - Number(a instanceof Mismatch));
  if (failures[0] !== undefined) throw failures[0];
}
