/** The `stp` property: which way a socket or server goes and why, for programs to read. Loads nothing heavy. */
import { environment } from '../src/host';
import { loadCalls } from './lazy';
import { REASONS, type ReasonCode, type StpNote } from './reasons';

/** As the call library reads it: the hook has checked the value. */
const tracing = environment()['STP_TRACE'] === '1';

/** What most sockets get, made once: a program that only ever uses TCP pays for it with each connect. */
const usual = new Map<ReasonCode, PropertyDescriptor>();

function descriptorOf(reason: ReasonCode, error: Error | undefined): PropertyDescriptor {
  const known = error === undefined ? usual.get(reason) : undefined;
  if (known !== undefined) return known;
  const { transport } = REASONS[reason];
  const value: StpNote = error === undefined ? { transport, reason } : { transport, reason, error };
  // Not enumerable: a socket that a program prints or copies looks as it does without us.
  const made = { value: Object.freeze(value), configurable: true, writable: true };
  if (error === undefined) usual.set(reason, made);
  return made;
}

/**
 * Sets the `stp` property, and writes the decision into the trace. `what` is the operation, such as `connect
 * 127.0.0.1:3000`.
 */
export function note(target: object, reason: ReasonCode, what: string, error?: Error): void {
  Object.defineProperty(target, 'stp', descriptorOf(reason, error));
  if (tracing)
    loadCalls().traceComment(
      `${what}: ${REASONS[reason].transport}, ${reason}${error === undefined ? '' : ` (${error.message})`}`,
    );
}
