/** What the tests of hand-overs are written with. */
import { Network, type Probe } from './network';

export const big = Buffer.from(Uint8Array.from({ length: 100_000 }, (_, i) => (i * 11 + (i >> 7)) & 0xff));

export function small(mechanism: 'ring' | 'frames', processes: number): Network {
  return new Network({ mechanism, processes, capacityBytes: mechanism === 'ring' ? 4096 : 16_384, windowBytes: 6000 });
}

/** What was told last: where a given socket is. */
export function lastOf(probe: Probe): string | undefined {
  return probe.told.at(-1);
}
