/**
 * Where the region is and what we are in it: STP_REGION, STP_REGION_MODE, STP_SYSTEM, STP_GROUP, STP_DRIVER and
 * STP_LEASE_MS, read and checked.
 *
 * A value that is set and wrong is an error that names the variable and the value; it is never replaced by a default.
 */
import { constants } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { StpError } from '../errors';
import { io, type WantedDriver } from '../storage';
import { REGION_MODES, type RegionMode } from './directory';
import { LEASE_MS_MAX, LEASE_MS_MIN } from './header';
import { GROUP_BYTES_MAX, isGroupName, isSystemName, SYSTEM_BYTES_MAX } from './names';

export interface RegionOptions {
  /** Absolute path of the region's directory. */
  readonly directory: string;
  /** Name of this system: 1 to 63 letters, digits, '.', '_', '-'; compared without case. */
  readonly system: string;
  /** Default transport group: 1 to 15 of the same characters; compared exactly. */
  readonly group: string;
  readonly driver: WantedDriver;
  /**
   * After so long without a heartbeat a process is dead for those of other hosts, milliseconds; for a region that is
   * made now, others have theirs.
   */
  readonly leaseMs?: number | undefined;
  /**
   * For which users a region is made, 0o700 or 0o770, and has to be; undefined: 0o700 where it is made, whatever it is
   * where it is there.
   */
  readonly mode?: RegionMode | undefined;
}

export const DEFAULT_GROUP = 'STG';
const SHARED_MEMORY_DIRECTORY = '/dev/shm';
const MODE_RULE = 'must be 0700 (this user alone) or 0770 (its group as well)';
const DRIVERS: readonly string[] = ['auto', 'mapped', 'direct'] satisfies WantedDriver[];

/** Reads the environment; ESTPCONFIG names the variable that is wrong and its value. */
export function regionOptions(env: Readonly<Record<string, string | undefined>>): RegionOptions {
  return checkRegionOptions({
    directory: directoryOption(env['STP_REGION']),
    system: env['STP_SYSTEM'] ?? defaultSystem(),
    group: env['STP_GROUP'] ?? DEFAULT_GROUP,
    driver: (env['STP_DRIVER'] ?? 'auto') as WantedDriver,
    leaseMs: leaseOption(env['STP_LEASE_MS']),
    mode: modeOption(env['STP_REGION_MODE']),
  });
}

/** Checks options that came by any way; ESTPCONFIG names the variable that stands for the wrong one. */
export function checkRegionOptions(options: RegionOptions): RegionOptions {
  const { directory, system, group, driver, leaseMs, mode } = options as unknown as Record<
    keyof RegionOptions,
    unknown
  >;
  if (typeof directory !== 'string' || directory === '' || directory.includes('\0'))
    fail('STP_REGION', directory, 'must be the path of a directory');
  if (typeof system !== 'string' || !isSystemName(system))
    fail('STP_SYSTEM', system, `must be 1 to ${SYSTEM_BYTES_MAX} letters, digits, '.', '_' or '-'`);
  if (typeof group !== 'string' || !isGroupName(group))
    fail('STP_GROUP', group, `must be 1 to ${GROUP_BYTES_MAX} letters, digits, '.', '_' or '-'`);
  if (typeof driver !== 'string' || !DRIVERS.includes(driver))
    fail('STP_DRIVER', driver, "must be 'auto', 'mapped' or 'direct'");
  const isLease =
    leaseMs === undefined ||
    (typeof leaseMs === 'number' && Number.isInteger(leaseMs) && leaseMs >= LEASE_MS_MIN && leaseMs <= LEASE_MS_MAX);
  if (!isLease)
    fail(
      'STP_LEASE_MS',
      typeof leaseMs === 'number' ? `${leaseMs}` : leaseMs,
      `must be a whole number from ${LEASE_MS_MIN} to ${LEASE_MS_MAX}`,
    );
  if (mode !== undefined && !isRegionMode(mode)) fail('STP_REGION_MODE', mode, MODE_RULE);
  return { directory: path.resolve(directory), system, group, driver: driver as WantedDriver, leaseMs, mode };
}

function leaseOption(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^[0-9]{1,9}$/u.test(value))
    fail('STP_LEASE_MS', value, `must be a whole number from ${LEASE_MS_MIN} to ${LEASE_MS_MAX}`);
  return Number(value);
}

/** The region of a user who asked for none: in shared memory where there is some, else in the temp directory. */
export function defaultRegionDirectory(): string {
  const parent = isWritableDirectory(SHARED_MEMORY_DIRECTORY) ? SHARED_MEMORY_DIRECTORY : os.tmpdir();
  return path.join(parent, `stp-${userName()}`);
}

/** The host name, lower-cased; what a system name can't hold becomes '-'. */
export function defaultSystem(): string {
  const name = os
    .hostname()
    .toLowerCase()
    .replace(/[^a-z0-9._-]/gu, '-')
    .slice(0, SYSTEM_BYTES_MAX);
  return name === '' ? 'localhost' : name;
}

/**
 * Octal digits, with or without a leading 0; what would let in all users, or a group that can't take part, is no mode.
 */
function modeOption(value: string | undefined): RegionMode | undefined {
  if (value === undefined) return undefined;
  const mode = /^0?[0-7]{3}$/u.test(value) ? Number.parseInt(value, 8) : undefined;
  if (!isRegionMode(mode)) fail('STP_REGION_MODE', value, MODE_RULE);
  return mode;
}

function isRegionMode(value: unknown): value is RegionMode {
  return value === REGION_MODES.private || value === REGION_MODES.group;
}

function directoryOption(value: string | undefined): string {
  return value ?? defaultRegionDirectory();
}

function userName(): string {
  const uid = process.getuid?.();
  if (uid !== undefined) return String(uid);
  // Without user ids (Windows) the temp directory is the user's own already; the name only has to be a file name.
  return os.userInfo().username.replace(/[^A-Za-z0-9._-]/gu, '-');
}

function isWritableDirectory(directory: string): boolean {
  try {
    io.accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
    return io.statSync(directory).isDirectory();
  } catch {
    return false;
  }
}

function fail(variable: string, value: unknown, why: string): never {
  const shown = typeof value === 'string' ? JSON.stringify(value.slice(0, 200)) : typeof value;
  throw new StpError('ESTPCONFIG', `${variable}=${shown}: ${why}`);
}
