/**
 * STP or TCP: decided from mode, rules and addresses when a socket connects, never from bytes.
 *
 * A region that can't be used decides for TCP in `auto`, with its reason; under `stp` it is the socket's error.
 */
import net from 'node:net';
import { lookupListener, StpError } from '../src/index';
import { type Place, placeOf, type Target } from './addresses';
import { type Configuration } from './configuration';
import { type ReasonCode } from './reasons';
import { matchRules } from './rules';

export type Wish = 'auto' | 'stp' | 'tcp';

export type Decision =
  /** `fallback`: where STP can't make the connection, TCP shall. */
  | { readonly way: 'stp'; readonly reason: ReasonCode; readonly target: Target; readonly fallback: boolean }
  | { readonly way: 'tcp'; readonly reason: ReasonCode; readonly error?: Error }
  /** A name that only DNS, or the program's own `lookup`, can turn into an address; or `localhost` where nobody listens, whose addresses the error must name. */
  | { readonly way: 'lookup'; readonly reason: ReasonCode; readonly fallback: boolean }
  /** STP only, and there is no such place: `connect ECONNREFUSED`, or `getaddrinfo ENOTFOUND` for a name. */
  | { readonly way: 'refuse'; readonly name: boolean; readonly error?: StpError };

/** What mode and rules say about a host and a port. */
export function wishFor(settings: Configuration, host: string, port: number): { wish: Wish; byRule: boolean } {
  const action = matchRules(settings.rules, host, port);
  return action === undefined ? { wish: settings.mode, byRule: false } : { wish: action, byRule: true };
}

export interface Question {
  readonly host: string;
  readonly port: number;
  /** Address family that the program wants, 0 any. */
  readonly family: number;
  /** The program brings a `lookup` of its own: names are its to resolve. */
  readonly ownLookup: boolean;
}

/** Decides for an address that a lookup gave. */
export function decideForAddress(settings: Configuration, host: string, port: number, ip: string): Decision {
  const { wish, byRule } = wishFor(settings, host, port);
  const place = placeOf(ip, 0);
  if (typeof place === 'string') return wish === 'auto' ? { way: 'tcp', reason: 'NOT_OURS' } : { way: 'refuse', name: false };
  return wish === 'stp' ? { way: 'stp', reason: byRule ? 'RULE_STP' : 'MODE_STP', target: place, fallback: false } : decideByListener(place, port);
}

/** For how long a region that could not be used is not tried again in `auto`, milliseconds: each connect by TCP would pay for a try. */
const UNUSABLE_MS = 1000;
let unusable: { error: StpError; untilMs: number } | undefined;

/** Decides for a client. */
export function decide(settings: Configuration, question: Question): Decision {
  const { host, port, family, ownLookup } = question;
  const { wish, byRule } = wishFor(settings, host, port);
  if (wish === 'tcp') return { way: 'tcp', reason: 'RULE_TCP' };
  const stpReason = byRule ? 'RULE_STP' : 'MODE_STP';
  if (wish === 'auto' && unusable !== undefined && performance.now() < unusable.untilMs) return { way: 'tcp', reason: 'REGION_UNUSABLE', error: unusable.error };
  let place: Place;
  try {
    place = ownLookup ? 'unknown-name' : placeOf(host, family);
    if (place === 'unknown-name' && (ownLookup || wish === 'auto')) return { way: 'lookup', reason: wish === 'auto' ? 'NOT_OURS' : stpReason, fallback: wish === 'auto' };
    if (typeof place === 'string') return wish === 'auto' ? { way: 'tcp', reason: 'NOT_OURS' } : { way: 'refuse', name: place === 'unknown-name' };
    if (wish === 'auto') return decideByListener(place, port);
    if (family === 0 && isLocalhost(host, place) && !isThere(place, port)) return { way: 'lookup', reason: stpReason, fallback: false };
    return { way: 'stp', reason: stpReason, target: place, fallback: false };
  } catch (error) {
    if (!(error instanceof StpError)) throw error;
    unusable = { error, untilMs: performance.now() + UNUSABLE_MS };
    return wish === 'auto' ? { way: 'tcp', reason: 'REGION_UNUSABLE', error } : { way: 'refuse', name: false, error };
  }
}

/** The one name that stands for addresses of its own: others of this system stand for whichever it has. */
function isLocalhost(host: string, place: Target): boolean {
  return net.isIP(host) === 0 && place.tcpIps !== undefined;
}

/** Port 0 is no address that anyone listens at; what to say of it is the kernel's. */
function isThere({ system }: Target, port: number, ip?: string): boolean {
  return port !== 0 && lookupListener({ system, port, ip });
}

function decideByListener(target: Target, port: number): Decision {
  const { tcpIps } = target;
  const calledIp = tcpIps?.find((ip) => isThere(target, port, ip));
  const found = tcpIps === undefined ? isThere(target, port) : calledIp !== undefined;
  if (!found) return { way: 'tcp', reason: 'NO_LISTENER' };
  return { way: 'stp', reason: 'LISTENER_FOUND', target: calledIp === undefined ? target : { ...target, calledIp }, fallback: true };
}
