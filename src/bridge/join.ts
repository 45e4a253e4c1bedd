/**
 * Joins two connections, so that neither end can tell that there are two: bytes, the end of each direction, and
 * resets.
 *
 * A side that reads slowly makes its other side wait; nothing is kept beyond the buffers of the two streams.
 */
import { type Duplex, type Readable } from 'node:stream';
import { clearInterval, nowMs, setInterval } from '../host';
import { type Rate } from './rate';
import { endWritten, reset } from './tcp';

export interface JoinCounts {
  /** Bytes from the first to the second, and back. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/** Looks for silence in each idle time-out. */
const IDLE_LOOKS = 4;

/** Both directions came to their ends, and all was delivered to the stream. */
function isComplete(stream: Duplex): boolean {
  return stream.readableEnded && stream.writableFinished && stream.errored === null;
}

export interface JoinOptions {
  /** Both are reset after so long a silence; 0: never. */
  readonly idleTimeoutMs: number;
  readonly rate: Rate | undefined;
}

/** Resolves when both are closed. */
export function join(one: Duplex, two: Duplex, { idleTimeoutMs, rate }: JoinOptions): Promise<JoinCounts> {
  // Without a limit there is no stage between.
  const [there, back] = rate === undefined ? [one, two] : [rate.stage(), rate.stage()];
  return new Promise((resolve) => {
    let sentBytes = 0;
    let receivedBytes = 0;
    let open = 2;
    const stopWatching = watchIdle(
      () => sentBytes + receivedBytes,
      idleTimeoutMs,
      () => {
        reset(one);
        reset(two);
      },
    );
    const closed = (stream: Duplex, other: Duplex): void => {
      if (!isComplete(stream)) {
        reset(other);
        if (rate !== undefined) for (const stage of [there, back]) stage.destroy();
      }
      open -= 1;
      if (open > 0) return;
      stopWatching();
      resolve({ sentBytes, receivedBytes });
    };
    const watch = (stream: Duplex, other: Duplex): void => {
      // Told by 'close'.
      stream.on('error', () => undefined);
      if (stream.closed) closed(stream, other);
      else
        stream.once('close', () => {
          closed(stream, other);
        });
    };
    watch(one, two);
    watch(two, one);
    there.on('data', (chunk: Buffer) => {
      sentBytes += chunk.length;
    });
    back.on('data', (chunk: Buffer) => {
      receivedBytes += chunk.length;
    });
    if (there !== one) one.pipe(there);
    if (back !== two) two.pipe(back);
    there.pipe(two, { end: false });
    back.pipe(one, { end: false });
    whenEnded(there, () => {
      endWritten(two);
    });
    whenEnded(back, () => {
      endWritten(one);
    });
  });
}

/** A client may have ended already, before its target was connected. */
export function whenEnded(stream: Readable, ended: () => void): void {
  if (stream.readableEnded) ended();
  else stream.once('end', ended);
}

/** Calls `silent` once the count has not changed for so long. Returns what ends the watch. */
export function watchIdle(count: () => number, timeoutMs: number, silent: () => void): () => void {
  if (timeoutMs === 0) return () => undefined;
  let last = count();
  let sinceMs = nowMs();
  const timer = setInterval(() => {
    const now = count();
    if (now !== last) {
      last = now;
      sinceMs = nowMs();
    } else if (nowMs() - sinceMs >= timeoutMs) silent();
  }, timeoutMs / IDLE_LOOKS);
  return () => {
    clearInterval(timer);
  };
}
