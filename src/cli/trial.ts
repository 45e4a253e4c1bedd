/**
 * Whether a region really works in a directory: one of its own is opened in there, two processes connect through it,
 * and bytes go both ways. A region that is in the directory already is left alone.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { isForGroup, openPlace, tryTo } from '../storage';

/** What each of the two processes sends to the other. */
export const TRIAL_BYTES = 1 << 20;
/** A machine that emulates another needs a quarter of this to start two programs. */
const TRIAL_MS = 120_000;
const MAIN = path.join(__dirname, 'trial-main.js');

/** What the two processes have found. */
export interface TrialReport {
  readonly roundTripP50Ms?: number;
  /** Both directions at once, added up. */
  readonly bothWaysMBs?: number;
  readonly failure?: { readonly code: string | undefined; readonly message: string };
}

export interface Trial extends TrialReport {
  /** Sent in each direction, and checked. */
  readonly bytes: number;
}

/**
 * Opens a region for a moment; what went wrong is in `failure`. Throws where not even a directory can be made: EACCES,
 * EROFS, ENOSPC ...
 */
export function tryRegion(directory: string): Trial {
  const place = openPlace(directory);
  const region = fs.mkdtempSync(path.join(place.path, 'region-'));
  try {
    const forGroup = isForGroup(fs.statSync(directory));
    if (forGroup) fs.chmodSync(region, fs.statSync(place.path).mode & 0o7777);
    const env: NodeJS.ProcessEnv = { ...process.env, STP_REGION: region, STP_REGION_MODE: forGroup ? '0770' : '0700' };
    // It prints to standard error, where only what went wrong is looked for.
    Reflect.deleteProperty(env, 'STP_TRACE');
    const { stdout, stderr, signal, error } = spawnSync(process.execPath, [MAIN], {
      env,
      encoding: 'utf8',
      timeout: TRIAL_MS,
      killSignal: 'SIGKILL',
    });
    const report = reportOf(stdout) ?? { failure: { code: undefined, message: whyNone(error, signal, stderr) } };
    return { bytes: TRIAL_BYTES, ...report };
  } finally {
    // Files that are held open elsewhere stay for a moment on NFS, under other names.
    tryTo(() => {
      fs.rmSync(region, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    });
    tryTo(() => {
      fs.rmdirSync(place.path);
    });
  }
}

function reportOf(stdout: string): TrialReport | undefined {
  try {
    return JSON.parse(stdout) as TrialReport;
  } catch {
    return undefined;
  }
}

function whyNone(error: (Error & { code?: string }) | undefined, signal: string | null, stderr: string): string {
  if (error?.code === 'ETIMEDOUT') return `two processes did not get through with it in ${TRIAL_MS / 1000} s`;
  if (error !== undefined) return error.message;
  return signal === null
    ? `the trial ended without a result: ${stderr.trim().slice(-500)}`
    : `the first process was ended by ${signal}`;
}
