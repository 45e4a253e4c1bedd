/** What a schedule is about: how likely actors do what, how slow the disk is, how small logs and windows are. */
import { type Random } from './random';

export interface Theme {
  readonly rounds: number;
  readonly bytesMax: number;
  readonly delayTicksMax: number;
  readonly ringDelayTicksMax: number;
  readonly sameHostChance: number;
  readonly socketsMax: number;
  readonly windows: readonly number[];
  readonly ringBytes: number;
  readonly framesBytes: number;
  /** Bits: which links are rings. */
  readonly mechanisms: number;
  readonly pauseChance: number;
  readonly listenChance: number;
  readonly listenerCloseChance: number;
  readonly connectChance: number;
  /** Of the connects: those that any listener at the port may take. */
  readonly sharedChance: number;
  /** Of the connects: those that are complete when they are queued. */
  readonly earlyChance: number;
  /** Of these, bytes before the accept; of listeners, requests that wait. */
  readonly earlyBytes: number;
  /** Of the sockets: those to which a death is the end of the stream where all was read. */
  readonly deathAsTcpChance: number;
  /** A process is held up for long. */
  readonly stallChance: number;
  readonly giveUpChance: number;
  readonly giveChance: number;
  readonly takeChance: number;
  readonly giverCloseChance: number;
  readonly closeChance: number;
  readonly hardCloseChance: number;
  readonly shutdownChance: number;
  readonly deathChance: number;
  readonly throwChance: number;
  readonly faults: boolean;
}

export function chooseTheme(random: Random): Theme {
  const late = random.chance(0.5);
  const handOver = random.chance(0.5);
  const deadly = random.chance(0.3);
  const short = random.chance(0.3);
  const tiny = random.chance(0.1);
  const shared = random.chance(0.4);
  const early = random.chance(0.5);
  return {
    rounds: random.between(15, 70),
    bytesMax: tiny ? 60 : random.pick([200, 10_000, 60_000]),
    delayTicksMax: late ? random.between(1, 8) : 0,
    ringDelayTicksMax: late && random.chance(0.5) ? random.between(1, 5) : 0,
    sameHostChance: random.pick([0, 0.5, 1]),
    socketsMax: random.pick([3, 8, 40]),
    windows: tiny ? [1, 7] : random.pick([[4096], [256, 4096], [4096, 65_536]]),
    ringBytes: random.pick([4096, 8192, 65_536]),
    framesBytes: random.pick([16_384, 16_384, 32_768]),
    mechanisms: random.below(1 << 28),
    pauseChance: random.pick([0.05, 0.2, 0.5]),
    listenChance: random.pick([0.1, 0.3]),
    listenerCloseChance: random.pick([0, 0.02]),
    connectChance: random.pick([0.1, 0.3, 0.6]),
    sharedChance: shared ? random.pick([0.5, 1]) : 0,
    earlyChance: early ? random.pick([0.5, 1]) : 0,
    earlyBytes: random.pick([1, 100, 3000, 65_536]),
    deathAsTcpChance: random.pick([0, 0.5, 1]),
    stallChance: shared || random.chance(0.1) ? random.pick([0, 0.03, 0.1]) : 0,
    giveUpChance: random.pick([0, 0, 0.05]),
    giveChance: handOver ? random.pick([0.05, 0.2]) : 0,
    takeChance: handOver ? random.pick([0.3, 0.8]) : 0,
    giverCloseChance: random.pick([0, 0, 0.03]),
    closeChance: short ? 0.1 : 0.01,
    hardCloseChance: random.pick([0, 0, 0.02]),
    shutdownChance: random.pick([0.005, 0.05]),
    deathChance: deadly ? random.pick([0.003, 0.01]) : 0,
    throwChance: random.chance(0.2) ? 0.05 : 0,
    faults: random.chance(0.08),
  };
}
