/**
 * Writes and shutdowns of native consumers (TLS, http2, net.js's own shutdown) that are complete, and have not been
 * told so: native code is still inside of the call that made them.
 *
 * @note Node 20 to 26: TLS wants to be told in a turn of the event loop of its own, also by TCP's handle
 * (TLSWrap::EncOut). What stands on a handle otherwise takes a write for complete at once, so it is told as soon as its
 * callback has ended, or the read within which it wrote.
 */
import { setImmediate } from '../../src/host';
import { carriesTls } from '../node/internals';
import { type JsStreamBase } from '../node/js-stream';
import { endCallback, whenEnded } from '../node/tick';

export type RequestKind = 'finishWrite' | 'finishShutdown';

interface Finished {
  readonly kind: RequestKind;
  readonly request: object;
  /** 0, or a negative errno. */
  readonly status: number;
}

export class NativeRequests {
  readonly #stream: JsStreamBase;
  /** Undefined until there is one. */
  #finished: Finished[] | undefined;
  #queued = false;

  constructor(stream: JsStreamBase) {
    this.#stream = stream;
  }

  finish(kind: RequestKind, request: object, status: number): void {
    this.keep(kind, request, status);
    if (this.#queued) return;
    this.#queued = true;
    if (carriesTls(this.#stream)) setImmediate(settleOf, this);
    else
      whenEnded(() => {
        this.settle();
      });
  }

  /** As {@link finish}, told by the next {@link settle}. */
  keep(kind: RequestKind, request: object, status: number): void {
    (this.#finished ??= []).push({ kind, request, status });
  }

  /**
   * Tells all, each as a callback of its own. Also before more is read: what was written in one turn is complete when
   * the next bytes come in.
   */
  settle(): void {
    this.#queued = false;
    for (let next = this.#finished?.shift(); next !== undefined; next = this.#finished?.shift()) {
      this.#stream[next.kind](next.request, next.status);
      endCallback();
    }
  }

  /** The consumer has been given bytes, and may have written. */
  settleWithin(): void {
    if (this.#finished !== undefined && this.#finished.length > 0 && !carriesTls(this.#stream)) this.settle();
  }
}

function settleOf(requests: NativeRequests): void {
  requests.settle();
}
