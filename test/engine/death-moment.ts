/** A moment within a turn at which a simulated process may die. */
import { type DiskImage } from '../../src/storage/simulated-image';
import { type Tally } from './tally';

export interface Moment {
  /** `file`: before a file is made, written or removed; else a crash point. */
  readonly name: string;
  readonly kind: keyof Tally;
  /** What others can see of the process from then on. */
  readonly image: DiskImage;
}

/** Moments of a hand-over are rare, and the worst to die at. */
const HAND_OVER_WEIGHT = 6;

/** How likely this moment is chosen, against others of the turn. */
export function weightOf(name: string): number {
  return kindOf(name) === 'diedAtHandOver' ? HAND_OVER_WEIGHT : 1;
}

export function momentOf(name: string, image: DiskImage): Moment {
  return { name, kind: kindOf(name), image };
}

function kindOf(name: string): keyof Tally {
  if (name === 'file') return 'diedAtFile';
  if (name.startsWith('publish.')) return 'diedAtPublish';
  if (name === 'data.delivered' || name === 'data.consumed' || name === 'data.told') return 'diedAtRead';
  return name.startsWith('take.') || name.startsWith('give.') ? 'diedAtHandOver' : 'diedAtRecord';
}
