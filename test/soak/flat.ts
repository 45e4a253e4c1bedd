/** Whether something that is measured again and again grows: its middle and its end are compared, by their medians. */

export interface Trend {
  readonly name: string;
  readonly middle: number;
  readonly end: number;
  readonly flat: boolean;
}

/** Samples fewer than this tell nothing. */
export const SAMPLES_MIN = 12;

/** Growth up to `share` of the middle, or `slack`, is none. */
export function trendOf(name: string, values: readonly number[], slack: number, share = 0.15): Trend {
  const quarter = Math.floor(values.length / 4);
  const middle = median(values.slice(quarter, 2 * quarter));
  const end = median(values.slice(-quarter));
  return { name, middle, end, flat: values.length < SAMPLES_MIN || end <= middle + Math.max(slack, middle * share) };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}
