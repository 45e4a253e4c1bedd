/** Which region a command is about: `--region`, else STP_REGION, else the default; checked in each case. */
import { regionOptions } from '../region';
import { CliFailure } from './failure';

export interface RegionOption {
  readonly region?: string;
  readonly json?: boolean;
}

/** Absolute path of the region's directory. */
export function regionDirectory(option: RegionOption): string {
  const env = option.region === undefined ? process.env : { ...process.env, STP_REGION: option.region };
  return regionOptions(env).directory;
}

/** What to tell where there is no region. */
export function noRegion(directory: string): CliFailure {
  return new CliFailure(
    `there is no region in ${directory}`,
    undefined,
    'The first program that uses one makes it: stp run -- node server.js',
  );
}
