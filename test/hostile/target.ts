/** One decoder under attack. */
import { type Random } from '../engine/random';

export interface Target {
  readonly name: string;
  /** Codes of the errors that it may throw; anything else is a finding. */
  readonly errors: readonly string[];
  /** Makes one input of the numbers that come from `seed`, and decodes it. */
  run(random: Random, seed: number): void;
  /**
   * Seed of the first of the inputs that the state in which a finding was made comes from; undefined: each stands
   * alone.
   */
  readonly firstSeed?: () => number;
}
