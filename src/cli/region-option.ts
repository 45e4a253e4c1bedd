/** Which region a command is about: `--region`, else STP_REGION, else the default; checked in each case. */
import path from 'node:path';
import { regionOptions } from '../region';
import { CliFailure } from './failure';

export const REGION = ['--region <dir>', 'directory of the region (else STP_REGION, else the default)'] as const;

export interface RegionOption {
  readonly region?: string;
  readonly json?: boolean;
}

/** Where a process takes part in a region, as what. */
export interface PlaceOptions {
  readonly region?: string;
  readonly driver?: string;
  readonly system?: string;
  readonly group?: string;
}

/** Puts into an environment what the options say. */
export function setPlace({ region, driver, system, group }: PlaceOptions, environment: NodeJS.ProcessEnv): void {
  // Absolute, as a command may change its directory before it opens the region.
  if (region !== undefined) environment['STP_REGION'] = region === '' ? '' : path.resolve(region);
  if (driver !== undefined) environment['STP_DRIVER'] = driver;
  if (system !== undefined) environment['STP_SYSTEM'] = system;
  if (group !== undefined) environment['STP_GROUP'] = group;
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
