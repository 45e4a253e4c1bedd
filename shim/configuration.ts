/**
 * What the environment says about the hook: STP_NET and STP_RULES. Read once, when the hook is installed.
 *
 * A value that is wrong ends the program's start with an error that names it; it is never replaced by a default. What
 * concerns the region (STP_REGION, STP_SYSTEM, STP_GROUP, STP_DRIVER) is the call library's to check, when the region
 * is opened.
 */
import os from 'node:os';
import path from 'node:path';
import type { Rule } from './connect/rules';
import { loadCalls, loadRules } from './lazy';

export type NetMode = 'auto' | 'stp' | 'tcp';

export interface Configuration {
  readonly mode: NetMode;
  readonly rules: readonly Rule[];
  /** Where the region may be. */
  readonly directories: readonly string[];
}

const MODES: readonly string[] = ['auto', 'stp', 'tcp'];

/** Reads and checks the environment; ESTPCONFIG names the variable, and for rules the column. */
export function configuration(env: Readonly<Record<string, string | undefined>>): Configuration {
  const mode = env['STP_NET'] ?? 'auto';
  if (!MODES.includes(mode))
    throw configurationError(`STP_NET=${JSON.stringify(mode.slice(0, 40))}: must be 'auto', 'stp' or 'tcp'`);
  // In this mode the shim does nothing at all, so there is nothing to check for.
  if (mode === 'tcp') return { mode, rules: [], directories: [] };
  const trace = env['STP_TRACE'] ?? '';
  // The call library checks the value of its trace when it is loaded. A wrong one must not wait for the first socket.
  if (trace !== '' && trace !== '0' && trace !== '1') loadCalls();
  const rules = env['STP_RULES'] ?? '';
  return {
    mode: mode as NetMode,
    rules: rules === '' ? [] : loadRules().parseRules(rules),
    directories: directories(env['STP_REGION']),
  };
}

/** The region's directory, or for a program that names none the two that the call library may choose. */
function directories(named: string | undefined): string[] {
  if (named !== undefined) return [path.resolve(named)];
  const name = `stp-${process.getuid?.() ?? os.userInfo().username}`;
  return [path.join('/dev/shm', name), path.join(os.tmpdir(), name)];
}

/** Wrong configuration, as an error of the call library. Loads it, which no configuration that is right does. */
export function configurationError(text: string): Error {
  const { StpError } = loadCalls();
  return new StpError('ESTPCONFIG', text);
}
