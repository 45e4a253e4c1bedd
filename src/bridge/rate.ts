/**
 * A limit of bytes a second, one budget for all connections of a bridge and both of their directions.
 *
 * A direction waits for one small piece at a time, and those that wait are served in turn: one that is busy takes no
 * more than its share. A direction that waits reads no more, so its sender waits as well. One without bytes asks for
 * nothing.
 */
import { Transform } from 'node:stream';
import { TokenBucket } from 'limiter';

const PIECE_MAX_BYTES = 16_384;
/** The budget of a pause is kept for so many parts of a second. */
const BURSTS_A_SECOND = 10;

export class Rate {
  readonly bytesPerSecond: number;
  readonly #bucket: TokenBucket;
  readonly #pieceBytes: number;

  constructor(bytesPerSecond: number) {
    this.bytesPerSecond = bytesPerSecond;
    const bucketSize = Math.ceil(bytesPerSecond / BURSTS_A_SECOND);
    this.#pieceBytes = Math.min(PIECE_MAX_BYTES, bucketSize);
    this.#bucket = new TokenBucket({ bucketSize, tokensPerInterval: bytesPerSecond, interval: 'second' });
  }

  /** A stage for one direction of a connection. */
  stage(): Transform {
    const stage = new Transform({
      highWaterMark: this.#pieceBytes,
      transform: (chunk: Buffer, _encoding, done) => {
        this.#pass(chunk, stage).then(() => {
          done();
        }, done);
      },
    });
    return stage;
  }

  async #pass(chunk: Buffer, stage: Transform): Promise<void> {
    for (let at = 0; at < chunk.length; at += this.#pieceBytes) {
      const piece = chunk.subarray(at, at + this.#pieceBytes);
      await this.#bucket.removeTokens(piece.length);
      if (stage.destroyed) return;
      stage.push(piece);
    }
  }
}
