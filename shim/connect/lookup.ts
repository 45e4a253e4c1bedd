/**
 * Names of the region: systems that no DNS knows have an address in fd00::/8, which a `lookup` in front of the
 * program's own gives to net.js.
 *
 * Under `stp` no DNS is asked: what is neither this system nor one of the region has no address. A `lookup` of the
 * program's own is asked for any name.
 */
import net from 'node:net';
import { nextTick } from '../../src/host';
import { unknownHostError } from '../node/errors';
import { loadDns } from '../lazy';
import { type Place, placeOf } from './addresses';

type Done = (error: Error | null, address?: unknown, family?: number) => void;
export type Lookup = (host: string, options: Record<string, unknown>, done: Done) => void;

/**
 * A `lookup` for a name, or undefined where Node's way is right. `closed`: no DNS is to be asked. May throw what
 * opening the region throws.
 */
export function lookupFor(host: string, closed: boolean): Lookup | undefined {
  if (net.isIP(host) !== 0) return undefined;
  if (host.toLowerCase() === 'localhost') return closed ? lookUpLocalhost : undefined;
  const place = placeOf(host, 0);
  if (place === 'unknown-name' && !closed) return undefined;
  return (name, options, done) => {
    nextTick(answer, placeOf(name, Number(options['family']) || 0), name, options, done);
  };
}

function answer(place: Place, name: string, options: Record<string, unknown>, done: Done): void {
  if (typeof place === 'string') done(unknownHostError(name));
  else if (options['all'] === true) done(null, [{ address: place.ip, family: place.family }]);
  else done(null, place.ip, place.family);
}

/** A system without a list of hosts has a localhost nevertheless. */
function lookUpLocalhost(host: string, options: Record<string, unknown>, done: Done): void {
  (loadDns().lookup as unknown as Lookup)(host, options, (error, address, family) => {
    if (error === null) done(null, address, family);
    else answer(placeOf(host, Number(options['family']) || 0), host, options, done);
  });
}
