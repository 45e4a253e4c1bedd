/**
 * Tells how many clients were refused: the first at once, those that follow in one count a second, so that a flood of
 * clients is no flood of events.
 */
import { clearTimeout, setTimeout } from '../host';

const TELL_EVERY_MS = 1000;

export class Refusals<T> {
  readonly #tell: (last: T, count: number) => void;
  #last: T | undefined;
  #count = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `tell` gets the last refusal, and how many there were since it was called before. */
  constructor(tell: (last: T, count: number) => void) {
    this.#tell = tell;
  }

  add(refusal: T): void {
    this.#last = refusal;
    this.#count += 1;
    if (this.#timer === undefined) this.flush();
  }

  /** Tells what was not told yet. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#last === undefined) return;
    const [last, count] = [this.#last, this.#count];
    this.#last = undefined;
    this.#count = 0;
    this.#timer = setTimeout(() => {
      this.flush();
    }, TELL_EVERY_MS);
    // It keeps no process alive.
    this.#timer.unref();
    this.#tell(last, count);
  }
}
