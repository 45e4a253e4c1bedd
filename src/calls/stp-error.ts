import { runtimeIfOpen } from './runtime';

/**
 * The last error of a socket, or of the library (s left out, or no open descriptor), as errno; 0 none. Does not wait
 * and never fails.
 *
 * Source: "STPerror": the last STP specific error.
 */
export function STPerror(s?: number): number {
  const own = runtimeIfOpen();
  if (own === undefined) return 0;
  const endpoint = typeof s === 'number' ? own.endpoints[s] : undefined;
  if (endpoint === undefined) return own.lastErrno;
  return endpoint.lastErrno === 0 ? endpoint.socket.deathErrno : endpoint.lastErrno;
}
