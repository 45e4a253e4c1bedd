/** Asking a `lookup` function, the program's own or dns.lookup, as net.js asks it. */
import dns from 'node:dns';
import net from 'node:net';
import { type ConnectOptions } from './connect-options';

export interface Resolved {
  readonly address: string;
  readonly family: number;
}

/** Both shapes of an answer (one address, or with `all` an array of them) as a list; what is neither is left out. */
export function resolvedList(address: unknown, family: unknown): Resolved[] {
  const all: unknown[] = Array.isArray(address) ? address : [{ address, family }];
  return all.filter((each): each is Resolved => typeof each === 'object' && each !== null && typeof (each as Resolved).address === 'string');
}

/** The address that net.js tries first: it passes over what is no address of IP, or of no family that there is. */
export function firstValid(found: readonly Resolved[]): string | undefined {
  return found.find(({ address, family }) => net.isIP(address) !== 0 && (family === 4 || family === 6))?.address;
}

/** Resolves the host of the options by their own `lookup`. */
export function resolve(options: ConnectOptions, done: (error: Error | null, found: readonly Resolved[]) => void): void {
  const { host, family, hints, lookup, autoSelectFamily, localAddress } = options;
  const any = family === 0;
  const dnsHints = process.platform !== 'win32' && any && hints === 0 ? dns.ADDRCONFIG : hints;
  const question: Record<string, unknown> = { family: any ? undefined : family, hints: dnsHints };
  if (any && localAddress === undefined && autoSelectFamily) question['all'] = true;
  lookup?.(host, question, (error, address, answerFamily) => {
    done(error ?? null, error ? [] : resolvedList(address, answerFamily));
  });
}
