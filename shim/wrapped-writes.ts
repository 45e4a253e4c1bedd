/**
 * Writes of what stands on an STP socket (TLS, an http2 session) into that socket, in place of those of Node's wrapping stream.
 *
 * A write is told to be complete in a turn of its own, as the caller may still be inside of it, and before anything more is read: with a handle, what
 * was written in one turn is complete when the next bytes come in. TLS relies on it, for it writes nothing while a write is under way, and an alert
 * that it could not write is lost when the socket is destroyed.
 *
 * @note Node 20 to 26: JSStreamSocket completes a write by setImmediate, and ends the process by an assertion where there are two at a time.
 */
import type net from 'node:net';
import os from 'node:os';
import { type InternalSocket } from './internals';

export interface WriteHandle {
  onwrite?: (request: object, chunks: Uint8Array[]) => number;
  onshutdown?: (request: object) => number;
  close?: (callback: () => void) => void;
  finishWrite?: (request: object, status: number) => void;
  finishShutdown?: (request: object, status: number) => void;
}

const { errno } = os.constants;

interface Step {
  readonly kind: 'finishWrite' | 'finishShutdown';
  readonly request: object;
  /** Not known while the socket below has not taken all. */
  status: number | undefined;
}

export class WrappedWrites {
  readonly #handle: WriteHandle;
  readonly #below: net.Socket;
  /** Writes, and behind them the shutdown, in order. */
  readonly #steps: Step[] = [];
  /** A shutdown that waits for the writes before it, and for those that their completion brings forth. */
  #shutdown: object | undefined;
  #settleQueued = false;
  #closed = false;

  constructor(handle: WriteHandle, below: InternalSocket) {
    this.#handle = handle;
    this.#below = below as unknown as net.Socket;
    handle.onwrite = (request, chunks) => this.#write(request, chunks);
    handle.onshutdown = (request) => this.#shutDown(request);
    const closeBeneath = handle.close;
    handle.close = (callback) => {
      this.#closed = true;
      Reflect.apply(closeBeneath as (callback: () => void) => void, handle, [() => {
        this.#cancel();
        callback();
      }]);
    };
  }

  /** Completes what the socket below has taken. Never called from within a write. */
  settle(): void {
    while (!this.#closed) {
      const step = this.#steps[0];
      if (step === undefined && this.#shutdown !== undefined) this.#begin();
      else if (step?.status === undefined) return;
      else {
        this.#steps.shift();
        this.#handle[step.kind]?.(step.request, step.status);
      }
    }
  }

  #write(request: object, chunks: Uint8Array[]): number {
    const step: Step = { kind: 'finishWrite', request, status: undefined };
    this.#steps.push(step);
    if (this.#closed) return 0;
    let left = chunks.length;
    const done = (error?: NodeJS.ErrnoException | null): void => {
      left -= 1;
      if (error || left === 0) this.#complete(step, error);
    };
    this.#below.cork();
    for (const chunk of chunks) this.#below.write(chunk, done);
    this.#below.uncork();
    this.#completeTaken(step);
    return 0;
  }

  #shutDown(request: object): number {
    this.#shutdown = request;
    process.nextTick(() => {
      if (this.#steps.length === 0) this.#begin();
    });
    return 0;
  }

  /** Ends the socket below. */
  #begin(): void {
    const request = this.#shutdown;
    this.#shutdown = undefined;
    if (request === undefined) return;
    const step: Step = { kind: 'finishShutdown', request, status: undefined };
    this.#steps.push(step);
    if (this.#closed) return;
    // An error is told by the socket below.
    this.#below.end(() => {
      this.#complete(step, null);
    });
    this.#completeTaken(step);
  }

  /** All that was written has gone into the log already: the callback would only say it later. */
  #completeTaken(step: Step): void {
    if (this.#below.writableLength === 0 && this.#below.errored === null && !this.#below.destroyed && !this.#below.connecting) this.#complete(step, null);
  }

  #complete(step: Step, error: NodeJS.ErrnoException | null | undefined): void {
    if (step.status !== undefined) return;
    step.status = error ? -((errno as Record<string, number>)[error.code ?? ''] ?? errno.EPIPE) : 0;
    if (this.#settleQueued) return;
    this.#settleQueued = true;
    setImmediate(() => {
      this.#settleQueued = false;
      this.settle();
    });
  }

  #cancel(): void {
    this.#begin();
    for (const { kind, request } of this.#steps.splice(0)) this.#handle[kind]?.(request, -errno.ECANCELED);
  }
}
