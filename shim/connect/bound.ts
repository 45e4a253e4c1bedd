/** What a TCP handle was told to bind to, kept until it is known whether it goes by STP. */

/** What Node's bind was given. */
export interface BindAddress {
  readonly ip: string;
  readonly port: number;
  readonly flags: number;
}

export interface Bound extends BindAddress {
  /** Binds in the kernel, where that has not been done; returns a negative errno, or 0. */
  readonly late: (() => number) | undefined;
}

const bounds = new WeakMap<object, Bound>();

export function rememberBound(handle: object, bound: Bound): void {
  bounds.set(handle, bound);
}

export function boundTo(handle: object): Bound | undefined {
  return bounds.get(handle);
}
