/** Numbers as handles return them to net.js: 0, or a negative errno. */
import os from 'node:os';

const { errno } = os.constants;

export type ErrnoName = keyof typeof errno;

/** A negative errno by name. */
export function status(code: ErrnoName): number {
  return -errno[code];
}

/** @note Node 20 to 26: a flag of bind, as libuv has it. */
export const UV_TCP_IPV6ONLY = 1;
