/** The payload of REFUSE, DECLINE, RESET and TAKE REFUSE: why. */
import { errnoOf } from '../errors';
import { Reason } from '../layout';

export function reason(errno: number): Uint8Array {
  const payload = new Uint8Array(Reason.sizeBytes);
  Reason.encode({ errno }, payload);
  return payload;
}

/** The errno in such a payload; ECONNRESET where it is cut short or none. */
export function reasonOf(payload: Buffer): number {
  const errno = payload.length < Reason.sizeBytes ? 0 : Reason.decode(payload).errno;
  return errno === 0 ? errnoOf('ECONNRESET') : errno;
}
