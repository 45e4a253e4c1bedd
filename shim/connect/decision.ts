/**
 * STP or TCP: decided from mode, rules and the address when a handle connects, never from bytes.
 *
 * A region that can't be used decides for TCP in `auto`, with its reason; under `stp` it is the socket's error.
 */
import { nowMs } from '../../src/host';
import { lookupListener, StpError } from '../../src/index';
import { type Configuration } from '../configuration';
import { type ReasonCode } from '../reasons';
import { type Place, placeOf, type Target } from './addresses';
import { matchRules } from './rules';

export type Wanted = 'auto' | 'stp' | 'tcp';

export type Decision =
  /** `fallback`: where STP can't make the connection, TCP shall. */
  | { readonly way: 'stp'; readonly reason: ReasonCode; readonly target: Target; readonly fallback: boolean }
  | { readonly way: 'tcp'; readonly reason: ReasonCode; readonly error?: Error }
  /** STP alone, and the address is none of STP. */
  | { readonly way: 'refuse'; readonly reason: ReasonCode; readonly error?: StpError };

/** What mode and rules say about a host and a port. */
export function wantedFor(settings: Configuration, host: string, port: number): { wanted: Wanted; byRule: boolean } {
  const action = settings.rules.length === 0 ? undefined : matchRules(settings.rules, host, port);
  return action === undefined ? { wanted: settings.mode, byRule: false } : { wanted: action, byRule: true };
}

/**
 * For how long a region that could not be used is not tried again in `auto`, milliseconds: each connect would pay for a
 * try.
 */
const UNUSABLE_MS = 1000;
let unusable: { error: StpError; untilMs: number } | undefined;

/** Decides for a client of `ip`; `host` is what the program called it. */
export function decide(settings: Configuration, host: string, ip: string, port: number): Decision {
  const { wanted, byRule } = wantedFor(settings, host, port);
  if (wanted === 'tcp') return { way: 'tcp', reason: 'RULE_TCP' };
  const reason = byRule ? 'RULE_STP' : 'MODE_STP';
  if (wanted === 'auto' && unusable !== undefined && nowMs() < unusable.untilMs) {
    return { way: 'tcp', reason: 'REGION_UNUSABLE', error: unusable.error };
  }
  try {
    const place: Place = placeOf(ip, 0);
    if (typeof place === 'string')
      return wanted === 'auto' ? { way: 'tcp', reason: 'NOT_OURS' } : { way: 'refuse', reason };
    if (wanted === 'stp') return { way: 'stp', reason, target: place, fallback: false };
    if (port !== 0 && lookupListener({ system: place.system, port, ip: place.calledIp }, { sameNetwork: true })) {
      return { way: 'stp', reason: 'LISTENER_FOUND', target: place, fallback: true };
    }
    return { way: 'tcp', reason: 'NO_LISTENER' };
  } catch (error) {
    if (!(error instanceof StpError)) throw error;
    unusable = { error, untilMs: nowMs() + UNUSABLE_MS };
    return wanted === 'auto' ? { way: 'tcp', reason: 'REGION_UNUSABLE', error } : { way: 'refuse', reason, error };
  }
}
