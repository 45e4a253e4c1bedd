/** The arguments of Server.prototype.listen, sorted as net.js sorts them: what it would throw for is left to it. */
import { isObject, normalizeArguments } from './internals';

export type ListenWish =
  /** A handle, or a descriptor of the system's. */
  | { readonly kind: 'handle'; readonly what: string; readonly tcp: boolean }
  | { readonly kind: 'path' }
  | {
      readonly kind: 'port';
      /** Undefined: any address. */
      readonly host: string | undefined;
      readonly port: number;
      /** 0: the default. */
      readonly backlog: number;
      readonly exclusive: boolean;
      readonly reusePort: boolean;
      readonly signal: unknown;
    }
  /** Nothing that one can listen at: net.js throws. */
  | { readonly kind: 'none' };

function isPort(value: unknown): boolean {
  if (typeof value === 'string' ? value.trim() === '' : typeof value !== 'number') return false;
  const port = Number(value);
  return Number.isInteger(port) && port >= 0 && port <= 65_535;
}

function numberOf(value: unknown): number {
  const number = Number(value);
  return number >= 0 ? number : 0;
}

/** `listen(handle)`: what the system has made is recognized by its class. */
function handleWish(options: Record<string, unknown>): ListenWish | undefined {
  const handle = options['_handle'] ?? options['handle'] ?? options;
  const name = isObject(handle) ? handle.constructor.name : undefined;
  if (name === 'TCP' || name === 'BoundSocket') return { kind: 'handle', what: 'a handle', tcp: true };
  if (name === 'Pipe') return { kind: 'handle', what: 'a pipe', tcp: false };
  const fd = isObject(handle) ? handle['fd'] : undefined;
  return typeof fd === 'number' && fd >= 0 ? { kind: 'handle', what: `fd ${fd}`, tcp: true } : undefined;
}

/** What listen is asked for. */
export function listenWish(args: readonly unknown[]): ListenWish {
  const [options] = normalizeArguments(args);
  const byHandle = handleWish(options);
  if (byHandle !== undefined) return byHandle;
  const { host, path, port, backlog, exclusive, reusePort, signal } = options;
  const chosen = args.length === 0 || typeof args[0] === 'function' || (port === undefined && 'port' in options) || port === null;
  if (!chosen && typeof port !== 'number' && typeof port !== 'string') return path === undefined ? { kind: 'none' } : { kind: 'path' };
  if ((!chosen && !isPort(port)) || (host && typeof host !== 'string')) return { kind: 'none' };
  // As net.js checks it: anything that has the property.
  if (signal !== undefined && !(isObject(signal) && 'aborted' in signal)) return { kind: 'none' };
  const fromArguments = (args.length > 1 ? numberOf(args[1]) : 0) || (args.length > 2 ? numberOf(args[2]) : 0);
  return {
    kind: 'port',
    host: host ? (host as string) : undefined,
    port: chosen ? 0 : Number(port),
    backlog: (typeof backlog === 'number' && backlog) || fromArguments,
    exclusive: Boolean(exclusive),
    reusePort: reusePort === true,
    signal,
  };
}
