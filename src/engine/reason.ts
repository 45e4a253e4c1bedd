/** The payload of REFUSE, DECLINE, RESET and TAKE REFUSE: why. */
import { errnoOf } from '../errors';
import { Reason } from '../layout';

export function reason(errno: number, attempt = 0): Uint8Array {
  const payload = new Uint8Array(Reason.sizeBytes);
  Reason.encode({ errno, attempt }, payload);
  return payload;
}

/** The errno in such a payload; ECONNRESET where it is cut short or none. */
export function reasonOf(payload: Buffer): number {
  const errno = payload.length < Reason.sizeBytes ? 0 : Reason.decode(payload).errno;
  return errno === 0 ? errnoOf('ECONNRESET') : errno;
}

/** The attempt that such a payload answers; 0 where it is cut short. */
export function attemptOf(payload: Buffer): number {
  return payload.length < Reason.sizeBytes ? 0 : Reason.decode(payload).attempt;
}
