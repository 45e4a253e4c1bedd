/**
 * How a test tells a process of its own where to kill itself, or to stand still. Its last words go to standard error.
 */
import fs from 'node:fs';
import { type CrashPoint } from '../../src/crash-points';

export interface LastWords {
  readonly point: CrashPoint;
  /** When it died, on the clock that all processes of the host share. */
  readonly atMs: number;
  /** Bytes that STPsend had acknowledged. */
  readonly acknowledged: number;
}

export const CRASH_CONTROL = Symbol.for('stp-net.test.crash-control');

export class CrashControl {
  #point: CrashPoint | undefined;
  #spare = 0;
  #stalls: readonly CrashPoint[] = [];
  #stallMs = 0;
  acknowledged = 0;

  /** This process stands still for `ms` at each of `points`, once, in their order. */
  stall(points: readonly CrashPoint[], ms: number): void {
    this.#stalls = points;
    this.#stallMs = ms;
  }

  /** Kills this process when `point` comes; `spare`: how often it is passed before. */
  arm(point: CrashPoint, spare = 0): void {
    this.#point = point;
    this.#spare = spare;
  }

  /** Installed as the hook of src/crash-points.ts. */
  readonly hook = (name: CrashPoint): void => {
    if (name === this.#stalls[0]) this.#passStall();
    if (name !== this.#point || this.#spare-- > 0) return;
    const words: LastWords = {
      point: name,
      atMs: Number(process.hrtime.bigint()) / 1e6,
      acknowledged: this.acknowledged,
    };
    fs.writeSync(2, `${JSON.stringify(words)}\n`);
    process.kill(process.pid, 'SIGKILL');
  };

  #passStall(): void {
    this.#stalls = this.#stalls.slice(1);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, this.#stallMs);
  }
}

/** What a process said last; undefined where it died of something else. */
export function lastWords(stderr: string): LastWords | undefined {
  const line = stderr.split('\n').find((text) => text.startsWith('{"point":'));
  return line === undefined ? undefined : (JSON.parse(line) as LastWords);
}
