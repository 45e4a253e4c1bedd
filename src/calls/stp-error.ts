import { runtimeIfOpen } from './runtime';

/**
 * The last error of a socket, or of the library (s = -1, or a descriptor that is not open), as errno; 0 none. Does not wait and never fails.
 *
 * Source: "STPerror": the last STP specific error.
 */
export function STPerror(s = -1): number {
  const own = runtimeIfOpen();
  if (own === undefined) return 0;
  return own.endpoints[s]?.lastErrno ?? own.lastErrno;
}
