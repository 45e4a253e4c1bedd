/** The `stp` property: which way a socket or server goes and why, for programs to read. Loads nothing heavy. */
import { environment } from '../src/host';
import { loadCalls } from './lazy';
import { REASONS, type ReasonCode, type StpNote } from './reasons';

/** As the call library reads it: the hook has checked the value. */
const tracing = environment()['STP_TRACE'] === '1';

/** What most sockets get, made once: a program that only ever uses TCP pays for it with each connect. */
const usual = new Map<ReasonCode, StpNote>();

function noteFor(reason: ReasonCode, error: Error | undefined): StpNote {
  const known = error === undefined ? usual.get(reason) : undefined;
  if (known !== undefined) return known;
  const { transport } = REASONS[reason];
  const made = Object.freeze(error === undefined ? { transport, reason } : { transport, reason, error });
  if (error === undefined) usual.set(reason, made);
  return made;
}

/** Its constructor gives back the object that it is given. */
// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- a subclass adds its field to that object
class Itself {
  constructor(target: object) {
    return target;
  }
}

/**
 * Puts a private field on an object of the program: it looks as it does without us, to whatever prints or copies it,
 * and this costs a tenth of a property that is not enumerable.
 */
class Noted extends Itself {
  #note: StpNote;

  constructor(target: object, made: StpNote) {
    super(target);
    this.#note = made;
  }

  static get(target: object): StpNote | undefined {
    return #note in target ? target.#note : undefined;
  }

  static set(target: object, made: StpNote): void {
    if (#note in target) target.#note = made;
    else new Noted(target, made);
  }
}

/** The `stp` property, for the prototypes of sockets and servers. A program may have one of that name. */
export const stpProperty: PropertyDescriptor & ThisType<object> = {
  get() {
    return Noted.get(this);
  },
  set(value: unknown) {
    Object.defineProperty(this, 'stp', { value, configurable: true, enumerable: true, writable: true });
  },
};

/**
 * Sets the `stp` property, and writes the decision into the trace. `what` is the operation, such as `connect
 * 127.0.0.1:3000`.
 */
export function note(target: object, reason: ReasonCode, what: string, error?: Error): void {
  Noted.set(target, noteFor(reason, error));
  if (tracing)
    loadCalls().traceComment(
      `${what}: ${REASONS[reason].transport}, ${reason}${error === undefined ? '' : ` (${error.message})`}`,
    );
}
