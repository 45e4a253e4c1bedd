/**
 * `stp-net/stp`: the STP call library, the socket API of the source over a shared region.
 *
 * Calls that may wait return promises; with MSG_DONTWAIT they return at once. Success is the source's non-negative
 * integer, failure an StpError with `code`, `errno` and `syscall`, which STPerror and STPstrerror then tell.
 */
import { inCall, remember } from './calls/failure';
import { STPaccept as accept } from './calls/stp-accept';
import { STPbind as bind } from './calls/stp-bind';
import { STPclose as close } from './calls/stp-close';
import { STPconnect as connect } from './calls/stp-connect';
import { STPgetclientid as getclientid } from './calls/stp-getclientid';
import { STPgethostbyname as gethostbyname } from './calls/stp-gethostbyname';
import { STPgethostname as gethostname } from './calls/stp-gethostname';
import { STPgetopt as getopt } from './calls/stp-getopt';
import { STPgetpeername as getpeername } from './calls/stp-getpeername';
import { STPgetsockopt as getsockopt } from './calls/stp-getsockopt';
import { STPgivesocket as givesocket } from './calls/stp-givesocket';
import { STPlisten as listen } from './calls/stp-listen';
import { STPrecv as recv } from './calls/stp-recv';
import { STPsend as send } from './calls/stp-send';
import { STPsetopt as setopt } from './calls/stp-setopt';
import { STPsetsockopt as setsockopt } from './calls/stp-setsockopt';
import { STPshutdown as shutdown } from './calls/stp-shutdown';
import { STPsocket as socket } from './calls/stp-socket';
import { STPtakesocket as takesocket } from './calls/stp-takesocket';
import { traced } from './calls/trace';

export const STPaccept = call('STPaccept', accept);
export const STPbind = call('STPbind', bind);
export const STPclose = call('STPclose', close);
export const STPconnect = call('STPconnect', connect);
export const STPgetclientid = call('STPgetclientid', getclientid);
export const STPgethostbyname = call('STPgethostbyname', gethostbyname);
export const STPgethostname = call('STPgethostname', gethostname);
export const STPgetopt = call('STPgetopt', getopt);
export const STPgetpeername = call('STPgetpeername', getpeername);
export const STPgetsockopt = call('STPgetsockopt', getsockopt);
export const STPgivesocket = call('STPgivesocket', givesocket);
export const STPlisten = call('STPlisten', listen);
export const STPrecv = traced('STPrecv', recv);
export const STPsend = traced('STPsend', send);
export const STPsetopt = call('STPsetopt', setopt);
export const STPsetsockopt = call('STPsetsockopt', setsockopt);
export const STPshutdown = call('STPshutdown', shutdown);
export const STPsocket = call('STPsocket', socket);
export const STPtakesocket = call('STPtakesocket', takesocket);
export { STPerror } from './calls/stp-error';
export { STPstrerror } from './calls/stp-strerror';

export { lookupListener } from './calls/lookup-listener';
export { traceComment, tracing } from './calls/trace';
export * from './calls/constants';
export type * from './calls/types';
export type { StpCounts } from './calls/stp-getopt';
export { ERRORS, errnoOf, StpError, type ErrorCode } from './errors';

/** Notes each failure for STPerror, and traces where that is asked for. */
function call<T extends (...args: never[]) => unknown>(name: string, fn: T): T {
  const noting = (...args: never[]): unknown => {
    try {
      const value = fn(...args);
      return value instanceof Promise
        ? value.catch((error: unknown) => {
            throw remember(inCall(name, error), args[0]);
          })
        : value;
    } catch (error) {
      throw remember(inCall(name, error), args[0]);
    }
  };
  return traced(name, noting as T);
}
