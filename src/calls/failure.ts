/** How a call fails, and what STPerror and STPstrerror tell of it afterwards. */
import { errnoOf, StpError } from '../errors';
import { MSG_DONTWAIT } from './constants';
import { runtimeIfOpen } from './runtime';

/** What a layer below threw, as a failure of the call: the caller made that call and no other. */
export function inCall(call: string, error: unknown): unknown {
  if (!(error instanceof StpError) || error.syscall === call) return error;
  const detail = [error.syscall, error.detail].filter((part) => part !== undefined).join(': ');
  return new StpError(error.code, detail === '' ? undefined : detail, call, { cause: error });
}

/** Makes a failure what STPerror(s) and STPstrerror() tell, and passes it on. */
export function remember<T>(error: T, s?: unknown): T {
  const errno = error instanceof StpError ? -error.errno : errnoOf('EIO');
  const own = runtimeIfOpen();
  if (own !== undefined) {
    own.lastErrno = errno;
    const endpoint = typeof s === 'number' ? own.endpoints[s] : undefined;
    if (endpoint !== undefined) endpoint.lastErrno = errno;
  }
  return error;
}

/** How a call that may wait fails: with MSG_DONTWAIT it throws, else its promise rejects. */
export function failed(call: string, error: unknown, s: unknown, flags: unknown): Promise<never> {
  const noted = remember(inCall(call, error), s);
  if (typeof flags === 'number' && (flags & MSG_DONTWAIT) !== 0) throw noted;
  return Promise.reject(noted instanceof Error ? noted : new StpError('EIO', String(noted)));
}
