/** Numbers as handles return them to net.js: 0, or a negative errno. */
import os from 'node:os';

const { errno } = os.constants;

export type ErrnoName = keyof typeof errno;

/** A negative errno by name. */
export function status(code: ErrnoName): number {
  return -errno[code];
}
