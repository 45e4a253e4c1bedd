/** Asking a `lookup` function, the program's own or dns.lookup, as net.js asks it. */
import dns from 'node:dns';
import net from 'node:net';
import { type ConnectOptions, type Lookup } from './connect-options';

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

/** The addresses that net.js tries with `autoSelectFamily`, each once: the families take turns, and that of the first one begins. */
export function attemptOrder(found: readonly Resolved[]): string[] {
  const valid = found.filter(({ address, family }) => net.isIP(address) !== 0 && (family === 4 || family === 6));
  const first = valid[0]?.family;
  const unique = (ofFirst: boolean): string[] => [...new Set(valid.filter(({ family }) => (family === first) === ofFirst).map(({ address }) => address))];
  const [own, other] = [unique(true), unique(false)];
  const longest = Math.max(own.length, other.length);
  return Array.from({ length: longest }, (_, i) => [own[i], other[i]]).flat().filter((ip): ip is string => ip !== undefined);
}

/** Whether net.js tries all addresses of a name, one after the other. */
export function triesAll({ autoSelectFamily, family, localAddress }: ConnectOptions): boolean {
  return autoSelectFamily && family === 0 && localAddress === undefined;
}

/** Resolves the host of the options as net.js does: by their own `lookup`, else by the system's. */
export function resolve(options: ConnectOptions, done: (error: Error | null, found: readonly Resolved[]) => void): void {
  const { host, family, hints, lookup } = options;
  const any = family === 0;
  const dnsHints = process.platform !== 'win32' && any && hints === 0 ? dns.ADDRCONFIG : hints;
  const question: Record<string, unknown> = { family: any ? undefined : family, hints: dnsHints };
  if (triesAll(options)) question['all'] = true;
  const ask: Lookup = lookup ?? dns.lookup;
  ask(host, question, (error, address, answerFamily) => {
    done(error ?? null, error ? [] : resolvedList(address, answerFamily));
  });
}
