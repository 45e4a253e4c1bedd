import { type Native } from '../storage';

/** Gives the processor to another that is ready to run; undefined where that can't be done. */
export function yieldOf(native: Native | undefined): (() => void) | undefined {
  return native === undefined
    ? undefined
    : () => {
        native.yieldProcessor();
      };
}
